package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/scenarios"
)

// rateForms is what --rate offers, for its errors.
const rateForms = "want a rate such as 20k, steps such as 10k,20k,40k, or a ramp such as 1k:50k; each may end in /DURATION"

// stage is one part of --rate: a rate, or two that a ramp goes between.
type stage struct {
	text     string
	from, to scenarios.Rate
	ramp     bool
	length   time.Duration // zero: an equal share of what the others leave
}

// parseStages reads --rate: RATE or RATE:RATE, each with or without /DURATION, separated by commas.
func parseStages(text string) ([]stage, error) {
	var stages []stage
	for _, part := range strings.Split(text, ",") {
		s := stage{text: strings.TrimSpace(part)}
		rates := s.text
		// 10k/s ends in a unit, 10k/5s in a length.
		if i := strings.LastIndexByte(rates, '/'); i >= 0 && rates[i:] != "/s" {
			var err error
			if s.length, err = time.ParseDuration(rates[i+1:]); err != nil || s.length <= 0 {
				return nil, fmt.Errorf("--rate %s: duration %q: %s", text, rates[i+1:], rateForms)
			}
			rates = rates[:i]
		}
		from, to, ramp := strings.Cut(rates, ":")
		s.ramp = ramp
		var err error
		if s.from, err = scenarios.ParseRate(from); err == nil && ramp {
			s.to, err = scenarios.ParseRate(to)
		}
		if err != nil {
			return nil, fmt.Errorf("--rate %s: %w; %s", text, err, rateForms)
		}
		stages = append(stages, s)
	}
	if !slices.ContainsFunc(stages, func(s stage) bool { return s.from > 0 || s.to > 0 }) {
		return nil, fmt.Errorf("--rate %s: want more than none; without --rate the loop is closed", text)
	}
	return stages, nil
}

// setLengths gives every stage its length: its own, or an equal share of what those leave of a total, which is asked for
// or the default.
func setLengths(stages []stage, total time.Duration, asked bool) error {
	var own time.Duration
	open := 0
	for _, s := range stages {
		if own += s.length; s.length == 0 {
			open++
		}
	}
	left := total - own
	switch {
	case open == 0 && asked && left != 0:
		return fmt.Errorf("-d %v, but the durations in --rate add up to %v: want one of them only", total, own)
	case open > 0 && left < time.Duration(open)*10*time.Millisecond:
		return fmt.Errorf("-d %v leaves %v for %s of --rate without a duration: want at least 10ms each", total, max(left, 0), quantity.Count(open, "part"))
	}
	for i := range stages {
		if stages[i].length == 0 {
			stages[i].length = left / time.Duration(open)
			left -= stages[i].length
			open--
		}
	}
	return nil
}

// arrivals of a stage, at equal distances or random.
func (s *stage) arrivals(poisson bool) scenarios.Arrivals {
	switch {
	case s.ramp && s.from != s.to:
		return scenarios.Arrivals{Ramp: scenarios.Ramp{From: s.from, To: s.to, Poisson: poisson}}
	case poisson:
		return scenarios.Arrivals{Poisson: s.from}
	}
	return scenarios.Arrivals{Constant: s.from}
}

// phases are what --rate, --trace, --arrival and -d offer: one phase, or one for each step. Quiet ones offer nothing.
func (f *loadFlags) phases(quiet bool) ([]scenarios.Phase, error) {
	one := scenarios.Phase{Name: "load", Load: "steady", For: scenarios.Duration(f.duration), Measure: true}
	switch {
	case quiet:
		return []scenarios.Phase{one}, nil
	case !slices.Contains([]string{"constant", "poisson"}, f.arrival):
		return nil, fmt.Errorf("--arrival %q: want constant or poisson", f.arrival)
	case f.trace != "" && f.rate != "":
		return nil, fmt.Errorf("--trace with --rate: a trace says when requests are due: want one of them")
	case f.trace != "" && f.arrival != "constant":
		return nil, fmt.Errorf("--trace with --arrival %s: a trace says when requests are due: want one of them", f.arrival)
	case f.trace != "":
		return f.tracePhase(one)
	case f.rate == "" && f.arrival != "constant":
		return nil, fmt.Errorf("--arrival %s without --rate: a closed loop has no arrivals of its own", f.arrival)
	case f.rate == "":
		one.Arrivals.Closed = true
		return []scenarios.Phase{one}, nil
	}
	stages, err := parseStages(f.rate)
	if err != nil {
		return nil, err
	}
	if err := setLengths(stages, f.duration, f.durationSet); err != nil {
		return nil, err
	}
	var due float64
	for _, s := range stages {
		rate := float64(s.from)
		if s.ramp {
			rate = float64(s.from+s.to) / 2
		}
		due += rate * s.length.Seconds()
	}
	if due < 1 {
		return nil, fmt.Errorf("--rate %s: in %v not even one request is due: want a higher rate, or a longer -d", f.rate, f.duration)
	}
	var phases []scenarios.Phase
	for i, s := range stages {
		p := one
		if len(stages) > 1 {
			p.Name = fmt.Sprintf("step-%d", i+1)
		}
		p.For, p.Arrivals = scenarios.Duration(s.length), s.arrivals(f.arrival == "poisson")
		phases = append(phases, p)
	}
	return phases, nil
}

// tracePhase is the phase of --trace, as long as -d says, or else in whole seconds as long as the trace.
func (f *loadFlags) tracePhase(p scenarios.Phase) ([]scenarios.Phase, error) {
	data, err := readTrace(f.trace)
	if err != nil {
		return nil, fmt.Errorf("reading --trace: %w", err)
	}
	times, err := scenarios.ParseTrace(data)
	if err != nil {
		return nil, fmt.Errorf("reading --trace %s: %w", f.trace, err)
	}
	p.Arrivals.Trace = &scenarios.Trace{File: f.trace, TimesNs: times}
	if !f.durationSet {
		p.For = scenarios.Duration(p.Arrivals.Trace.Length())
	}
	return []scenarios.Phase{p}, nil
}

// readTrace reads a trace's file, or says that it is too large.
func readTrace(name string) ([]byte, error) {
	return readAtMost(name, scenarios.MaxTraceFile)
}

// traceReader reads the traces that a scenario names, next to its own file.
func traceReader(scenario string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(scenario), name)
		}
		return readTrace(name)
	}
}

// printPhases is a table of the phases, where there are several: every step has its own figures.
func printPhases(w io.Writer, r *clients.Report) {
	if len(r.Phases) < 2 {
		return
	}
	fmt.Fprintf(w, "\n%-10s %10s %10s %9s %9s %9s %9s\n", "phase", "offered", "achieved", "not ok", "p50", "p99", "max")
	for _, p := range r.Phases {
		offered := "closed"
		if p.OfferedRPS != nil {
			offered = quantity.Format(*p.OfferedRPS, quantity.PerSecond)
		}
		fmt.Fprintf(w, "%-10s %10s %10s %9d", p.Name, offered, quantity.Format(p.AchievedRPS, quantity.PerSecond), p.Planned-p.Outcomes[clients.OK.String()])
		for _, v := range []*int64{p.ResponseNs.P50, p.ResponseNs.P99, p.ResponseNs.Max} {
			fmt.Fprintf(w, " %9s", quantityOf(v))
		}
		fmt.Fprintln(w)
	}
}

// quantityOf is a time in ns for people, or a dash without one.
func quantityOf(v *int64) string {
	if v == nil {
		return "–"
	}
	return quantity.Format(float64(*v), quantity.Time)
}
