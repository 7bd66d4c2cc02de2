package clients

import (
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
)

// Schema is the version of Report's JSON, described in docs/load.schema.json.
const Schema = 1

// Report is what a load measured. Its outcomes always add up to Planned, in all and in every phase.
type Report struct {
	Schema int    `json:"schema"`
	Engine string `json:"engine"`
	// EngineNote is why another engine ran than was asked for; empty if none did.
	EngineNote string `json:"engine_note,omitempty"`
	URL        string `json:"url"`
	// Requests is how many different requests were sent, where there are several: URL is the first one's.
	Requests int `json:"requests,omitempty"`
	// UnixSocket is what was connected to instead of the URL's host, if anything.
	UnixSocket string `json:"unix_socket,omitempty"`
	Loop       string `json:"loop"` // "open", "closed", or "push" where the server sends on its own
	Seed       uint64 `json:"seed"`
	Spin       bool   `json:"spin"` // whether the client span instead of sleeping
	// T0Ns is the CLOCK_MONOTONIC time in ns that every t_ns counts from.
	T0Ns            int64            `json:"t0_ns"`
	DurationSeconds float64          `json:"duration_seconds"` // of the phases, connecting apart
	Planned         int64            `json:"planned"`
	Outcomes        map[string]int64 `json:"outcomes"`
	// HTTPStatus counts the whole replies with a status other than 2xx, by status; nil without any.
	HTTPStatus map[int]int64 `json:"http_status,omitempty"`
	// OfferedRPS is nil in a closed loop, where nothing is offered.
	OfferedRPS  *float64 `json:"offered_rps"`
	AchievedRPS float64  `json:"achieved_rps"` // ok requests ÷ DurationSeconds
	// These are of the measured phases. ResponseNs is of successful requests, from the intended time; the others count as
	// infinite. So do failed attempts in ConnectNs, which has also what was opened before T0.
	ResponseNs hist.Summary `json:"response_ns"`
	ServiceNs  hist.Summary `json:"service_ns"`
	LagNs      hist.Summary `json:"lag_ns"`
	ConnectNs  hist.Summary `json:"connect_ns"`
	// Trickled of the Planned requests, of all phases, were those that idle connections send now and then. TrickleNs is from
	// the intended time, of the measured phases; ResponseNs, ServiceNs and LagNs have nothing of them.
	Trickled  int64         `json:"trickled,omitempty"`
	TrickleNs *hist.Summary `json:"trickle_ns,omitempty"`

	// Work and Bystander are the requests of the measured phases that asked for the server's work and those that did not, which
	// are in the figures above as well; nil where all were of one kind.
	Work      *Side `json:"work,omitempty"`
	Bystander *Side `json:"bystander,omitempty"`

	ClientCPUSeconds   float64 `json:"client_cpu_seconds"`
	ClientPeakRSSBytes int64   `json:"client_peak_rss_bytes"`
	ConnectionsOpened  int64   `json:"connections_opened"`
	// ConnectionsWanted is how many the plan needed if no server closed one.
	ConnectionsWanted int64 `json:"connections_wanted"`
	// ConnectFailures counts attempts to connect that failed, those that no request waited for included.
	ConnectFailures int64 `json:"connect_failures"`
	// ConnectFailuresByKind are the same by ConnectFailure; nil without any.
	ConnectFailuresByKind map[string]int64 `json:"connect_failures_by_kind,omitempty"`
	// ConnectionsOpen is how many were open at the end, ConnectionsLost how many ended that should have lived on, and
	// ConnectionsReopened how many of the opened ones took the place of such. Engine vegeta can't tell the last two.
	ConnectionsOpen     int64 `json:"connections_open"`
	ConnectionsLost     int64 `json:"connections_lost"`
	ConnectionsReopened int64 `json:"connections_reopened"`
	// ConnectionsRenewed are how many of the opened ones took the place of one that the plan had the client close.
	ConnectionsRenewed int64  `json:"connections_renewed,omitempty"`
	BodyBytesIn        int64  `json:"body_bytes_in"`
	BodyBytesOut       int64  `json:"body_bytes_out"`
	Congestion         string `json:"congestion_control,omitempty"`
	Interrupted        bool   `json:"interrupted"`
	// Split is where the time of sampled requests went, by the kernel's time stamps; nil where it gave none.
	Split *Split `json:"kernel_split,omitempty"`
	// TLS is what the handshakes agreed on; nil without TLS.
	TLS *TLSReport `json:"tls,omitempty"`
	// Push is what subscribers received; nil but in protocol push.
	Push *PushReport `json:"push,omitempty"`

	Verdict validity.Verdict `json:"verdict"`
	Reasons []string         `json:"reasons"`
	Checks  []validity.Check `json:"checks"`

	Phases []PhaseReport `json:"phases"`

	// Agents are the processes that made the load, where there were several. All other figures are of all of them together.
	Agents []AgentReport `json:"agents,omitempty"`
	// Intervals follow one another every IntervalNs from T0 on, by intended time for Planned and by the time it
	// happened for the rest.
	IntervalNs int64      `json:"interval_ns"`
	Intervals  []Interval `json:"intervals"`
	// Seconds are the response times of requests intended in [i, i+1) seconds after T0.
	Seconds []hist.Summary `json:"seconds_response_ns"`
	// PerSecond are the same requests by what became of them, whenever that was.
	PerSecond []Second `json:"per_second"`
}

