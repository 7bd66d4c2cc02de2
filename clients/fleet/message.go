package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
)

// protocolVersion changes with any message below; coordinator and agent must agree on it.
const protocolVersion = 1

const serviceName = "millrace-agent"

// Subjects are millrace.AGENT.VERB, and beatSubject for all. The verbs of an agent's service:
const (
	verbPrepare = "prepare" // data: the plan → ack, later a done message
	verbClock   = "clock"   // → clockReply
	verbRun     = "run"     // data: arming → ack, later a done message
	verbStop    = "stop"    // ends the step of the header's sequence number → ack
	verbFinish  = "finish"  // → ack, later a done message
	verbList    = "list"    // → []fileInfo
	verbRead    = "read"    // data: readRequest → bytes
	verbDrop    = "drop"    // deletes the spool → ack
)

// What an agent publishes on its own:
const (
	verbHello    = "hello"
	verbAlive    = "alive"
	verbDone     = "done"
	verbProgress = "progress"
)

const beatSubject = "millrace.beat"

// Headers of the requests prepare, run, stop and finish.
const (
	headerTrial = "Millrace-Trial"
	headerSeq   = "Millrace-Seq"
	headerHash  = "Millrace-Sha256"
)

func subject(agent, verb string) string { return "millrace." + agent + "." + verb }

// agentOf returns the agent's name in a subject of three tokens.
func agentOf(subject string) string {
	_, rest, _ := strings.Cut(subject, ".")
	name, _, _ := strings.Cut(rest, ".")
	return name
}

// greeting is the first line on an agent's standard input. It is the only place where the password stands.
type greeting struct {
	Protocol int    `json:"protocol"`
	URL      string `json:"url"`
	Agent    string `json:"agent"`
	Role     string `json:"role"`
	Password string `json:"password"`
	Spool    string `json:"spool"`
	LeaseNs  int64  `json:"lease_ns"`
}

// hello is an agent's first message: it can be asked now.
type hello struct {
	Protocol int    `json:"protocol"`
	Role     string `json:"role"`
	PID      int    `json:"pid"`
	Service  string `json:"service"` // id in micro's discovery
}

// ack answers a request that starts or stops a step. SHA256 is of the data as it arrived.
type ack struct {
	Seq    int64  `json:"seq"`
	SHA256 string `json:"sha256"`
}

type arming struct {
	T0Ns int64 `json:"t0_ns"`
}

// done says that a step is over. Result is absent if the step returned none.
type done struct {
	Seq       int64     `json:"seq"`
	StartedNs int64     `json:"started_ns"`
	Dropped   int64     `json:"dropped"` // progress messages of this step
	Result    *fileInfo `json:"result,omitempty"`
	Error     *failure  `json:"error,omitempty"`
}

// failure is an executor's error on its way.
type failure struct {
	Message string          `json:"message"`
	Details json.RawMessage `json:"details,omitempty"`
}

// newFailure keeps the message and details of err within maxErrorBytes.
func newFailure(err error) *failure {
	f := &failure{Message: err.Error()}
	if len(f.Message) > maxErrorBytes/2 {
		f.Message = strings.ToValidUTF8(f.Message[:maxErrorBytes/2], "") + " …"
	}
	var d interface{ Details() json.RawMessage }
	if !errors.As(err, &d) {
		return f
	}
	details := d.Details()
	switch {
	case len(details) == 0:
	case len(details) > maxErrorBytes/2:
		f.Message += fmt.Sprintf(" (details of %d bytes left out: at most %d)", len(details), maxErrorBytes/2)
	case !json.Valid(details):
		f.Message += " (details left out: not JSON)"
	default:
		f.Details = details
	}
	return f
}

// The directories of a spool: what the executor writes, and the results of its steps.
const (
	filesDir   = "files"
	resultsDir = "results"
)

// fileInfo is a file in an agent's spool, named by its slash-separated path below one of these directories.
type fileInfo struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// check refuses what an agent must not make the coordinator write: absolute names, names that lead out of a directory,
// control characters, and sizes above the limit.
func (f fileInfo) check(maxBytes int64) error {
	switch {
	case !fs.ValidPath(f.Name) || f.Name == "." || !filepath.IsLocal(f.Name) || path.Clean(f.Name) != f.Name,
		strings.ContainsFunc(f.Name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return fmt.Errorf("file name %q: want a relative path without .., backslashes or control characters", f.Name)
	case len(f.Name) > maxNameBytes:
		return fmt.Errorf("file name %.40q…: %d bytes, want at most %d", f.Name, len(f.Name), maxNameBytes)
	case f.Bytes < 0 || f.Bytes > maxBytes:
		return fmt.Errorf("file %q: %d bytes, want at most %d", f.Name, f.Bytes, maxBytes)
	}
	return nil
}

// readRequest asks for up to Bytes bytes of a file, named below the spool; the answer is shorter only at its end.
type readRequest struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Bytes  int    `json:"bytes"`
}

// clockReply holds an agent's CLOCK_MONOTONIC when a probe came in and when its answer left.
type clockReply struct {
	ReceivedNs int64 `json:"received_ns"`
	SentNs     int64 `json:"sent_ns"`
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// rejection is the error in the headers of a micro service's answer, nil if there is none.
func rejection(m *nats.Msg) error {
	if text := m.Header.Get("Nats-Service-Error"); text != "" {
		return errors.New(text)
	}
	return nil
}
