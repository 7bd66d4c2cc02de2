// Package protocol holds the messages between a coordinator and its agents, their limits, and what both sides check.
package protocol

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

// Version changes with any message below; coordinator and agent must agree on it.
const Version = 1

// ServiceName is what discovery finds agents by.
const ServiceName = "millrace-agent"

// Subjects are millrace.AGENT.VERB, and BeatSubject for all. The verbs of an agent's service:
const (
	VerbPrepare = "prepare" // data: the plan → Ack, later a Done
	VerbClock   = "clock"   // → ClockReply
	VerbRun     = "run"     // data: Arming → Ack, later a Done
	VerbStop    = "stop"    // ends the step of the header's sequence number → Ack
	VerbFinish  = "finish"  // → Ack, later a Done
	VerbList    = "list"    // → []FileInfo
	VerbRead    = "read"    // data: ReadRequest → bytes
	VerbDrop    = "drop"    // deletes the spool → Ack
)

// What an agent publishes on its own:
const (
	VerbHello    = "hello"
	VerbAlive    = "alive"
	VerbDone     = "done"
	VerbProgress = "progress"
)

// BeatSubject carries the coordinator's heartbeat to all agents.
const BeatSubject = "millrace.beat"

// Headers of the requests prepare, run, stop and finish.
const (
	HeaderTrial = "Millrace-Trial"
	HeaderSeq   = "Millrace-Seq"
	HeaderHash  = "Millrace-Sha256"
)

// Subject is where an agent hears, or says, the verb.
func Subject(agent, verb string) string { return "millrace." + agent + "." + verb }

// AgentOf returns the agent's name in a subject of three tokens.
func AgentOf(subject string) string {
	_, rest, _ := strings.Cut(subject, ".")
	name, _, _ := strings.Cut(rest, ".")
	return name
}

// Greeting is the first line on an agent's standard input. It is the only place where the password stands.
type Greeting struct {
	Protocol int    `json:"protocol"`
	URL      string `json:"url"`
	Agent    string `json:"agent"`
	Role     string `json:"role"`
	Password string `json:"password"`
	Spool    string `json:"spool"`
	LeaseNs  int64  `json:"lease_ns"`
}

// Hello is an agent's first message: it can be asked now.
type Hello struct {
	Protocol int    `json:"protocol"`
	Role     string `json:"role"`
	PID      int    `json:"pid"`
	Service  string `json:"service"` // id in micro's discovery
}

// Ack answers a request that starts or stops a step. SHA256 is of the data as it arrived.
type Ack struct {
	Seq    int64  `json:"seq"`
	SHA256 string `json:"sha256"`
}

// Arming is the start time on its way.
type Arming struct {
	T0Ns int64 `json:"t0_ns"`
}

// Done says that a step is over. Result is absent if the step returned none.
type Done struct {
	Seq       int64     `json:"seq"`
	StartedNs int64     `json:"started_ns"`
	Dropped   int64     `json:"dropped"` // progress messages of this step
	Result    *FileInfo `json:"result,omitempty"`
	Error     *Failure  `json:"error,omitempty"`
}

// Failure is an executor's error on its way.
type Failure struct {
	Message string          `json:"message"`
	Details json.RawMessage `json:"details,omitempty"`
}

// NewFailure keeps the message and details of err within MaxErrorBytes.
func NewFailure(err error) *Failure {
	f := &Failure{Message: err.Error()}
	if len(f.Message) > MaxErrorBytes/2 {
		f.Message = strings.ToValidUTF8(f.Message[:MaxErrorBytes/2], "") + " …"
	}
	var d interface{ Details() json.RawMessage }
	if !errors.As(err, &d) {
		return f
	}
	details := d.Details()
	switch {
	case len(details) == 0:
	case len(details) > MaxErrorBytes/2:
		f.Message += fmt.Sprintf(" (details of %d bytes left out: at most %d)", len(details), MaxErrorBytes/2)
	case !json.Valid(details):
		f.Message += " (details left out: not JSON)"
	default:
		f.Details = details
	}
	return f
}

// The directories of a spool: what the executor writes, and the results of its steps.
const (
	FilesDir   = "files"
	ResultsDir = "results"
)

// FileInfo is a file in an agent's spool, named by its slash-separated path below one of these directories.
type FileInfo struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Check refuses what an agent must not make the coordinator write: absolute names, names that lead out of a directory,
// control characters, and sizes above the limit.
func (f FileInfo) Check(maxBytes int64) error {
	switch {
	case !fs.ValidPath(f.Name) || f.Name == "." || !filepath.IsLocal(f.Name) || path.Clean(f.Name) != f.Name,
		strings.ContainsFunc(f.Name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return fmt.Errorf("file name %q: want a relative path without .., backslashes or control characters", f.Name)
	case len(f.Name) > MaxNameBytes:
		return fmt.Errorf("file name %.40q…: %d bytes, want at most %d", f.Name, len(f.Name), MaxNameBytes)
	case f.Bytes < 0 || f.Bytes > maxBytes:
		return fmt.Errorf("file %q: %d bytes, want at most %d", f.Name, f.Bytes, maxBytes)
	}
	return nil
}

// ReadRequest asks for up to Bytes bytes of a file, named below the spool; the answer is shorter only at its end.
type ReadRequest struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Bytes  int    `json:"bytes"`
}

// ClockReply holds an agent's CLOCK_MONOTONIC when a probe came in and when its answer left.
type ClockReply struct {
	ReceivedNs int64 `json:"received_ns"`
	SentNs     int64 `json:"sent_ns"`
}

// Hash is the SHA-256 of data in hex.
func Hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Rejection is the error in the headers of a micro service's answer, nil if there is none.
func Rejection(m *nats.Msg) error {
	if text := m.Header.Get("Nats-Service-Error"); text != "" {
		return errors.New(text)
	}
	return nil
}
