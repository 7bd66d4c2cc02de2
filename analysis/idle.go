package analysis

import (
	"math"
	"slices"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
)

// slopeConfidence is asked of the interval of bytes per connection; four steps give 91.7 %.
const slopeConfidence = 0.95

// maxOpenOff is the share by which the connections that the server counts may differ from the step's, to count as that step.
const maxOpenOff = 0.01

// timeWaitBytes is the slab that a socket in TIME_WAIT holds: a tcp_timewait_sock of some 250 bytes and, on the side that
// connected, a bind bucket and its entry, rounded up to what the kernel's caches hand out.
const timeWaitBytes = 400

// maxTimeWaitBend is the share of the kernel's slope that sockets in TIME_WAIT may make up.
const maxTimeWaitBend = 0.02

// hold is a step of the ladder: a phase that stands still with so many connections.
type hold struct {
	phase *results.Phase
	open  int
}

// holds lists the measured phases that set a number of open connections.
func (m *measurement) holds() []hold {
	var out []hold
	for _, p := range m.scenario.Phases {
		if p.Open == 0 || !p.Measure {
			continue
		}
		if q := m.phase(func(q *results.Phase) bool { return q.Name == p.Name }); q != nil {
			out = append(out, hold{q, p.Open})
		}
	}
	return out
}

// held lists the holds at which as many connections were open as planned: a line through the others would have wrong x.
func (m *measurement) held() []hold {
	var out []hold
	for _, h := range m.holds() {
		open := medianOf(m.values(h.settled(), h.phase.ToNs, func(r *results.Reading) *int64 { return r.Open }))
		off := math.Abs(open-float64(h.open)) > maxOpenOff*float64(h.open)
		switch {
		case math.IsNaN(open):
			m.note("%s: the server's open connections were not read, taken to be %d", h.phase.Name, h.open)
		case off:
			m.note("%s: %.0f connections were open instead of %d: left out of every slope", h.phase.Name, open, h.open)
			continue
		}
		out = append(out, h)
	}
	return out
}

// settled is where the second half of the hold begins, in ns after T0.
func (h hold) settled() int64 { return (h.phase.FromNs + h.phase.ToNs) / 2 }

// idle measures what a connection costs: the slope of a line through the medians over the second half of each step.
// The kernel's side is sockets' buffers and slab together, of both ends, since both are on this host.
func (m *measurement) idle() {
	holds := m.held()
	if base := m.slope("user-bytes-per-conn", holds, func(r *results.Reading) *int64 { return r.RSSAnonBytes }); !math.IsNaN(base) {
		m.set("base-RSS-bytes", base)
	}
	m.kernelSlope(holds)
	m.slope("goroutines-per-conn", holds, func(r *results.Reading) *int64 { return r.Goroutines })
	if p := m.loaded(); p != nil && p.Response.P99 != nil {
		m.set("active-p99-latency-ns", float64(*p.Response.P99))
	}
}

// kernelSlope sets the kernel's bytes per connection, unless sockets in TIME_WAIT came or went meanwhile, as those of the
// trial before do for a minute: their memory is in the host's slab as well.
func (m *measurement) kernelSlope(holds []hold) {
	const name = "kernel-bytes-per-conn"
	m.slope(name, holds, kernelBytes)
	line, ok := m.trial.Slopes[name]
	if !ok {
		return
	}
	first, last := holds[0], holds[len(holds)-1]
	waiting := m.values(first.settled(), last.phase.ToNs, func(r *results.Reading) *int64 { return r.TimeWait })
	if len(waiting) == 0 {
		m.note("sockets in TIME_WAIT were not read: kernel-bytes-per-conn holds whatever came or went of them")
		return
	}
	changed := slices.Max(waiting) - slices.Min(waiting)
	bend := changed * timeWaitBytes / float64(last.open-first.open)
	if bend > maxTimeWaitBend*math.Abs(line.PerConn) {
		delete(m.trial.Metrics, name)
		delete(m.trial.Slopes, name)
		m.note("%s: %.0f sockets in TIME_WAIT came or went meanwhile, up to %.0f bytes a connection: wait a minute after churn", name, changed, bend)
	}
}

// kernelBytes is slab and sockets' buffers of the host.
func kernelBytes(r *results.Reading) *int64 {
	if r.SlabBytes == nil || r.SocketBytes == nil {
		return nil
	}
	sum := *r.SlabBytes + *r.SocketBytes
	return &sum
}

// slope sets a metric and its interval, and returns the intercept.
func (m *measurement) slope(name string, holds []hold, value func(*results.Reading) *int64) float64 {
	var x, y []float64
	for _, h := range holds {
		v := medianOf(m.values(h.settled(), h.phase.ToNs, value))
		if math.IsNaN(v) {
			m.note("%s: no reading in the second half of %s", name, h.phase.Name)
			continue
		}
		x, y = append(x, float64(h.open)), append(y, v)
	}
	const fewest = 4 // connection counts, method 2
	line := inference.TheilSen(x, y, slopeConfidence)
	if len(x) < fewest || math.IsNaN(line.Slope) {
		m.note("%s: a slope needs %d steps, %d were read", name, fewest, len(x))
		return math.NaN()
	}
	m.set(name, line.Slope)
	if m.trial.Slopes == nil {
		m.trial.Slopes = map[string]results.Slope{}
	}
	s := results.Slope{PerConn: line.Slope, Lo: line.Lo, Hi: line.Hi, Intercept: line.Intercept, Confidence: line.Confidence, N: line.N}
	for i := range x {
		s.Points = append(s.Points, [2]float64{x[i], y[i]})
	}
	m.trial.Slopes[name] = s
	return line.Intercept
}

// churn measures new connections: how fast the server took them, and what closing them left in TIME_WAIT.
func (m *measurement) churn() {
	p := m.loaded()
	if p == nil {
		return
	}
	accepted := func(r *results.Reading) *int64 { return r.Accepted }
	if a, b := m.near(p.FromNs, accepted), m.near(p.ToNs, accepted); a != nil && b != nil && b.TNs > a.TNs {
		m.set("accepted-rps", float64(*b.Accepted-*a.Accepted)/float64(b.TNs-a.TNs)*1e9)
	}
	if v := p.Connect.P50; v != nil {
		m.set("p50-connect-ns", float64(*v))
	}
	if v := p.Connect.P99; v != nil {
		m.set("p99-connect-ns", float64(*v))
	}
	// What an earlier server at the same port has left is not this trial's.
	var before, after *results.Reading
	for i := range m.readings {
		r := &m.readings[i]
		if r.TimeWaitServer == nil || r.TimeWaitClient == nil {
			continue
		}
		if before == nil {
			before = r
		}
		if r.TNs >= p.ToNs && after == nil {
			after = r
		}
	}
	if before == nil || after == nil || before == after {
		m.note("time-wait: not read before and after %s", p.Name)
		return
	}
	m.set("time-wait-server", float64(max(0, *after.TimeWaitServer-*before.TimeWaitServer)))
	m.set("time-wait-client", float64(max(0, *after.TimeWaitClient-*before.TimeWaitClient)))
}
