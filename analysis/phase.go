package analysis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
)

// figure is one of PhaseMetrics with how it is had: its value, or why there is none.
type figure struct {
	results.Info
	of func(*measurement, *results.Phase) (value float64, why string)
}

// PhaseMetrics are the figures that Phase takes of one phase of a trial, in the order of tables. Their names and units are those
// of results.Metrics where both have them, but there they are of the headline phase, and here of any. A level is the median
// over the phase; peak- is its largest reading, and end- the one closest to the phase's end. Read only.
var PhaseMetrics = infosOf(phaseFigures())

// Phase returns the figures of one phase of a trial, by the names of PhaseMetrics, from its record and its readings, which are in
// order of time. What could not be measured is absent from values, and notes says why, a line "name: reason" each. The error of
// a phase that the trial doesn't have lists those that it has. It is pure and may be called concurrently.
func Phase(t *results.Trial, readings []results.Reading, phase string) (values map[string]float64, notes []string, err error) {
	m := &measurement{trial: t, readings: readings}
	p := m.phase(func(p *results.Phase) bool { return p.Name == phase })
	if p == nil {
		var known []string
		for i := range t.Phases {
			known = append(known, t.Phases[i].Name)
		}
		return nil, nil, fmt.Errorf("measuring phase %q of %s: want one of %s", phase, t.ID, strings.Join(known, ", "))
	}
	values = map[string]float64{}
	for _, f := range phaseFigures() {
		v, why := f.of(m, p)
		if why != "" {
			notes = append(notes, f.Name+": "+why)
			continue
		}
		values[f.Name] = v
	}
	return values, notes, nil
}

// PhaseMetric returns the description of the phase's metric of that name.
func PhaseMetric(name string) (results.Info, bool) {
	i := slices.IndexFunc(PhaseMetrics, func(m results.Info) bool { return m.Name == name })
	if i < 0 {
		return results.Info{}, false
	}
	return PhaseMetrics[i], true
}

func infosOf(figures []figure) []results.Info {
	list := make([]results.Info, len(figures))
	for i, f := range figures {
		list[i] = f.Info
	}
	return list
}

// phaseFigures is the one table of what is taken of a phase.
func phaseFigures() []figure {
	list := slices.Concat(latencyFigures, flowFigures, costFigures)
	for _, r := range levels {
		list = append(list, r.figures()...)
	}
	return list
}

// quantile is a figure of one of a phase's histograms.
func quantile(name, title string, of func(*results.Phase) hist.Summary, value func(hist.Summary) *int64) figure {
	return figure{results.Info{Name: name, Unit: "ns", Title: title, Better: results.BetterLower}, func(_ *measurement, p *results.Phase) (float64, string) {
		v := value(of(p))
		if v == nil {
			return 0, "too few replies, or too many requests without a good one"
		}
		return float64(*v), ""
	}}
}

func responseOf(p *results.Phase) hist.Summary { return p.Response }
func serviceOf(p *results.Phase) hist.Summary  { return p.Service }
func connectOf(p *results.Phase) hist.Summary  { return p.Connect }
func lagOf(p *results.Phase) hist.Summary      { return p.Lag }

var latencyFigures = []figure{
	quantile("p50-latency-ns", "response time, median", responseOf, func(s hist.Summary) *int64 { return s.P50 }),
	quantile("p90-latency-ns", "response time, 90th percentile", responseOf, func(s hist.Summary) *int64 { return s.P90 }),
	quantile("p99-latency-ns", "response time, 99th percentile", responseOf, func(s hist.Summary) *int64 { return s.P99 }),
	quantile("p99_9-latency-ns", "response time, 99.9th percentile", responseOf, func(s hist.Summary) *int64 { return s.P999 }),
	quantile("max-latency-ns", "response time, largest", responseOf, func(s hist.Summary) *int64 { return s.Max }),
	quantile("p50-service-ns", "time from sending to the reply, median", serviceOf, func(s hist.Summary) *int64 { return s.P50 }),
	quantile("p99-service-ns", "time from sending to the reply, 99th percentile", serviceOf, func(s hist.Summary) *int64 { return s.P99 }),
	quantile("p50-connect-ns", "time to an open connection, median", connectOf, func(s hist.Summary) *int64 { return s.P50 }),
	quantile("p99-connect-ns", "time to an open connection, 99th percentile", connectOf, func(s hist.Summary) *int64 { return s.P99 }),
	quantile("lag-p99-ns", "the load client's own lateness, 99th percentile", lagOf, func(s hist.Summary) *int64 { return s.P99 }),
}

