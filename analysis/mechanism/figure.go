// Package mechanism tells how two variants of a run differ in what a request costs them: CPU time, system calls, wake-ups,
// allocations, batches, and the functions behind. Everything in it is a pure function of results and profiles.
package mechanism

import (
	"fmt"
	"math"
	"slices"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/results/observed"
	"github.com/millrace/millrace/scenarios"
)

// Unit is what a figure counts.
type Unit int

// The units. A Share is of 1.
const (
	Number Unit = iota
	Ns
	Bytes
	PerSecond
	Share
)

// Value is a figure over rounds: its median, the smallest and the largest of N rounds. Of a trial of its own N is 1. Where
// it could not be had, N is 0 and Missing says why.
type Value struct {
	Median, Lo, Hi float64
	N              int
	// Confidence is zero, but of the ratio of IntervalRounds or more: Median is then the Hodges–Lehmann estimate and [Lo, Hi] its
	// signed-rank interval, which holds with Confidence.
	Confidence float64
	Missing    string
}

// IntervalRounds is the fewest rounds whose ratios have an interval; confidence is what is asked of it.
const (
	IntervalRounds = 6
	confidence     = 0.95
)

// Row is one figure of both variants.
type Row struct {
	// Key names the row for programs: "cpu-user", "syscall-read".
	Key, Title string
	Unit       Unit
	Values     [2]Value
	// Ratio is that of the second variant to the first, round by round; missing where the first has 0. From IntervalRounds on
	// it has an interval, unless the second has 0 in one of them: that has no logarithm.
	Ratio Value
	// Source says which trials the figures are from.
	Source string
}

// zeroFirst is why there is no ratio to nothing.
const zeroFirst = "the first variant has 0 of it: there is no ratio"

// Round is one trial of a variant with its readings, in order of time.
type Round struct {
	Trial    *results.Trial
	Readings []results.Reading
}

// Span is what the figures of a trial are over: the headline phase, of an overload until its last request had an outcome, for
// until then the server works at it; nil where the scenario has no such phase.
func Span(t *results.Trial, s *scenarios.Scenario) *observed.Span {
	p := analysis.Headline(t, s)
	if p == nil || p.ToNs <= p.FromNs {
		return nil
	}
	span := &observed.Span{FromNs: p.FromNs, ToNs: p.ToNs}
	if p.Load == "overload" {
		span.ToNs = max(span.ToNs, p.DrainedNs)
	}
	return span
}

// SpanName says in words what Span is.
func SpanName(t *results.Trial, s *scenarios.Scenario) string {
	p := analysis.Headline(t, s)
	switch {
	case p == nil:
		return "no phase with arrivals"
	case p.Load == "overload":
		return p.Name + ", until its last request had an outcome"
	}
	return p.Name
}

// cut is the span of one trial.
type cut struct {
	Round
	span observed.Span
}

// figure is how a row's value is had from a cut; the string says why it can't be.
type figure struct {
	key, title string
	unit       Unit
	of         func(*cut) (float64, string)
}

// measured are the rows that the records of measured trials hold, in order.
var measured = []figure{
	{"drain-time", "drain time", Ns, metric("drain-time-ns")},
	{"goodput", "goodput until drained", PerSecond, metric("goodput-rps")},
	{"achieved", "good replies a second", PerSecond, metric("achieved-rps")},
	{"p50", "response time, p50", Ns, metric("p50-latency-ns")},
	{"p99", "response time, p99", Ns, metric("p99-latency-ns")},
	{"rss", "resident memory, largest", Bytes, largest(func(r *results.Reading) *int64 { return r.RSSBytes })},
	{"cpu", "CPU time", Ns, perReply((*results.Reading).CPUNs)},
	{"cpu-user", "  in user mode", Ns, perReply(func(r *results.Reading) *int64 { return r.CPUUserNs })},
	{"cpu-system", "  in the kernel", Ns, perReply(func(r *results.Reading) *int64 { return r.CPUSystemNs })},
	{"gc-share", "  share of the garbage collector", Share, gcShare},
	{"gc-cycles", "GC cycles a million requests", Number, times(1e6, perHandled(func(r *results.Reading) *int64 { return r.GCCycles }))},
	{"alloc-objects", "allocated objects", Number, perHandled(func(r *results.Reading) *int64 { return r.AllocObjects })},
	{"alloc-bytes", "allocated bytes", Bytes, perHandled(func(r *results.Reading) *int64 { return r.AllocBytes })},
	{"wakeups", "wake-ups (voluntary switches)", Number, perHandled(func(r *results.Reading) *int64 { return r.SwitchesVoluntary })},
	{"batch", "requests per wake-up", Number, requestsPerWakeUp},
	{"involuntary", "involuntary switches", Number, perHandled(func(r *results.Reading) *int64 { return r.SwitchesInvoluntary })},
	{"sched-p99", "scheduler latency, p99 of 100 ms", Ns, schedulerLatency},
	{"goroutines", "goroutines, largest number", Number, largest(func(r *results.Reading) *int64 { return r.Goroutines })},
	{"body-bytes", "bytes of bodies, in and out", Bytes, perHandled(bodyBytes)},
}

