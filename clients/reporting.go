package clients

import (
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
)

// Facts are what only the engine knows of a load that is over.
type Facts struct {
	Engine string
	// EndNs is the CLOCK_MONOTONIC time at which the load ended.
	EndNs       int64
	Interrupted bool
	// CPUSeconds of the whole process over the phases, and the peak of its resident memory.
	CPUSeconds   float64
	PeakRSSBytes int64
	Congestion   string
	// LimitReached names a limit of the engine's own that held requests back; empty when the open loop stayed open.
	LimitReached string
}

// Report waits for the collector, closes the logs and adds everything up. Every shard must be closed. An error is one of
// writing the logs: the report is complete all the same.
func (rec *Recording) Report(f Facts) (*Report, error) {
	<-rec.done
	err := rec.closeLogs()
	if rec.err != nil {
		err = rec.err
	}
	end := min(f.EndNs-rec.t0, rec.tl.End())
	r := &Report{
		Schema: Schema, Engine: f.Engine, URL: rec.plan.URL, Loop: "open", Seed: rec.plan.Seed, T0Ns: rec.t0,
		DurationSeconds:  float64(max(end-rec.tl.Start(), 0)) / 1e9,
		ClientCPUSeconds: f.CPUSeconds, ClientPeakRSSBytes: f.PeakRSSBytes, Congestion: f.Congestion, Interrupted: f.Interrupted,
		IntervalNs: IntervalNs, Intervals: rec.intervals(end), Seconds: []hist.Summary{},
	}
	for i := 0; i < len(rec.seconds) && int64(i)*1e9 < end; i++ {
		r.Seconds = append(r.Seconds, rec.seconds[i].summary)
	}
	for _, s := range rec.shards {
		r.ConnectionsOpened += s.opened
		r.ConnectFailures += s.failed
		r.ConnectionsWanted += s.Wanted
		r.BodyBytesIn += s.BodyBytesIn
		r.BodyBytesOut += s.BodyBytesOut
	}
	var total tally
	whole, connect := newCellHists(), hist.New()
	for _, s := range rec.shards {
		connect.Merge(s.before)
	}
	for i := range rec.tl.Spans {
		p, t, c := rec.phaseReport(i, end)
		r.Phases = append(r.Phases, p)
		r.Planned += p.Planned
		total.add(&t)
		whole.merge(rec.phases[i])
		connect.Merge(c)
	}
	r.Outcomes = total.named()
	// Every request without a good reply counts as infinite.
	bad := r.Planned - total[OK]
	r.ResponseNs, r.ServiceNs = whole.response.Summary(bad), whole.service.Summary(bad)
	r.LagNs, r.ConnectNs = whole.lag.Summary(0), connect.Summary(0)
	if r.DurationSeconds > 0 {
		r.AchievedRPS = float64(total[OK]) / r.DurationSeconds
	}
	if rec.tl.closedLoop() {
		r.Loop = "closed"
	} else {
		r.OfferedRPS = rateOf(r.Planned, r.DurationSeconds)
	}
	r.Checks = rec.checks(f, r, end)
	r.Verdict, r.Reasons = validity.Judge(r.Checks)
	return r, err
}

// phaseReport adds up one phase until the end of the load.
func (rec *Recording) phaseReport(i int, end int64) (PhaseReport, tally, *hist.Histogram) {
	s := rec.tl.Spans[i]
	p := PhaseReport{Name: s.Name, Load: s.Load, Measure: s.Measure, FromNs: s.From, ToNs: s.To}
	var t tally
	connect := hist.New()
	for _, r := range rec.shards {
		for c := range r.cells {
			if rec.tl.cells[c].span == int32(i) {
				e := &r.cells[c]
				p.Planned += e.planned
				t.add(&e.tally)
				if e.planned > 0 {
					p.DrainedNs = max(p.DrainedNs, e.last-rec.t0)
				}
			}
		}
		if r.connect[i] != nil {
			connect.Merge(r.connect[i])
		}
	}
	if t[Unsent]+t[InFlight] > 0 {
		p.DrainedNs = 0
	}
	length := float64(max(min(end, s.To)-s.From, 0)) / 1e9
	if length > 0 {
		p.AchievedRPS = float64(t[OK]) / length
	}
	if !s.Closed {
		p.OfferedRPS = rateOf(p.Planned, length)
	}
	p.Outcomes = t.named()
	h, bad := rec.phases[i], p.Planned-t[OK]
	p.ResponseNs, p.ServiceNs = h.response.Summary(bad), h.service.Summary(bad)
	p.LagNs, p.ConnectNs = h.lag.Summary(0), connect.Summary(0)
	return p, t, connect
}

// intervals adds up the intervals of all shards until the end.
func (rec *Recording) intervals(end int64) []Interval {
	n := int((max(end, 0) + IntervalNs - 1) / IntervalNs)
	out := make([]Interval, n)
	for _, r := range rec.shards {
		for i := range r.windows {
			// What was counted at the very end belongs to the last interval.
			if n == 0 {
				break
			}
			o, w := &out[min(i, n-1)], &r.windows[i].Interval
			o.Planned += w.Planned
			o.Sent += w.Sent
			o.OK += w.OK
			o.Failed += w.Failed
			o.Opened += w.Opened
			o.CPUNs += w.CPUNs
		}
	}
	return out
}

func rateOf(n int64, seconds float64) *float64 {
	var r float64
	if seconds > 0 {
		r = float64(n) / seconds
	}
	return &r
}
