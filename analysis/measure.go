// Package analysis turns records into numbers that can be defended: the metrics of a trial, and lines and intervals.
// Everything in it is a pure function of results.
package analysis

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// Measure fills t.Metrics, t.Slopes and t.Notes from the trial's own record and its readings, which are in order of
// time. What could not be measured is absent from Metrics. Notes says why, except of percentiles that too few samples
// support, which the report explains. The same input gives the same output, so that a run can be recomputed from its files.
func Measure(t *results.Trial, readings []results.Reading, s *scenarios.Scenario) {
	m := &measurement{trial: t, readings: readings, scenario: s}
	t.Metrics = map[string]float64{}
	head := m.headline()
	m.percentiles(head)
	if !s.Pushes() { // where nobody asks, there are no replies
		m.windows()
		m.achieved()
	}
	m.summary(t.Lag, "lag-p99-ns", func(s hist.Summary) *int64 { return s.P99 })
	m.shares()
	m.push()
	m.sides()
	if p := m.disturbance(); p != nil {
		m.burst(p)
	}
	if len(m.holds()) > 0 {
		m.idle()
	}
	if s.Has(scenarios.Churn) {
		m.churn()
	}
	if p := m.loaded(); p != nil {
		if !s.Pushes() {
			m.cpuPerRequest("cpu-per-req-ns", p.FromNs, p.ToNs)
		}
		m.levels(p)
		if s.Has(scenarios.Holding) {
			m.cores(p)
		}
	}
}

// measurement is one trial being measured.
type measurement struct {
	trial    *results.Trial
	readings []results.Reading
	scenario *scenarios.Scenario
}

func (m *measurement) set(name string, value float64) { m.trial.Metrics[name] = value }

func (m *measurement) note(format string, args ...any) {
	m.trial.Notes = append(m.trial.Notes, fmt.Sprintf(format, args...))
}

// phase returns the trial's phase of that name, or nil.
func (m *measurement) phase(match func(*results.Phase) bool) *results.Phase {
	for i := range m.trial.Phases {
		if p := &m.trial.Phases[i]; match(p) {
			return p
		}
	}
	return nil
}

// overload is the first measured phase that offers more than anyone can send, or nil.
func (m *measurement) overload() *results.Phase {
	return m.phase(func(p *results.Phase) bool { return p.Measure && p.Load == "overload" })
}

// loaded is the phase that the headline speaks of: the overload, else the last measured phase with arrivals, else, where connections
// are only held or the server sends on its own, the last measured one.
func (m *measurement) loaded() *results.Phase {
	if p := m.overload(); p != nil {
		return p
	}
	without := m.scenario.Has(scenarios.Holding) || m.scenario.Pushes()
	var last *results.Phase
	for i, p := range m.trial.Phases {
		if p.Measure && (without || m.offers(p.Name)) {
			last = &m.trial.Phases[i]
		}
	}
	return last
}

// disturbance is what the trial recovers from: the overload, or the windows in which the downstream behaves otherwise, as a phase
// from the begin of the first to the end of the last; nil where there is none.
func (m *measurement) disturbance() *results.Phase {
	if p := m.overload(); p != nil {
		return p
	}
	spans := m.scenario.Spans()
	if len(spans) == 0 {
		return nil
	}
	from, to := spans[0][0], spans[0][1]
	for _, s := range spans[1:] {
		from, to = min(from, s[0]), max(to, s[1])
	}
	within := m.phase(func(p *results.Phase) bool { return p.FromNs < to && to <= p.ToNs })
	if within == nil {
		return nil // the trial was cut off before
	}
	p := *within
	p.FromNs, p.ToNs, p.DrainedNs = from, to, to
	return &p
}

// levels sets the medians of memory and goroutines over a phase.
func (m *measurement) levels(p *results.Phase) {
	for _, r := range resources {
		if r.name != "RSS-bytes" && r.name != "goroutines" {
			continue
		}
		if v := m.values(p.FromNs, p.ToNs, r.value); len(v) > 0 {
			m.set(r.name, medianOf(v))
		} else {
			m.note("%s: not read during %s", r.name, p.Name)
		}
	}
}

// cores sets the server's CPU time by time over a phase in which nothing is asked for.
func (m *measurement) cores(p *results.Phase) {
	a, b := m.near(p.FromNs, (*results.Reading).CPUNs), m.near(p.ToNs, (*results.Reading).CPUNs)
	if a == nil || b == nil || b.TNs <= a.TNs {
		m.note("cpu-cores: no readings of it at the server")
		return
	}
	m.set("cpu-cores", float64(*b.CPUNs()-*a.CPUNs())/float64(b.TNs-a.TNs))
}

// offers reports whether the scenario's phase of that name has arrivals of its own.
func (m *measurement) offers(name string) bool {
	for _, p := range m.scenario.Phases {
		if p.Name == name {
			return p.Arrivals != scenarios.Arrivals{}
		}
	}
	return false
}

func (m *measurement) headline() hist.Summary {
	if p := m.loaded(); p != nil {
		return p.Response
	}
	return m.trial.Response
}

// percentiles sets the response percentiles that enough samples support.
func (m *measurement) percentiles(s hist.Summary) {
	m.summary(s, "p50-latency-ns", func(s hist.Summary) *int64 { return s.P50 })
	m.summary(s, "p90-latency-ns", func(s hist.Summary) *int64 { return s.P90 })
	m.summary(s, "p99-latency-ns", func(s hist.Summary) *int64 { return s.P99 })
	m.summary(s, "p99_9-latency-ns", func(s hist.Summary) *int64 { return s.P999 })
	m.summary(s, "max-latency-ns", func(s hist.Summary) *int64 { return s.Max })
}

