package scenarios

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Trace is a list of arrival times, recorded or made up. In YAML it is either the list itself, [0s, 120ms, 0.5], or the
// name of a file, which whoever may do I/O reads with ReadTraces. It does not change once it is read, so that copies of
// a scenario share it.
type Trace struct {
	// File is where the times come from; empty where they stand in the scenario.
	File string
	// TimesNs are the arrivals in ns after the start of the phase, sorted, several at one time allowed. Nil: not read yet.
	TimesNs []int64
}

const (
	// MaxTrace is the most arrivals that a trace may have, 80 MB of them.
	MaxTrace = 10_000_000
	// MaxTraceFile is the most bytes that a trace's file may have.
	MaxTraceFile = 512 << 20
)

// ParseTrace reads a trace's file: one time a line, in seconds ("0.25") or with a unit ("250ms"), sorted. What follows a
// # is a comment, and blank lines are passed over. Errors name the line.
func ParseTrace(data []byte) (timesNs []int64, err error) {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		line, _, _ = bytes.Cut(line, []byte("#"))
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		at, err := parseArrival(string(line))
		if err == nil {
			err = follows(timesNs, at)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		timesNs = append(timesNs, at)
	}
	if len(timesNs) == 0 {
		return nil, fmt.Errorf("%d lines without an arrival: want one time a line, such as 0.25 or 250ms", number)
	}
	return timesNs, nil
}

// parseArrival reads a time in seconds or with a unit, exact to the nanosecond.
func parseArrival(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		d, err = time.ParseDuration(text + "s")
	}
	switch {
	case err != nil && strings.ContainsAny(text, ",;"):
		return 0, fmt.Errorf("%.40q: want one time a line and no counts; for so many a second use steps of a rate", text)
	case err != nil:
		return 0, fmt.Errorf("%.40q: want a time after the start, in seconds such as 0.25 or with a unit such as 250ms", text)
	case d < 0 || d >= maxPhase:
		return 0, fmt.Errorf("time %s: want 0 to less than %v after the start", text, maxPhase)
	}
	return int64(d), nil
}

// follows checks that a time may come after those before it.
func follows(timesNs []int64, at int64) error {
	if n := len(timesNs); n == MaxTrace {
		return fmt.Errorf("more than %d arrivals: split the trace, or take a shorter one", MaxTrace)
	} else if n > 0 && at < timesNs[n-1] {
		return fmt.Errorf("time %v comes before %v of the arrival above: want them sorted, as sort -g does", time.Duration(at), time.Duration(timesNs[n-1]))
	}
	return nil
}

// Length is how long a phase must at least be to hold the trace, in whole seconds. It is zero for a trace not read yet.
func (t *Trace) Length() time.Duration {
	if len(t.TimesNs) == 0 {
		return 0
	}
	return time.Duration(t.TimesNs[len(t.TimesNs)-1]).Truncate(time.Second) + time.Second
}

// most is the largest number of arrivals within any span of that length.
func (t *Trace) most(span time.Duration) (n int) {
	from := 0
	for i, at := range t.TimesNs {
		for at-t.TimesNs[from] >= int64(span) {
			from++
		}
		n = max(n, i-from+1)
	}
	return n
}

// validate checks a trace of a phase of length d. One that is not read yet is good so far.
func (t *Trace) validate(d time.Duration) error {
	n := len(t.TimesNs)
	switch {
	case n == 0 && t.File == "":
		return fmt.Errorf("no arrivals: want a list of times, or the name of a file")
	case n == 0:
		return nil
	case n > MaxTrace:
		return fmt.Errorf("%d arrivals: want at most %d", n, MaxTrace)
	case !sort.SliceIsSorted(t.TimesNs, func(i, j int) bool { return t.TimesNs[i] < t.TimesNs[j] }) || t.TimesNs[0] < 0:
		return fmt.Errorf("arrivals are not in order: want sorted times from 0 on")
	case t.TimesNs[n-1] >= int64(d):
		return fmt.Errorf("last arrival at %v, but the phase is %v long: want at least %v", time.Duration(t.TimesNs[n-1]), d, t.Length())
	}
	return nil
}

