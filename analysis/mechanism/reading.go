package mechanism

import (
	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/results"
)

// notHere is the reason of a metric that a scenario doesn't have, or that the trial could not measure: its notes say why.
const notHere = "the trials have no such metric: the report's footnotes say why"

// noReadings is the reason where readings lack what a figure needs.
const noReadings = "the readings lack it"

type reading = func(*results.Reading) *int64

// metric is one of the trial's own.
func metric(name string) func(*cut) (float64, string) {
	return func(c *cut) (float64, string) {
		if v, ok := c.Trial.Metrics[name]; ok {
			return v, ""
		}
		return 0, notHere
	}
}

// ends are the readings that have a value and are nearest to the ends of the span; false where they don't bound most of it.
func (c *cut) ends(value reading) (a, b *results.Reading, ok bool) {
	a, b = analysis.Near(c.Readings, c.span.FromNs, value), analysis.Near(c.Readings, c.span.ToNs, value)
	return a, b, a != nil && b != nil && 2*(b.TNs-a.TNs) >= c.span.ToNs-c.span.FromNs
}

// perReply is the growth of a value read from outside ÷ good replies that the client counted in between.
func perReply(value reading) func(*cut) (float64, string) {
	return func(c *cut) (float64, string) {
		a, b, ok := c.ends(value)
		if !ok {
			return 0, noReadings
		}
		replies := analysis.Replies(c.Trial, a.TNs, b.TNs)
		if replies < 1 {
			return 0, "no good reply in the phase"
		}
		return float64(*value(b)-*value(a)) / replies, ""
	}
}

// perHandled is the growth of a value that the server tells ÷ the requests that it tells in the same breath: under load its
// answer is of a time up to 50 ms later than the reading's, and both are of the same time.
func perHandled(value reading) func(*cut) (float64, string) {
	both := func(r *results.Reading) *int64 {
		if r.Handled == nil {
			return nil
		}
		return value(r)
	}
	return func(c *cut) (float64, string) {
		a, b, ok := c.ends(both)
		if !ok {
			return 0, noReadings
		}
		handled := *b.Handled - *a.Handled
		if handled < 1 {
			return 0, "the server handled no request in the phase"
		}
		return float64(*value(b)-*value(a)) / float64(handled), ""
	}
}

func times(factor float64, f func(*cut) (float64, string)) func(*cut) (float64, string) {
	return func(c *cut) (float64, string) {
		v, why := f(c)
		return factor * v, why
	}
}

func requestsPerWakeUp(c *cut) (float64, string) {
	v, why := perHandled(func(r *results.Reading) *int64 { return r.SwitchesVoluntary })(c)
	if why == "" && v <= 0 {
		why = "there was no wake-up in the phase"
	}
	if why != "" {
		return 0, why
	}
	return 1 / v, ""
}

// gcShare is GC CPU ÷ process CPU over the span, as in METHOD: the runtime moves its clock when a cycle ends.
func gcShare(c *cut) (float64, string) {
	gc := func(r *results.Reading) *int64 { return r.GCCPUNs }
	a, b, ok := c.ends(gc)
	x, y, okCPU := c.ends((*results.Reading).CPUNs)
	if !ok || !okCPU || *y.CPUNs() <= *x.CPUNs() {
		return 0, noReadings
	}
	return float64(*gc(b)-*gc(a)) / float64(*y.CPUNs()-*x.CPUNs()), ""
}

// schedulerLatency is the median over the readings of the span; each is the p99 since the one before.
func schedulerLatency(c *cut) (float64, string) {
	v := valueOf(c.within(func(r *results.Reading) *int64 { return r.SchedP99Ns }), noReadings)
	return v.Median, v.Missing
}

func largest(value reading) func(*cut) (float64, string) {
	return func(c *cut) (float64, string) {
		v := valueOf(c.within(value), noReadings)
		return v.Hi, v.Missing
	}
}

// within lists a value of the readings of the span.
func (c *cut) within(value reading) []float64 {
	var all []float64
	for i := range c.Readings {
		r := &c.Readings[i]
		if v := value(r); v != nil && r.TNs >= c.span.FromNs && r.TNs <= c.span.ToNs {
			all = append(all, float64(*v))
		}
	}
	return all
}

func bodyBytes(r *results.Reading) *int64 { return sum(r.BodyBytesIn, r.BodyBytesOut) }

func sum(a, b *int64) *int64 {
	if a == nil || b == nil {
		return nil
	}
	s := *a + *b
	return &s
}