// fewestWindows is how many windows a median needs: a p99 of 2000 replies scatters by some 15 %, the median of 20 such by 4 %.
const fewestWindows = 20

// windows sets the median over the windows of 100 ms of a steady headline phase of each window's p99. A stall of the host of some
// ms decides the p99 of a whole trial at light load; here it is in one window or two of ten a second.
func (m *measurement) windows() {
	p := m.loaded()
	if p == nil || p.Load == "overload" {
		return
	}
	var list []float64
	all := 0
	for i, v := range m.trial.Intervals {
		if from := int64(i) * m.trial.IntervalNs; from < p.FromNs || from+m.trial.IntervalNs > p.ToNs {
			continue
		}
		all++
		for _, ns := range v.P99Ns {
			list = append(list, float64(ns))
		}
	}
	if len(list) < fewestWindows || 5*len(list) < 2*all {
		m.note("window-p99-latency-ns: %d of %d windows of %s have the 1000 replies that are wanted of one: want 40 %% of them, and at least %d",
			len(list), all, p.Name, fewestWindows)
		return
	}
	m.set("window-p99-latency-ns", medianOf(list))
}

func (m *measurement) summary(s hist.Summary, name string, value func(hist.Summary) *int64) {
	if v := value(s); v != nil {
		m.set(name, float64(*v))
	}
}

// achieved is the rate of good replies that came during the headline phase, whenever their requests were due.
func (m *measurement) achieved() {
	p := m.loaded()
	switch {
	case p == nil:
	case p.ToNs <= p.FromNs || len(m.trial.Intervals) == 0:
		m.note("achieved-rps: no replies were counted over %s", p.Name)
	default:
		m.set("achieved-rps", m.repliesIn(p.FromNs, p.ToNs)/float64(p.ToNs-p.FromNs)*1e9)
	}
}

// shares sets the GC's share of the server's CPU time over the measured phases, and the sampler's share of a core.
//
// GC share = Δgc CPU ÷ Δprocess CPU. The runtime moves its GC clock when a cycle ends, so without a cycle it is 0.
func (m *measurement) shares() {
	from, to := m.span()
	gc, okGC := m.delta(from, to, func(r *results.Reading) *int64 { return r.GCCPUNs })
	cpu, okCPU := m.delta(from, to, (*results.Reading).CPUNs)
	if okGC && okCPU && cpu > 0 {
		m.set("gc-share", gc/cpu)
	}
	if own, ok := m.delta(from, to, func(r *results.Reading) *int64 { return r.SamplerCPUNs }); ok && to > from {
		m.set("sampler-cpu-share", own/float64(to-from))
	}
}

// span is from the first measured phase's begin to the last one's end.
func (m *measurement) span() (from, to int64) {
	first := true
	for _, p := range m.trial.Phases {
		if p.Measure {
			if first {
				from, first = p.FromNs, false
			}
			to = p.ToNs
		}
	}
	return from, to
}

// cpuPerRequest sets CPU time of the server between two times ÷ good replies in between.
func (m *measurement) cpuPerRequest(name string, from, to int64) {
	v, why := m.costOfReply(from, to, (*results.Reading).CPUNs)
	if why != "" {
		m.note("%s: %s", name, why)
		return
	}
	m.set(name, v)
}

// costOfReply is the growth of a cumulative reading between two times ÷ good replies in between, or why there is none.
func (m *measurement) costOfReply(from, to int64, value func(*results.Reading) *int64) (cost float64, why string) {
	// The readings nearest to the ends bound the span, and replies are counted over the same span.
	a, b := m.near(from, value), m.near(to, value)
	if a == nil || b == nil || b.TNs <= a.TNs {
		return 0, "no readings of it at the server"
	}
	replies := m.repliesIn(a.TNs, b.TNs)
	if replies < 1 {
		return 0, "no good reply in the phase"
	}
	return float64(*value(b)-*value(a)) / replies, ""
}

// repliesIn counts good replies between two times; an interval that is cut counts by its share.
func (m *measurement) repliesIn(from, to int64) float64 {
	var sum float64
	for i, v := range m.trial.Intervals {
		lo, hi := int64(i)*m.trial.IntervalNs, int64(i+1)*m.trial.IntervalNs
		if covered := min(hi, to) - max(lo, from); covered > 0 {
			sum += float64(v.OK) * float64(covered) / float64(m.trial.IntervalNs)
		}
	}
	return sum
}

// near returns the reading closest to a time that has the value, or nil.
func (m *measurement) near(at int64, value func(*results.Reading) *int64) *results.Reading {
	var best *results.Reading
	distance := func(r *results.Reading) int64 { return max(r.TNs-at, at-r.TNs) }
	for i := range m.readings {
		r := &m.readings[i]
		if value(r) != nil && (best == nil || distance(r) < distance(best)) {
			best = r
		}
	}
	return best
}

// delta is the growth of a cumulative value between the readings nearest to two times.
func (m *measurement) delta(from, to int64, value func(*results.Reading) *int64) (float64, bool) {
	a, b := m.near(from, value), m.near(to, value)
	if a == nil || b == nil || b.TNs <= a.TNs {
		return 0, false
	}
	return float64(*value(b) - *value(a)), true
}

// values lists a value of the readings in [from, to], in order of time.
func (m *measurement) values(from, to int64, value func(*results.Reading) *int64) []float64 {
	var out []float64
	for i := range m.readings {
		r := &m.readings[i]
		if v := value(r); v != nil && r.TNs >= from && r.TNs <= to {
			out = append(out, float64(*v))
		}
	}
	return out
}

// medianOf is the median of values in any order; NaN of none.
func medianOf(values []float64) float64 {
	return inference.Median(slices.Clone(values))
}
