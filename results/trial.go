package results

import (
	"time"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
)

// Trial is a line of trials.jsonl: one scenario against one fresh server process.
type Trial struct {
	Schema   int    `json:"schema"`
	ID       string `json:"id"`       // its directory below trials/: r03-burst-gnet+ants, in a sweep r03-burst-gnet+ants-s02
	Round    int    `json:"round"`    // from 1
	Position int    `json:"position"` // in its round, from 1
	Scenario string `json:"scenario"`
	Variant  string `json:"variant"`
	// Step of the sweep by name; empty in a run without one.
	Step string `json:"step,omitempty"`
	// Duet is the ID of the trial that ran at the same time, their loads taking turns; empty of a trial by itself. DuetSlot is
	// 0 for the load of the even slots and 1 for the other.
	Duet     string    `json:"duet,omitempty"`
	DuetSlot int       `json:"duet_slot,omitempty"`
	Started  time.Time `json:"started"`
	// Sitting that ran it, from 1, see Session; 0 in a run of a millrace that did not record sittings.
	Sitting int `json:"sitting,omitempty"`
	// Wait for a quiet host before the trial; nil where nobody looked.
	Wait *Wait `json:"wait,omitempty"`
	// Seconds is how long the trial took from start to end, its phases and all around them.
	Seconds float64 `json:"seconds"`
	// Status is "done", "failed" or "interrupted". A failed trial has Failure; an interrupted one what was measured.
	Status  string           `json:"status"`
	Failure *Failure         `json:"failure,omitempty"`
	Verdict validity.Verdict `json:"verdict"`
	Checks  []validity.Check `json:"checks"`

	Planned  int64            `json:"planned"`
	Outcomes map[string]int64 `json:"outcomes"`
	Phases   []Phase          `json:"phases"`
	// Push is what subscribers received; nil where the server sends nothing on its own.
	Push *Push `json:"push,omitempty"`
	// Downstream is what the downstream saw; nil where the work calls none.
	Downstream *Downstream `json:"downstream,omitempty"`
	// Metrics by name as in the table Metrics; a metric that could not be measured is absent. Notes says why, except of
	// percentiles that too few samples support.
	Metrics map[string]float64 `json:"metrics"`
	Notes   []string           `json:"notes,omitempty"`
	// Slopes are the lines behind the metrics per connection, by the metric's name.
	Slopes map[string]Slope `json:"slopes,omitempty"`
	// Intervals and Seconds of the load, see the fields.
	IntervalNs int64          `json:"interval_ns"`
	Intervals  []Interval     `json:"intervals"`
	SecondsNs  []hist.Summary `json:"seconds_response_ns"`
	Response   hist.Summary   `json:"response_ns"` // of all measured phases
	Lag        hist.Summary   `json:"lag_ns"`
}

// Wait is how long a trial waited for a quiet host, before it began.
type Wait struct {
	// Windows is in how many stretches of time the host was looked at; one where it was quiet at once. Seconds is how long
	// they took together.
	Windows int     `json:"windows"`
	Seconds float64 `json:"seconds"`
	// GaveUp is true where the host was not quiet in the last window either.
	GaveUp bool `json:"gave_up,omitempty"`
	// Steal is the share of the run's CPUs that the hypervisor took in the last window, Foreign how much other programs took
	// of them, in CPUs.
	Steal   float64 `json:"steal"`
	Foreign float64 `json:"foreign"`
}

// Slope is a line through a resource over the number of open connections: bytes (or goroutines) = Intercept + PerConn ·
// connections. PerConn is the Theil–Sen slope, [Lo, Hi] its interval at Confidence, N the number of points.
type Slope struct {
	PerConn    float64 `json:"per_conn"`
	Lo         float64 `json:"lo"`
	Hi         float64 `json:"hi"`
	Confidence float64 `json:"confidence"`
	Intercept  float64 `json:"intercept"`
	N          int     `json:"n"`
	// Points are the pairs of connections and resource that the line was laid through.
	Points [][2]float64 `json:"points,omitempty"`
}

// Failure says what went wrong in a trial, and the last lines that the server wrote.
type Failure struct {
	Reason string   `json:"reason"`
	Log    []string `json:"log,omitempty"`
}

// Phase is what one phase of a trial measured. Times are ns after T0.
type Phase struct {
	Name        string           `json:"name"`
	Load        string           `json:"load"`
	Measure     bool             `json:"measure"`
	FromNs      int64            `json:"from_ns"`
	ToNs        int64            `json:"to_ns"`
	Planned     int64            `json:"planned"`
	Outcomes    map[string]int64 `json:"outcomes"`
	OfferedRPS  *float64         `json:"offered_rps"`
	AchievedRPS float64          `json:"achieved_rps"`
	Response    hist.Summary     `json:"response_ns"`
	Service     hist.Summary     `json:"service_ns"`
	Lag         hist.Summary     `json:"lag_ns"`
	Connect     hist.Summary     `json:"connect_ns"`
	// Work and Bystander are the requests that asked for the server's work and those that did not, which are in the figures above
	// as well; nil where all were of one kind.
	Work      *Side `json:"work,omitempty"`
	Bystander *Side `json:"bystander,omitempty"`
	// Push is what subscribers received; nil where the server sends nothing on its own.
	Push *PushPhase `json:"push,omitempty"`
	// DrainedNs is when the last request intended in this phase got its outcome; zero if some never did.
	DrainedNs int64 `json:"drained_ns"`
}

// Side is a part of a phase's requests: those that ask for the server's work, or those that don't.
type Side struct {
	Planned  int64        `json:"planned"`
	OK       int64        `json:"ok"`
	Response hist.Summary `json:"response_ns"`
}

// Interval counts what happened in one interval of Trial.IntervalNs.
type Interval struct {
	Planned int64 `json:"planned"`
	Sent    int64 `json:"sent"`
	OK      int64 `json:"ok"`
	Failed  int64 `json:"failed"`
	Opened  int64 `json:"opened"`
	// P99Ns are the response p99 of each load thread that got 1000 replies or more.
	P99Ns []int64 `json:"p99_ns,omitempty"`
}