// share is a figure of a phase's outcomes over what was planned.
func share(name, title string, count func(*results.Phase) int64) figure {
	return figure{results.Info{Name: name, Unit: "share", Title: title, Better: results.BetterLower}, func(_ *measurement, p *results.Phase) (float64, string) {
		if p.Planned < 1 {
			return 0, "no request was planned in the phase"
		}
		return float64(count(p)) / float64(p.Planned), ""
	}}
}

var flowFigures = []figure{
	{results.Info{Name: "offered-rps", Unit: "requests/s", Title: "requests that were due, a second", Better: results.BetterNone}, func(_ *measurement, p *results.Phase) (float64, string) {
		if p.OfferedRPS == nil {
			return 0, "a closed loop offers no rate"
		}
		return *p.OfferedRPS, ""
	}},
	{results.Info{Name: "achieved-rps", Unit: "requests/s", Title: "good replies a second that came during the phase", Better: results.BetterHigher}, func(m *measurement, p *results.Phase) (float64, string) {
		if p.ToNs <= p.FromNs || len(m.trial.Intervals) == 0 {
			return 0, "no replies were counted"
		}
		return m.repliesIn(p.FromNs, p.ToNs) / float64(p.ToNs-p.FromNs) * 1e9, ""
	}},
	share("failed-share", "share of the planned requests that got no good reply", func(p *results.Phase) int64 { return p.Planned - p.Outcomes["ok"] }),
	share("unanswered-share", "share of the planned requests that were not sent or not answered when the trial ended, which failed-share counts as well", func(p *results.Phase) int64 { return p.Outcomes["unsent"] + p.Outcomes["in_flight"] }),
	share("refused-share", "share of the planned requests whose connection was refused or reset", func(p *results.Phase) int64 { return p.Outcomes["refused"] + p.Outcomes["reset"] }),
	perSecond("accepted-rps", "connections/s", "connections accepted a second", results.BetterHigher, func(r *results.Reading) *int64 { return r.Accepted }),
}

// perSecond is the growth of a cumulative reading over the phase, a second.
func perSecond(name, unit, title, better string, value func(*results.Reading) *int64) figure {
	return figure{results.Info{Name: name, Unit: unit, Title: title, Better: better}, func(m *measurement, p *results.Phase) (float64, string) {
		a, b := m.near(p.FromNs, value), m.near(p.ToNs, value)
		if a == nil || b == nil || b.TNs <= a.TNs {
			return 0, "not read"
		}
		return float64(*value(b)-*value(a)) / float64(b.TNs-a.TNs) * 1e9, ""
	}}
}

// growth is that of a cumulative reading over the phase.
func growth(name, unit, title string, value func(*results.Reading) *int64) figure {
	return figure{results.Info{Name: name, Unit: unit, Title: title, Better: results.BetterLower}, func(m *measurement, p *results.Phase) (float64, string) {
		v, ok := m.delta(p.FromNs, p.ToNs, value)
		if !ok {
			return 0, "not read"
		}
		return v, ""
	}}
}

// perRequest is the growth of a cumulative reading over the phase by the good replies that came between the same readings.
func perRequest(name, unit, title string, value func(*results.Reading) *int64) figure {
	return figure{results.Info{Name: name, Unit: unit, Title: title, Better: results.BetterLower}, func(m *measurement, p *results.Phase) (float64, string) {
		return m.costOfReply(p.FromNs, p.ToNs, value)
	}}
}

// ratio is the growth of one cumulative reading by that of another.
func ratio(name, unit, title, without string, value, by func(*results.Reading) *int64) figure {
	return figure{results.Info{Name: name, Unit: unit, Title: title, Better: results.BetterLower}, func(m *measurement, p *results.Phase) (float64, string) {
		v, ok := m.delta(p.FromNs, p.ToNs, value)
		d, both := m.delta(p.FromNs, p.ToNs, by)
		switch {
		case !ok || !both:
			return 0, "not read"
		case d <= 0:
			return 0, without
		}
		return v / d, ""
	}}
}

func gcCPU(r *results.Reading) *int64     { return r.GCCPUNs }
func voluntary(r *results.Reading) *int64 { return r.SwitchesVoluntary }
func accepts(r *results.Reading) *int64   { return r.Accepted }

