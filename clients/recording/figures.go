package recording

import (
	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/clients/request"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// checks gathers the figures of the measured phases and has them judged.
func (rec *Recording) checks(r *clients.Report, f Facts, share checks.Share, connects *hist.Histogram, short, end int64) []validity.Check {
	l := checks.Load{
		Opened: r.ConnectionsOpened, Wanted: r.ConnectionsWanted, Lost: r.ConnectionsLost, Reopened: r.ConnectionsReopened, Open: r.ConnectionsOpen,
		Refused: r.ConnectFailures, Short: short, Kept: rec.plan.Scenario.Connections.Requests == 0, Interrupted: r.Interrupted, Planned: r.Planned + f.Received,
		NoPort: r.Outcomes[clients.NoPort.String()], Remote: request.Remote(rec.plan), Kernel: rec.kernel,
		ConnectModes: checks.Modes(connects.Between), Limited: f.Limited, Limit: f.Limit, Goroutines: f.Goroutines, Share: share,
	}
	// A resolved scenario's work is sound.
	if work, err := scenarios.ParseWork(rec.plan.Scenario.Work.Kind); err == nil && work.Duration > 0 {
		l.WorkNs = []int64{int64(work.Duration)}
	}
	for i, s := range rec.tl.Spans {
		if s.Measure && s.From < end {
			l.Phases = append(l.Phases, rec.figures(i, end, r))
		}
	}
	return checks.All(l)
}

// figures gathers the numbers of phase i.
func (rec *Recording) figures(i int, end int64, r *clients.Report) checks.Phase {
	s, p := rec.tl.Spans[i], &r.Phases[i]
	h := rec.phases[i]
	trickle := rec.trickled(i)
	apart := trickle.latencies()
	g := checks.Phase{
		Name: s.Name, Overload: s.Load == "overload", Recovers: i > 0 && rec.tl.Spans[i-1].Load == "overload", Closed: s.Closed, LengthNs: min(end, s.To) - s.From,
		Planned: p.Planned, OK: p.Outcomes[clients.OK.String()], Counted: h.response.Count() + h.response.Outside() + apart.Count() + apart.Outside(),
		Trickled: trickle.Planned, InFlight: p.Outcomes[clients.InFlight.String()], Unsent: p.Outcomes[clients.Unsent.String()],
		LagP99Ns: h.lag.Quantile(0.99), ResponseP99Ns: h.response.Quantile(0.99),
		Surroundings: rec.surroundings[i], Modes: checks.Modes(h.response.Between),
	}
	for j := int((s.From + 1e9 - 1) / 1e9); int64(j+1)*1e9 <= min(end, s.To); j++ {
		if x := rec.seconds[j].summary; x.Count > 0 {
			g.MeansNs = append(g.MeansNs, x.Mean)
		}
	}
	for _, n := range p.Outcomes {
		g.Outcomes += n
	}
	first, last := int((s.From+IntervalNs-1)/IntervalNs), int(min(end, s.To)/IntervalNs)
	g.Windows = make([]checks.Window, max(last-first, 0))
	busy := last
	if g.Overload { // the client is busy with it until it is drained
		busy = max(last, int(min(end, p.DrainedNs)/IntervalNs))
	}
	slot := &rec.plan.Slot // a load with slots works in these
	density, own := slot.Density(), 0
	mine := func(j int) bool {
		return slot.LengthNs < IntervalNs || slot.Own(int64(first+j)*IntervalNs+IntervalNs/2-rec.tl.Start())
	}
	for j := range g.Windows {
		if mine(j) {
			own++
		}
	}
	for _, sh := range rec.shards {
		var cpu, waited int64
		for j := range g.Windows {
			from, to := &sh.windows[first+j], &g.Windows[j]
			to.Planned += from.Planned
			to.Sent += from.Sent
			to.Offered += from.offered
			to.LagP99Ns = max(to.LagP99Ns, from.lagP99Ns)
			to.GapNs = max(to.GapNs, from.gapNs)
			if mine(j) { // in another's it is to wait
				waited += from.waitedNs
			}
		}
		for j := first; j < busy; j++ {
			cpu += sh.windows[j].CPUNs
		}
		if n := busy - first; n > 0 {
			g.CPU = max(g.CPU, density*float64(cpu)/float64(int64(n)*IntervalNs))
		}
		g.Waited = max(g.Waited, float64(waited)/float64(max(own, 1)*IntervalNs))
		g.Stalls.Merge(&sh.flow[i].stalls)
		g.ThreadNs += int64(float64(g.LengthNs) / density)
		g.Looks = g.Looks || sh.looks
		g.AreaNs += sh.flow[i].areaNs
		g.HeldNs += sh.flow[i].heldNs
		g.Finished += sh.flow[i].finished
		g.Slots += sh.Slots[i-rec.tl.First]
	}
	return g
}
