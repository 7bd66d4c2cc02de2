package analysis

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
)

const second = int64(1e9)

// answeredWell is the share of the burst's requests that must have got a good reply for the drain to mean anything: a server
// that refuses or resets is done with a burst at once.
const answeredWell = 0.999

// recoveredWithin is how close to the baseline's the p99 must come to count as back.
const recoveredWithin = 1.10

// leastRise is the rise in bytes whose half-life means something; smaller ones are the heap's own breathing.
const leastRise = 1 << 20

// residueAfter are the seconds after the burst's end at which what it left behind is read.
var residueAfter = []int64{1, 10, 20, 60}

// resources are what a burst may leave behind, by the name that stands in the metrics.
var resources = []struct {
	name  string
	value func(*results.Reading) *int64
}{
	{"RSS-bytes", func(r *results.Reading) *int64 { return r.RSSBytes }},
	{"stack-bytes", func(r *results.Reading) *int64 { return r.StackBytes }},
	{"goroutines", func(r *results.Reading) *int64 { return r.Goroutines }},
	{"socket-bytes", func(r *results.Reading) *int64 { return r.SocketBytes }},
}

// burst measures what an overload does and leaves behind.
func (m *measurement) burst(burst *results.Phase) {
	base := m.baselineBefore(burst)
	if burst.Load == "overload" {
		m.drain(burst)
	}
	for _, r := range resources {
		m.residue(burst, base, r.name, r.value)
	}
	if base == nil {
		m.note("no measured steady phase before %s: nothing to compare with", burst.Name)
		return
	}
	m.summary(base.Response, "baseline-p50-latency-ns", func(s hist.Summary) *int64 { return s.P50 })
	m.summary(base.Response, "baseline-p99-latency-ns", func(s hist.Summary) *int64 { return s.P99 })
	m.cpuPerRequest("baseline-cpu-per-req-ns", base.FromNs, base.ToNs)
	m.recovery(burst, base)
}

// baselineBefore is the last measured steady phase before p, or nil.
func (m *measurement) baselineBefore(p *results.Phase) *results.Phase {
	var base *results.Phase
	for i, q := range m.trial.Phases {
		if q.Measure && q.Load == "steady" && q.ToNs <= p.FromNs {
			base = &m.trial.Phases[i]
		}
	}
	return base
}

// drain sets the time from the burst's begin until its last request had an outcome, and the rate of good replies until
// then. The base load that goes on meanwhile is part of that rate. Neither is set where too many requests failed.
func (m *measurement) drain(burst *results.Phase) {
	why := ""
	ok := burst.Outcomes["ok"]
	switch {
	case burst.DrainedNs == 0:
		why = fmt.Sprintf("%d of the burst's %d requests were unanswered at the end", burst.Outcomes["in_flight"]+burst.Outcomes["unsent"], burst.Planned)
	case float64(ok) < answeredWell*float64(burst.Planned):
		why = fmt.Sprintf("%d of the burst's %d requests failed (%s), a drain needs %.1f %% good replies",
			burst.Planned-ok, burst.Planned, failures(burst.Outcomes), answeredWell*100)
	}
	if why != "" {
		m.note("drain-time-ns: %s", why)
		m.note("goodput-rps: %s", why)
		return
	}
	took := burst.DrainedNs - burst.FromNs
	m.set("drain-time-ns", float64(took))
	if took > 0 {
		m.set("goodput-rps", m.repliesIn(burst.FromNs, burst.DrainedNs)/float64(took)*1e9)
	}
}

// failures lists the outcomes that are not ok, with their counts, in order of their names.
func failures(outcomes map[string]int64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		if n := outcomes[name]; n > 0 && name != "ok" {
			out = append(out, fmt.Sprintf("%s %d", name, n))
		}
	}
	return strings.Join(out, ", ")
}

// residue sets a resource's median before the burst, its peak from the burst on, and how much more than before there
// is some seconds after the burst's end, and at the end of the trial.
func (m *measurement) residue(burst, base *results.Phase, name string, value func(*results.Reading) *int64) {
	end := m.trial.Phases[len(m.trial.Phases)-1].ToNs
	after := m.values(burst.FromNs, end, value)
	if base == nil || len(after) == 0 {
		m.note("%s: not read", name)
		return
	}
	before := medianOf(m.values(base.FromNs, base.ToNs, value))
	if math.IsNaN(before) {
		m.note("%s: not read before the burst", name)
		return
	}
	m.set("before-"+name, before)
	m.set("peak-"+name, slices.Max(after))
	for _, s := range residueAfter {
		at := burst.ToNs + s*second
		if at > end {
			continue
		}
		if r := m.near(at, value); r != nil && max(r.TNs-at, at-r.TNs) <= second/4 {
			m.set(fmt.Sprintf("residue-%ds-%s", s, name), float64(*value(r))-before)
		}
	}
	if name == "RSS-bytes" {
		m.set("residue-"+name, after[len(after)-1]-before)
		if rise := slices.Max(after) - before; rise < leastRise {
			m.note("half-life-RSS-ns: the peak is only %.0f bytes above the level before, a half-life needs %d", rise, leastRise)
		} else {
			m.halfLife(burst, end, before, value)
		}
	}
}