var costFigures = []figure{
	perRequest("cpu-per-req-ns", "ns", "server CPU time a request", (*results.Reading).CPUNs),
	perRequest("alloc-bytes-per-req", "bytes", "bytes that the server allocated a request", func(r *results.Reading) *int64 { return r.AllocBytes }),
	perRequest("allocs-per-req", "objects", "objects that the server allocated a request", func(r *results.Reading) *int64 { return r.AllocObjects }),
	perRequest("switches-per-req", "switches", "voluntary context switches of the server a request", voluntary),
	ratio("switches-per-accept", "switches", "voluntary context switches of the server a connection accepted", "no connection was accepted", voluntary, accepts),
	ratio("alloc-bytes-per-accept", "bytes", "bytes that the server allocated a connection accepted", "no connection was accepted", func(r *results.Reading) *int64 { return r.AllocBytes }, accepts),
	ratio("gc-share", "share", "garbage collection's share of the server's CPU time", "the server took no CPU time", gcCPU, (*results.Reading).CPUNs),
	growth("gc-cycles", "cycles", "garbage collections", func(r *results.Reading) *int64 { return r.GCCycles }),
	growth("gc-pause-ns", "ns", "time in garbage collection's pauses, together", func(r *results.Reading) *int64 { return r.GCPauseNs }),
	{results.Info{Name: "gc-pause-max-ns", Unit: "ns", Title: "upper bound of the largest pause of garbage collection from the server's start to the phase's end", Better: results.BetterLower}, func(m *measurement, p *results.Phase) (float64, string) {
		value := func(r *results.Reading) *int64 { return r.GCPauseMaxNs }
		r := m.near(p.ToNs, value)
		if r == nil {
			return 0, "not read"
		}
		return float64(*value(r)), ""
	}},
	{results.Info{Name: "cpu-cores", Unit: "cores", Title: "server CPU time by time", Better: results.BetterLower}, func(m *measurement, p *results.Phase) (float64, string) {
		a, b := m.near(p.FromNs, (*results.Reading).CPUNs), m.near(p.ToNs, (*results.Reading).CPUNs)
		if a == nil || b == nil || b.TNs <= a.TNs {
			return 0, "not read"
		}
		return float64(*b.CPUNs()-*a.CPUNs()) / float64(b.TNs-a.TNs), ""
	}},
}

// level is a resource that stands at some height at any time.
type level struct {
	name, unit, title string
	value             func(*results.Reading) *int64
}

var levels = []level{
	{"RSS-bytes", "bytes", "resident memory", func(r *results.Reading) *int64 { return r.RSSBytes }},
	{"anon-RSS-bytes", "bytes", "anonymous resident memory", func(r *results.Reading) *int64 { return r.RSSAnonBytes }},
	{"stack-bytes", "bytes", "goroutine stacks", func(r *results.Reading) *int64 { return r.StackBytes }},
	{"heap-inuse-bytes", "bytes", "heap in use", func(r *results.Reading) *int64 { return r.HeapInUseBytes }},
	{"heap-live-bytes", "bytes", "heap that was live after the last collection", func(r *results.Reading) *int64 { return r.HeapLiveBytes }},
	{"runtime-other-bytes", "bytes", "memory of the Go runtime that is neither heap nor stack", func(r *results.Reading) *int64 { return r.RuntimeOtherBytes }},
	{"socket-bytes", "bytes", "kernel socket memory, both ends", func(r *results.Reading) *int64 { return r.SocketBytes }},
	{"kernel-bytes", "bytes", "kernel slab and socket memory of the host, both ends", kernelBytes},
	{"goroutines", "goroutines", "goroutines", func(r *results.Reading) *int64 { return r.Goroutines }},
	{"threads", "threads", "threads", func(r *results.Reading) *int64 { return r.Threads }},
	{"open-connections", "connections", "connections that the server has open", func(r *results.Reading) *int64 { return r.Open }},
}

// figures are the level's median over the phase, its largest reading, and the one closest to the phase's end.
func (l level) figures() []figure {
	info := func(prefix, suffix string) results.Info {
		return results.Info{Name: prefix + l.name, Unit: l.unit, Title: l.title + suffix, Better: results.BetterLower}
	}
	over := func(of func([]float64) float64) func(*measurement, *results.Phase) (float64, string) {
		return func(m *measurement, p *results.Phase) (float64, string) {
			v := m.values(p.FromNs, p.ToNs, l.value)
			if len(v) == 0 {
				return 0, "not read"
			}
			return of(v), ""
		}
	}
	return []figure{
		{info("", ", median over the phase"), over(medianOf)},
		{info("peak-", ", largest reading"), over(func(v []float64) float64 { return slices.Max(v) })},
		{info("end-", " at the phase's end"), func(m *measurement, p *results.Phase) (float64, string) {
			r := m.near(p.ToNs, l.value)
			if r == nil || max(r.TNs-p.ToNs, p.ToNs-r.TNs) > second/4 {
				return 0, "not read within a quarter of a second"
			}
			return float64(*l.value(r)), ""
		}},
	}
}
