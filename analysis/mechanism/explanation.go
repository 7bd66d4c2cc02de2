package mechanism

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/results/observed"
	"github.com/millrace/millrace/scenarios"
)

// Explanation is how two variants of a run differ.
type Explanation struct {
	Run, Scenario string
	Variants      [2]string
	// Span says what the figures are over.
	Span string
	Rows []Row
	// CPU and Allocs are nil where no trial of its own was profiled; a note says why.
	CPU, Allocs *Difference
	// Notes say what looking has cost, and what could not be had, a sentence each.
	Notes []string
}

// Evidence is what an explanation is made of. Entry 0 is of the first variant.
type Evidence struct {
	Run      *results.Run
	Variants [2]string
	// Rounds are those of the run that count.
	Rounds [2][]Round
	// Profiled and Counted are the trials of its own; nil where there are none, and Why says why.
	Profiled, Counted [2]*Look
	Why               string
	// Scenario is that of the trials of its own.
	Scenario *scenarios.Scenario
}

// Look is one trial that was looked at.
type Look struct {
	Round
	Observed                  *observed.Record
	CPU, AllocsBefore, Allocs []byte
}

// Explain makes the explanation.
func Explain(e Evidence) *Explanation {
	x := &Explanation{Run: e.Run.ID, Scenario: e.Run.Scenario.Name, Variants: e.Variants, Rows: Measured(e.Rounds, &e.Run.Scenario)}
	x.Span = SpanName(planned(&e.Run.Scenario), &e.Run.Scenario)
	var calls [2]Calls
	for i, l := range e.Counted {
		if l == nil {
			calls[i] = CountCalls(nil, nil, nil, e.Why)
			continue
		}
		if l.Trial.Status == results.StatusDone {
			calls[i] = CountCalls(l.Trial, Span(l.Trial, e.Scenario), l.Observed, "unknown: nothing was observed in its trial")
		} else {
			calls[i] = CountCalls(nil, nil, nil, "unknown: its trial "+l.Trial.LeftOut())
		}
		x.cost(e, i, l, "with its system calls counted")
	}
	x.Rows = append(x.Rows, CallRows(calls)...)
	for i, l := range e.Profiled {
		if l != nil {
			x.cost(e, i, l, "with profiles taken")
		}
	}
	x.profiles(e)
	return x
}

func (x *Explanation) note(format string, args ...any) {
	x.Notes = append(x.Notes, fmt.Sprintf(format, args...))
}

// cost notes what a look has cost, against the measured rounds, and what it missed.
func (x *Explanation) cost(e Evidence, side int, l *Look, how string) {
	name := x.Variants[side]
	if why := l.Trial.LeftOut(); why != "" {
		x.note("%s, the trial %s: %s", name, how, why)
	}
	if l.Observed != nil {
		for _, n := range l.Observed.Notes {
			x.note("%s: %s", name, n)
		}
	}
	if l.Trial.Status != results.StatusDone {
		return
	}
	measured := e.Rounds[side]
	if own := Own("cpu", l.Round, e.Scenario); own.N > 0 && len(measured) > 0 {
		for _, r := range x.Rows {
			if r.Key == "cpu" && r.Values[side].N > 0 {
				x.note("%s took %s CPU-µs a request %s, %s in the measured rounds", name, micros(own.Median), how, micros(r.Values[side].Median))
			}
		}
	}
}

// micros writes ns as µs, with three digits for what is below 100.
func micros(ns float64) string { return strconv.FormatFloat(ns/1e3, 'g', 3, 64) }

// leastSeen is the share of the CPU time that a profile must have seen, lest a note says so.
const leastSeen = 0.8

// seen notes where a profile saw much less than the CPU time that was used while it was taken.
func (x *Explanation) seen(e Evidence, side int, l *Look) {
	used, _ := perReply((*results.Reading).CPUNs)(&cut{l.Round, *l.Observed.CPU})
	if saw := x.CPU.Total[side]; saw < leastSeen*used {
		x.note("the CPU profile of %s saw %s of %s CPU-µs a request: threads that run for less than the kernel's tick at a time are sampled too seldom; take its rows as shares",
			x.Variants[side], micros(saw), micros(used))
	}
}

// profiles compares the profiles of both variants.
func (x *Explanation) profiles(e Evidence) {
	var cpu, allocs [2]Profile
	for i, l := range e.Profiled {
		switch {
		case l == nil:
			x.note("no profiles: %s", e.Why)
			return
		case l.Trial.Status != results.StatusDone:
			x.note("no profiles: the trial of %s %s", x.Variants[i], l.Trial.LeftOut())
			return
		case l.Observed == nil || l.Observed.CPU == nil || l.CPU == nil:
			x.note("no profiles: there is none of %s", x.Variants[i])
			return
		}
		cpu[i] = Profile{Data: l.CPU, Requests: analysis.Replies(l.Trial, l.Observed.CPU.FromNs, l.Observed.CPU.ToNs)}
		if a := l.Observed.Allocs; a != nil {
			allocs[i] = Profile{Data: l.Allocs, Before: l.AllocsBefore, Requests: analysis.Replies(l.Trial, a.FromNs, a.ToNs)}
		}
	}
	var err error
	if x.CPU, err = DiffCPU(cpu); err != nil {
		x.note("CPU profiles: %v", err)
	} else {
		for i, l := range e.Profiled {
			x.seen(e, i, l)
		}
	}
	if allocs[0].Data == nil || allocs[1].Data == nil {
		x.note("no profiles of allocations")
		return
	}
	if x.Allocs, err = DiffAllocs(allocs); err != nil {
		x.note("profiles of allocations: %v", err)
	}
}

// planned is a trial as the scenario plans it, for what follows from its phases alone.
func planned(s *scenarios.Scenario) *results.Trial {
	t := &results.Trial{}
	for _, p := range s.Phases {
		t.Phases = append(t.Phases, results.Phase{Name: p.Name, Load: p.Load, Measure: p.Measure})
	}
	return t
}

// ProfileSpan is when a CPU profile is to be taken in a trial of scenario s, given the rounds that count of the run that was
// measured with scenario of: over the headline phase, of an overload for as long as it took in the median round, in
// proportion to what is offered. edge tells where a phase of s begins and ends; end is the end of the last one.
func ProfileSpan(rounds []Round, of, s *scenarios.Scenario, edge func(name string) (from, to int64, ok bool), end int64) (observed.Span, error) {
	phase := analysis.Headline(planned(of), of)
	if phase == nil {
		return observed.Span{}, errors.New("its scenario has no measured phase with arrivals: there is nothing to profile")
	}
	from, to, ok := edge(phase.Name)
	if !ok {
		return observed.Span{}, fmt.Errorf("the scenario has no phase %s", phase.Name)
	}
	var took []float64
	for _, r := range rounds {
		if span := Span(r.Trial, of); span != nil {
			took = append(took, float64(span.ToNs-span.FromNs))
		}
	}
	if phase.Load == "overload" && len(took) > 0 {
		share := 1.0
		if a, b := burstOf(of, phase.Name), burstOf(s, phase.Name); a > 0 && b > 0 {
			share = float64(b) / float64(a)
		}
		to = min(max(to, from+int64(share*valueOf(took, "").Median)), end)
	}
	return observed.Span{FromNs: from, ToNs: to}, nil
}

func burstOf(s *scenarios.Scenario, phase string) int {
	for _, p := range s.Phases {
		if p.Name == phase {
			return p.Arrivals.Burst
		}
	}
	return 0
}
