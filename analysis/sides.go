package analysis

import "github.com/millrace/millrace/internal/hist"

// sides sets the response times of the headline phase's requests by whether they asked for the server's work.
func (m *measurement) sides() {
	p := m.loaded()
	if p == nil || p.Work == nil || p.Bystander == nil {
		return
	}
	p50, p99 := func(s hist.Summary) *int64 { return s.P50 }, func(s hist.Summary) *int64 { return s.P99 }
	m.summary(p.Bystander.Response, "p50-bystander-ns", p50)
	m.summary(p.Bystander.Response, "p99-bystander-ns", p99)
	m.summary(p.Work.Response, "p50-work-ns", p50)
	m.summary(p.Work.Response, "p99-work-ns", p99)
}
