package results

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// PurposeExplain is Run.Purpose of trials that `millrace explain` makes: they are looked at while they run, and so measure
// nothing.
const PurposeExplain = "explain"

// Names of what a trial made to explain leaves in its directory.
const (
	ObservedFile = "observed.json"
	ProfilesDir  = "profiles"
	// CPUProfile is over Observed.CPU; AllocsBefore and AllocsAfter are of all that was allocated until Observed.Allocs begins
	// and ends.
	CPUProfile   = "cpu.pprof"
	AllocsBefore = "allocs-before.pprof"
	AllocsAfter  = "allocs-after.pprof"
)

// Span is from one time to another, both in ns after T0.
type Span struct {
	FromNs int64 `json:"from_ns"`
	ToNs   int64 `json:"to_ns"`
}

// Observed is observed.json: what was looked at in a trial made to explain. A part that was not looked at is nil.
type Observed struct {
	Schema int   `json:"schema"`
	CPU    *Span `json:"cpu,omitempty"`
	Allocs *Span `json:"allocs,omitempty"`
	// Counts are in order of time.
	Counts []Counts `json:"counts,omitempty"`
	// Partial says why Counts have no more than "syscr" and "syscw", the reads and writes of /proc/PID/io.
	Partial string `json:"partial,omitempty"`
	// Notes say what could not be looked at, a sentence each.
	Notes []string `json:"notes,omitempty"`
}

// Counts are cumulative counters at one time.
type Counts struct {
	TNs int64 `json:"t_ns"`
	// Syscalls of the server by name, "other" for those that have no name here.
	Syscalls map[string]int64 `json:"syscalls"`
	// WireBytes and Segments are what all sockets of this network namespace have sent, with the headers of IP, and in how
	// many TCP segments; nil where that could not be read.
	WireBytes *int64 `json:"wire_bytes,omitempty"`
	Segments  *int64 `json:"segments,omitempty"`
}

// Observed reads what was looked at in a trial. A measured one has none, which is an error that is fs.ErrNotExist.
func (r *Result) Observed(trialID string) (*Observed, error) {
	file, err := r.file(trialID, ObservedFile)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading what was observed: %w", err)
	}
	o := new(Observed)
	if err := unmarshal(data, o); err != nil {
		return nil, fmt.Errorf("reading what was observed: %s: %w", file, err)
	}
	return o, nil
}

// Profile reads one of a trial's profiles, CPUProfile for example; nil where the trial has none of that name.
func (r *Result) Profile(trialID, name string) ([]byte, error) {
	file, err := r.file(trialID, path.Join(ProfilesDir, name))
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading profile: %w", err)
	}
	return data, nil
}
