package analysis

import (
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
)

// push sets what the subscribers that are not slow received in the measured phases: deliveries a second, the delivery lag, the share
// of the frames that did not come, and the server's CPU time a delivery.
//
//	missing share = missing ÷ (received + missing)
//
// CPU time is of the last measured phase, between the readings nearest to its ends, and goes over the deliveries in it, those to slow
// subscribers not counted.
func (m *measurement) push() {
	p := m.trial.Push
	if p == nil {
		return
	}
	var got results.PushCounts
	var length int64
	var last *results.Phase
	for i := range m.trial.Phases {
		if ph := &m.trial.Phases[i]; ph.Measure && ph.Push != nil {
			got.Received += ph.Push.Received
			got.Missing += ph.Push.Missing
			length += ph.ToNs - ph.FromNs
			last = ph
		}
	}
	if got.Received == 0 || length <= 0 {
		m.note("deliveries-rps: no frame came in a measured phase")
		return
	}
	m.set("deliveries-rps", float64(got.Received)/float64(length)*1e9)
	m.set("missing-share", float64(got.Missing)/float64(got.Received+got.Missing))
	if p.Delivery == nil {
		m.note("p99-delivery-ns: %s", p.Refused)
	} else {
		m.summary(*p.Delivery, "p50-delivery-ns", func(s hist.Summary) *int64 { return s.P50 })
		m.summary(*p.Delivery, "p99-delivery-ns", func(s hist.Summary) *int64 { return s.P99 })
	}
	a, b := m.near(last.FromNs, (*results.Reading).CPUNs), m.near(last.ToNs, (*results.Reading).CPUNs)
	if a == nil || b == nil || b.TNs <= a.TNs || last.Push.Received == 0 {
		m.note("cpu-per-delivery-ns: no readings of the server's CPU time")
		return
	}
	deliveries := float64(last.Push.Received) / float64(last.ToNs-last.FromNs) * float64(b.TNs-a.TNs)
	m.set("cpu-per-delivery-ns", float64(*b.CPUNs()-*a.CPUNs())/deliveries)
}