// halfLife sets the time from the peak until half of what came on top of before is gone, if that was seen.
func (m *measurement) halfLife(burst *results.Phase, end int64, before float64, value func(*results.Reading) *int64) {
	var peak float64
	var peakAt int64
	for i := range m.readings {
		r := &m.readings[i]
		v := value(r)
		if v == nil || r.TNs < burst.FromNs || r.TNs > end {
			continue
		}
		if float64(*v) > peak {
			peak, peakAt = float64(*v), r.TNs
			delete(m.trial.Metrics, "half-life-RSS-ns")
			continue
		}
		if _, seen := m.trial.Metrics["half-life-RSS-ns"]; !seen && float64(*v)-before <= (peak-before)/2 {
			m.set("half-life-RSS-ns", float64(r.TNs-peakAt))
		}
	}
}

// settled is when, from a time on, no more requests were due and unfinished than come due in one interval; zero if never.
// Behind the burst's last request wait those of the base load that came due meanwhile.
func (m *measurement) settled(from int64) int64 {
	var backlog int64
	for i, v := range m.trial.Intervals {
		backlog += v.Planned - v.OK - v.Failed
		if to := int64(i+1) * m.trial.IntervalNs; to >= from && backlog <= v.Planned {
			return to
		}
	}
	return 0
}

// recovery sets how long after the burst's end the p99 of a one-second window is back within 10 % of the baseline's
// median window and stays there for the next window, and what a request costs in CPU time from then on until the end.
// Windows with fewer than 10 000 requests, or too many unanswered, have no p99 and can't tell.
func (m *measurement) recovery(burst, base *results.Phase) {
	end := m.trial.Phases[len(m.trial.Phases)-1].ToNs
	if settled := m.settled(max(burst.DrainedNs, burst.ToNs)); burst.DrainedNs > 0 && settled > 0 && end-settled >= 2*second {
		m.cpuPerRequest("recovery-cpu-per-req-ns", settled+second, end)
	} else {
		m.note("recovery-cpu-per-req-ns: less than 2 s were left when the backlog of the burst and of the load behind it was gone")
	}
	var windows []float64
	for s := ceilSecond(base.FromNs); (s+1)*second <= base.ToNs; s++ {
		if v := m.windowP99(s); v != nil {
			windows = append(windows, *v)
		}
	}
	if len(windows) == 0 {
		m.note("recover-p99-ns: no second of the baseline has the 10 000 replies that a p99 needs")
		return
	}
	m.back(burst, end, medianOf(windows))
}

// back sets when the p99 came back, from the windows after the burst. A window without p99 is unknown: where it matters
// whether such windows were back, a note says so. The last window is left out if it has none, since requests in flight at
// the end cut it.
func (m *measurement) back(burst *results.Phase, end int64, baseline float64) {
	first, after := ceilSecond(burst.ToNs), end/second
	if after > first && m.windowP99(after-1) == nil {
		after--
	}
	unknown := 0
	for s := first; s < after; s++ {
		if m.windowP99(s) == nil {
			unknown++
		}
	}
	limit := baseline * recoveredWithin
	surely := m.firstPair(first, after, func(p99 *float64) bool { return p99 != nil && *p99 <= limit })
	perhaps := m.firstPair(first, after, func(p99 *float64) bool { return p99 == nil || *p99 <= limit })
	switch {
	case surely >= 0:
		m.set("recover-p99-ns", float64(surely*second-burst.ToNs))
		if perhaps < surely {
			m.note("recover-p99-ns: p99 may have been back %d s earlier: windows before have no p99, too few replies or too many unanswered", surely-perhaps)
		}
	case perhaps >= 0:
		m.note("recover-p99-ns: unknown: %d of %d one-second windows after the burst have no p99, too few replies or too many unanswered", unknown, after-first)
	default:
		m.note("recover-p99-ns: p99 did not come back within 10 %% of the baseline's %.0f µs for two windows in a row before the end", baseline/1e3)
	}
}

// firstPair is the first second of [from, to) that is good and followed by another good one in there, or -1.
func (m *measurement) firstPair(from, to int64, good func(p99 *float64) bool) int64 {
	for s := from; s+1 < to; s++ {
		if good(m.windowP99(s)) && good(m.windowP99(s+1)) {
			return s
		}
	}
	return -1
}

// windowP99 is the p99 of the requests intended in second s, or nil.
func (m *measurement) windowP99(s int64) *float64 {
	if s < 0 || s >= int64(len(m.trial.SecondsNs)) || m.trial.SecondsNs[s].P99 == nil {
		return nil
	}
	v := float64(*m.trial.SecondsNs[s].P99)
	return &v
}

func ceilSecond(ns int64) int64 { return (ns + second - 1) / second }