// PerRequest tells whether a row of that key is of one request.
func PerRequest(key string) bool {
	return !slices.Contains([]string{"drain-time", "goodput", "achieved", "p50", "p99", "rss", "gc-share", "gc-cycles", "batch",
		"sched-p99", "goroutines", "requests-per-epoll-wait"}, key)
}

// Measured are the rows that the run's own records hold. Rounds that don't count are to be left out beforehand. A row that no
// round of either variant has, because its metric is not of this scenario, is left out.
func Measured(rounds [2][]Round, s *scenarios.Scenario) []Row {
	source := fmt.Sprintf("%d rounds of the run", len(rounds[0]))
	if n := len(rounds[1]); n != len(rounds[0]) {
		source = fmt.Sprintf("%d and %d rounds of the run", len(rounds[0]), n)
	} else if n == 1 {
		source = "1 round of the run"
	}
	var rows []Row
	for _, f := range measured {
		if row := rowOf(f, rounds, s); row.Values[0].Missing != notHere || row.Values[1].Missing != notHere {
			row.Source = source
			rows = append(rows, row)
		}
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Key == "goodput" }) { // the same, over less
		rows = slices.DeleteFunc(rows, func(r Row) bool { return r.Key == "achieved" })
	}
	return rows
}

// Own is a figure of Measured, such as "cpu", in a single trial.
func Own(key string, r Round, s *scenarios.Scenario) Value {
	i := slices.IndexFunc(measured, func(f figure) bool { return f.key == key })
	if i < 0 {
		return Value{Missing: "no such figure: " + key}
	}
	return rowOf(measured[i], [2][]Round{{r}}, s).Values[0]
}

func rowOf(f figure, rounds [2][]Round, s *scenarios.Scenario) Row {
	row := Row{Key: f.key, Title: f.title, Unit: f.unit}
	byRound := [2]map[int]float64{{}, {}}
	for side, list := range rounds {
		missing := "no trial of the run counts"
		var all []float64
		for _, r := range list {
			span := Span(r.Trial, s)
			if span == nil {
				missing = "the scenario has no measured phase with arrivals"
				continue
			}
			v, why := f.of(&cut{r, *span})
			if why != "" {
				missing = why
				continue
			}
			all = append(all, v)
			byRound[side][r.Trial.Round] = v
		}
		row.Values[side] = valueOf(all, missing)
	}
	var ratios []float64
	missing := "no round has both"
	for round, a := range byRound[0] {
		b, ok := byRound[1][round]
		switch {
		case ok && a > 0:
			ratios = append(ratios, b/a)
		case ok:
			missing = zeroFirst
		}
	}
	row.Ratio = ratioOver(ratios, missing)
	return row
}

// ratioOver is the estimate of the rounds' ratios with its interval, or where they have none their median and range.
func ratioOver(ratios []float64, missing string) Value {
	logs := make([]float64, len(ratios))
	for i, r := range ratios {
		logs[i] = math.Log(r)
	}
	e := inference.SignedRank(logs, confidence)
	if len(ratios) < IntervalRounds || math.IsNaN(e.Lo) {
		return valueOf(ratios, missing)
	}
	return Value{Median: math.Exp(e.Value), Lo: math.Exp(e.Lo), Hi: math.Exp(e.Hi), N: e.N, Confidence: e.Confidence}
}

// valueOf is the median of values with their range.
func valueOf(values []float64, missing string) Value {
	n := len(values)
	if n == 0 {
		return Value{Missing: missing}
	}
	return Value{Median: inference.Median(values), Lo: slices.Min(values), Hi: slices.Max(values), N: n}
}

// single is a figure of one trial.
func single(v float64) Value {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Value{Missing: "no request was answered"}
	}
	return Value{Median: v, Lo: v, Hi: v, N: 1}
}

// ratioOf is that of two figures of single trials.
func ratioOf(a, b Value) Value {
	switch {
	case a.N == 0 || b.N == 0:
		return Value{Missing: "not known of both"}
	case a.Median == 0:
		return Value{Missing: zeroFirst}
	}
	return single(b.Median / a.Median)
}