// Second counts the requests intended in one second. Its outcomes, those that are not zero, add up to Planned.
type Second struct {
	Planned  int64            `json:"planned"`
	Outcomes map[string]int64 `json:"outcomes"`
}

// PhaseReport is the part of a report whose intended times lie in one phase; AchievedRPS and ConnectNs go by the time it
// happened.
type PhaseReport struct {
	Name    string `json:"name"`
	Load    string `json:"load"`
	Measure bool   `json:"measure"`
	FromNs  int64  `json:"from_ns"` // after T0
	ToNs    int64  `json:"to_ns"`
	Planned int64  `json:"planned"`
	// Waited counts the requests that were due while no connection was free for them, those never sent included.
	Waited      int64            `json:"waited_for_connection"`
	Outcomes    map[string]int64 `json:"outcomes"`
	OfferedRPS  *float64         `json:"offered_rps"`
	AchievedRPS float64          `json:"achieved_rps"` // good replies that came within the phase, whenever due, ÷ its length
	ResponseNs  hist.Summary     `json:"response_ns"`
	ServiceNs   hist.Summary     `json:"service_ns"`
	LagNs       hist.Summary     `json:"lag_ns"`
	ConnectNs   hist.Summary     `json:"connect_ns"`
	Trickled    int64            `json:"trickled,omitempty"` // as in Report
	TrickleNs   *hist.Summary    `json:"trickle_ns,omitempty"`
	Work        *Side            `json:"work,omitempty"` // as in Report
	Bystander   *Side            `json:"bystander,omitempty"`
	// DrainedNs is when, after T0, the last request intended in this phase, those of the trickle apart, got its outcome; zero
	// if some never did.
	DrainedNs int64 `json:"drained_ns"`
}

// Side is a part of the requests: those that ask for the server's work, or those that don't.
type Side struct {
	Planned int64 `json:"planned"`
	OK      int64 `json:"ok"`
	// ResponseNs is from the intended time; requests without a good reply count as infinite.
	ResponseNs hist.Summary `json:"response_ns"`
}

// AgentReport is one process's share in a load, as a diagnostic: processes that differ share their CPUs with others.
type AgentReport struct {
	Agent             int   `json:"agent"`
	Planned           int64 `json:"planned"`
	OK                int64 `json:"ok"`
	ConnectionsOpened int64 `json:"connections_opened"`
	// ResponseP99Ns is of the measured phases; nil with too few requests.
	ResponseP99Ns *int64  `json:"response_p99_ns"`
	CPUSeconds    float64 `json:"cpu_seconds"`
	PeakRSSBytes  int64   `json:"peak_rss_bytes"`
	// LateNs is how long after T0 it learned of T0; zero if it was told before.
	LateNs int64 `json:"late_ns"`
}

// Split is where the time of good replies to sampled requests went, in the measured phases. With the wait for a connection,
// of each request: ResponseNs = wait + ClientNs + WireServerNs.
type Split struct {
	Samples int64 `json:"samples"` // one request in 1024, or one every 5 ms if that is more
	// ClientNs is the client's own share: generator lag, SendingNs and ReceivingNs.
	ClientNs hist.Summary `json:"client_ns"`
	// SendingNs is from the call that wrote the request to its leaving for the device.
	SendingNs hist.Summary `json:"sending_ns"`
	// WireServerNs is from there to the arrival of the reply's last packet.
	WireServerNs hist.Summary `json:"wire_server_ns"`
	// ReceivingNs is from there to the reply being read and understood: the client waking up, or busy with others.
	ReceivingNs hist.Summary `json:"receiving_ns"`
	ResponseNs  hist.Summary `json:"response_ns"`
}

// TLSReport is what the successful handshakes of a load agreed on, those before T0 included.
type TLSReport struct {
	Handshakes   int64            `json:"handshakes"`
	Resumed      int64            `json:"resumed"`  // of them
	Verified     bool             `json:"verified"` // the server's certificate was checked
	Versions     map[string]int64 `json:"versions"`
	CipherSuites map[string]int64 `json:"cipher_suites"`
	// HandshakeNs is from the TCP connection being open to the TLS one, the client's own computing included. It is part of
	// ConnectNs.
	HandshakeNs hist.Summary `json:"handshake_ns"`
	// LastError is of the last handshake or TLS record that failed; empty without.
	LastError string `json:"last_error,omitempty"`
}

// Interval counts what happened in one interval of the time axis.
type Interval struct {
	Planned int64 `json:"planned"` // became due
	Sent    int64 `json:"sent"`
	OK      int64 `json:"ok"`
	Failed  int64 `json:"failed"` // every other outcome
	Opened  int64 `json:"opened"` // connections
	// CPUNs is the CPU time of the load threads, deliberate spinning apart.
	CPUNs int64 `json:"cpu_ns"`
	// P99Ns are the p99 of the response times of the replies that came in the interval, one for each load thread that got 1000
	// or more. They are samples for a median over many intervals, not figures by themselves.
	P99Ns []int64 `json:"p99_ns,omitempty"`
}

// Judge adds checks to the report's, the worse one of two of a name, and renews the verdict.
func (r *Report) Judge(more ...validity.Check) {
	r.Checks = checks.Merge(r.Checks, more)
	r.Verdict, r.Reasons = validity.Judge(r.Checks)
}
