package recording

import (
	"maps"
	"os"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/procfs"
)

// Facts are what only the engine knows of a load that is over.
type Facts struct {
	Engine string `json:"engine"`
	// Note is why another engine ran than the plan names; empty if none did.
	Note string `json:"note,omitempty"`
	// EndNs is the CLOCK_MONOTONIC time at which the load ended.
	EndNs       int64 `json:"end_ns"`
	Interrupted bool  `json:"interrupted,omitempty"`
	// CPUSeconds of the whole process over the phases.
	CPUSeconds float64 `json:"cpu_seconds"`
	Congestion string  `json:"congestion_control,omitempty"`
	// Limited counts requests of steady measured phases that a limit of the engine, named by Limit, held back.
	Limited int64  `json:"limited,omitempty"`
	Limit   string `json:"limit,omitempty"`
	// Received is how many frames came, in a load that sends no requests.
	Received int64 `json:"received,omitempty"`
	// Goroutines is whether goroutines send the requests.
	Goroutines bool `json:"goroutines,omitempty"`
	// Stamped is what the kernel's time stamps say; nil of an engine that asks for none.
	Stamped *Stamped `json:"stamped,omitempty"`
	// TLS, whose HandshakeNs is made of Handshakes; both nil without TLS.
	TLS        *clients.TLSReport `json:"tls,omitempty"`
	Handshakes *hist.Histogram    `json:"handshakes,omitempty"`
}

// latencies are those of one phase or several, and what has none: bad requests and failed attempts to connect.
type latencies struct {
	*cellHists
	connect     *hist.Histogram
	bad, failed int64
}

func (l *latencies) add(o *latencies) {
	l.merge(o.cellHists)
	l.connect.Merge(o.connect)
	l.bad += o.bad
	l.failed += o.failed
}

func (l *latencies) summaries() (response, service, lag, connect hist.Summary) {
	return l.response.Summary(l.bad), l.service.Summary(l.bad), l.lag.Summary(0), l.connect.Summary(l.failed)
}

// Report waits for the collector, closes the logs and adds everything up. Every shard must be closed. An error is one of
// writing the logs: the report is complete all the same.
func (rec *Recording) Report(f Facts) (*clients.Report, error) {
	err := rec.end()
	return rec.report(f), err
}

// end waits for the collector and takes what its witness saw.
func (rec *Recording) end() error {
	<-rec.done
	rec.kernel, rec.peakRSS = rec.witness.Kernel(), peakRSS()
	for i := range rec.tl.Spans {
		rec.surroundings = append(rec.surroundings, rec.witness.Between(i))
	}
	return rec.logs.Close()
}

// report adds up a recording that has ended.
func (rec *Recording) report(f Facts) *clients.Report {
	end := min(f.EndNs-rec.t0, rec.tl.End())
	split, share := f.Stamped.split()
	if f.TLS != nil && f.Handshakes != nil {
		f.TLS.HandshakeNs = f.Handshakes.Summary(0)
	}
	r := &clients.Report{
		Schema: clients.Schema, Engine: f.Engine, EngineNote: f.Note, URL: rec.plan.URL, Requests: len(rec.plan.Requests),
		UnixSocket: rec.plan.UnixSocket, Loop: "open", Seed: rec.plan.Seed, Spin: rec.plan.Spin, T0Ns: rec.t0,
		DurationSeconds:  float64(max(end-rec.tl.Start(), 0)) / 1e9,
		ClientCPUSeconds: f.CPUSeconds, ClientPeakRSSBytes: rec.peakRSS, Congestion: f.Congestion, Interrupted: f.Interrupted, TLS: f.TLS, Split: split,
		IntervalNs: IntervalNs, Intervals: rec.intervals(end), Seconds: []hist.Summary{},
	}
	for i := 0; i < len(rec.seconds) && int64(i)*1e9 < end; i++ {
		r.Seconds = append(r.Seconds, rec.seconds[i].summary)
	}
	r.PerSecond = rec.perSecond(len(r.Seconds))
	measured := latencies{cellHists: newCellHists(), connect: hist.New()}
	var why clients.ConnectTally
	for _, s := range rec.shards {
		why.Add(&s.why)
		r.ConnectionsOpened += s.opened
		measured.connect.Merge(s.before)
		measured.failed += s.failed
		r.ConnectionsWanted += s.Wanted
		r.ConnectionsLost += s.Lost
		r.ConnectionsReopened += s.Reopened
		r.ConnectionsRenewed += s.Renewed
		r.ConnectionsOpen += s.Open
		r.BodyBytesIn += s.BodyBytesIn
		for status, n := range s.Statuses {
			if n > 0 {
				if r.HTTPStatus == nil {
					r.HTTPStatus = map[int]int64{}
				}
				r.HTTPStatus[status] += int64(n)
			}
		}
		r.BodyBytesOut += s.BodyBytesOut
	}
	r.ConnectFailures, r.ConnectFailuresByKind = why.Sum(), why.Named()
	var total clients.Tally
	trickle, both := &apart{}, &sides{} // of the measured phases
	for i, s := range rec.tl.Spans {
		p, t, l := rec.phaseReport(i, end)
		r.Phases = append(r.Phases, p)
		r.Planned += p.Planned
		r.Trickled += p.Trickled
		total.Add(&t)
		if s.Measure {
			measured.add(&l)
			trickle.add(rec.trickled(i))
			both.add(rec.sides(i))
		}
	}
	r.Outcomes = total.Named()
	r.ResponseNs, r.ServiceNs, r.LagNs, r.ConnectNs = measured.summaries()
	r.TrickleNs = trickle.summary()
	r.Work, r.Bystander = both.reports()
	if r.DurationSeconds > 0 {
		r.AchievedRPS = float64(total[clients.OK]) / r.DurationSeconds
	}
	if rec.tl.closedLoop() {
		r.Loop = "closed"
	} else {
		r.OfferedRPS = rateOf(r.Planned, r.DurationSeconds)
	}
	r.Judge(rec.checks(r, f, share, measured.connect, why.Short(), end)...)
	return r
}

