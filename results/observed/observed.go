// Package observed keeps what was looked at in trials made to explain: counted system calls and profiles, in files of the
// trial's directory. The profiles themselves are pprof's.
package observed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of what a trial made to explain leaves in its directory.
const (
	File        = "observed.json"
	ProfilesDir = "profiles"
	// CPUProfile is over Record.CPU; AllocsBefore and AllocsAfter are of all that was allocated until Record.Allocs begins
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

// Schema is the version of Record.
const Schema = 1

// Record is observed.json: what was looked at in a trial made to explain. A part that was not looked at is nil.
type Record struct {
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

// Read reads what was looked at in the trial of that directory. A measured one has none, which is an error that is
// fs.ErrNotExist.
func Read(trialDir string) (*Record, error) {
	file := filepath.Join(trialDir, File)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading what was observed: %w", err)
	}
	r := new(Record)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("reading what was observed: %s: %w", file, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("reading what was observed: %s: schema %d: want %d: read it with the millrace that wrote it", file, r.Schema, Schema)
	}
	return r, nil
}

// Profile reads one of a trial's profiles, CPUProfile for example; nil where the trial has none of that name.
func Profile(trialDir, name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(trialDir, ProfilesDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading profile: %w", err)
	}
	return data, nil
}