// ReadTraces returns the scenario with every trace that is named by a file read through a function, and checked.
func (s *Scenario) ReadTraces(read func(file string) ([]byte, error)) (*Scenario, error) {
	r := s.Clone()
	for i := range r.Phases {
		t := r.Phases[i].Arrivals.Trace
		if t == nil || t.File == "" {
			continue
		}
		data, err := read(t.File)
		if err != nil {
			return nil, fmt.Errorf("reading phases.%s.arrivals.trace: %w", r.Phases[i].Name, err)
		}
		times, err := ParseTrace(data)
		if err != nil {
			return nil, fmt.Errorf("reading trace %s: %w", t.File, err)
		}
		r.Phases[i].Arrivals.Trace = &Trace{t.File, times}
	}
	return r, r.Validate()
}

// MarshalYAML writes the file's name, or the times where there is none.
func (t Trace) MarshalYAML() (any, error) {
	if t.File != "" {
		return t.File, nil
	}
	list := make([]string, len(t.TimesNs))
	for i, at := range t.TimesNs {
		list[i] = time.Duration(at).String()
	}
	return list, nil
}

// UnmarshalYAML reads the name of a file, or times as in one.
func (t *Trace) UnmarshalYAML(decode func(any) error) error {
	*t = Trace{}
	var list []string
	if decode(&list) != nil {
		if err := decode(&t.File); err != nil || t.File == "" {
			return fmt.Errorf("trace: want the name of a file, or times such as [0s, 120ms, 0.5]")
		}
		return nil
	}
	for i, text := range list {
		at, err := parseArrival(text)
		if err == nil {
			err = follows(t.TimesNs, at)
		}
		if err != nil {
			return fmt.Errorf("trace[%d]: %w", i, err)
		}
		t.TimesNs = append(t.TimesNs, at)
	}
	return nil
}

// traceRecord is a trace in JSON: so short that a plan with a million arrivals fits into a message.
type traceRecord struct {
	File  string `json:"file,omitempty"`
	Count int    `json:"count"`
	// DeltasNs is the base64 of the distances in ns, the first one from the start of the phase, each as a varint of
	// package encoding/binary.
	DeltasNs string `json:"deltas_ns"`
}

// MarshalJSON writes the times whatever their source, since a plan travels to where the file is not.
func (t Trace) MarshalJSON() ([]byte, error) {
	var deltas []byte
	var last int64
	for _, at := range t.TimesNs {
		deltas = binary.AppendUvarint(deltas, uint64(at-last))
		last = at
	}
	return json.Marshal(traceRecord{t.File, len(t.TimesNs), base64.StdEncoding.EncodeToString(deltas)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Trace) UnmarshalJSON(data []byte) error {
	var r traceRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("reading trace: %w", err)
	}
	deltas, err := base64.StdEncoding.DecodeString(r.DeltasNs)
	if err != nil {
		return fmt.Errorf("reading trace: deltas_ns: %w", err)
	}
	*t = Trace{File: r.File}
	var at int64
	for len(deltas) > 0 {
		d, n := binary.Uvarint(deltas)
		if n <= 0 || d >= uint64(maxPhase) || len(t.TimesNs) == MaxTrace {
			return fmt.Errorf("reading trace: deltas_ns: damaged after %d arrivals", len(t.TimesNs))
		}
		at += int64(d)
		t.TimesNs, deltas = append(t.TimesNs, at), deltas[n:]
	}
	if len(t.TimesNs) != r.Count {
		return fmt.Errorf("reading trace: deltas_ns holds %d arrivals, count says %d", len(t.TimesNs), r.Count)
	}
	return nil
}