// phaseReport adds up one phase until the end of the load.
func (rec *Recording) phaseReport(i int, end int64) (clients.PhaseReport, clients.Tally, latencies) {
	s := rec.tl.Spans[i]
	p := clients.PhaseReport{Name: s.Name, Load: s.Load, Measure: s.Measure, FromNs: s.From, ToNs: s.To}
	var t clients.Tally
	var ok int64 // within the phase, whenever due
	l := latencies{cellHists: rec.phases[i], connect: hist.New()}
	for _, r := range rec.shards {
		for c := range r.cells {
			if rec.tl.cells[c].span == int32(i) {
				e := &r.cells[c]
				p.Planned += e.planned
				p.Waited += e.waited
				t.Add(&e.tally)
				if e.planned > 0 {
					p.DrainedNs = max(p.DrainedNs, e.last-rec.t0)
				}
			}
		}
		if r.connect[i] != nil {
			l.connect.Merge(r.connect[i])
		}
		l.failed += r.flow[i].failed
		ok += r.flow[i].ok
	}
	if t[clients.Unsent]+t[clients.InFlight] > 0 {
		p.DrainedNs = 0
	}
	length := float64(max(min(end, s.To)-s.From, 0)) / 1e9
	if length > 0 {
		p.AchievedRPS = float64(ok) / length
	}
	if !s.Closed {
		p.OfferedRPS = rateOf(p.Planned, length)
	}
	p.Outcomes = t.Named()
	trickle := rec.trickled(i)
	p.Trickled, p.TrickleNs = trickle.Planned, trickle.summary()
	p.Work, p.Bystander = rec.sides(i).reports()
	l.bad = p.Planned - trickle.Planned - (t[clients.OK] - trickle.OK)
	p.ResponseNs, p.ServiceNs, p.LagNs, p.ConnectNs = l.summaries()
	return p, t, l
}

// perSecond adds up the requests of the first n seconds.
func (rec *Recording) perSecond(n int) []clients.Second {
	out := make([]clients.Second, n)
	tallies := make([]clients.Tally, n)
	for _, r := range rec.shards {
		for c := range r.cells {
			if i := int(rec.tl.cells[c].second); i < n {
				out[i].Planned += r.cells[c].planned
				tallies[i].Add(&r.cells[c].tally)
			}
		}
	}
	for i := range out {
		out[i].Outcomes = tallies[i].Named()
		maps.DeleteFunc(out[i].Outcomes, func(_ string, n int64) bool { return n == 0 })
	}
	return out
}

// minWindowReplies is how many replies an interval's p99 needs: ten of them are beyond it. By itself it is no figure to print, the
// rule of which asks for a hundred; many of them have a median that is.
const minWindowReplies = 1000

// intervals adds up the intervals of all shards until the end.
func (rec *Recording) intervals(end int64) []clients.Interval {
	n := int((max(end, 0) + IntervalNs - 1) / IntervalNs)
	out := make([]clients.Interval, n)
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
			if w.OK >= minWindowReplies {
				o.P99Ns = append(o.P99Ns, r.windows[i].p99Ns)
			}
		}
	}
	return out
}

// peakRSS is the peak of this process's resident memory in bytes, zero where it can't be read.
func peakRSS() int64 {
	p, err := procfs.OpenProcess(os.Getpid())
	if err != nil {
		return 0
	}
	defer p.Close()
	u, _ := p.Read()
	return u.RSSPeakBytes
}

func rateOf(n int64, seconds float64) *float64 {
	var r float64
	if seconds > 0 {
		r = float64(n) / seconds
	}
	return &r
}
