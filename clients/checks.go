package clients

import (
	"fmt"
	"math"
	"slices"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
)

// Limits of the checks, from docs/METHOD.md.
const (
	lagLimitNs     = 50_000 // or
	lagLimitShare  = 0.05   // of the response p99, if that is more
	lagSpoilsShare = 0.50   // of the response p99: beyond it that figure is mostly the client
	lateShareLimit = 0.01   // of the windows of IntervalNs
	// gapLimitNs is more than a shard takes for a full batch of events with the writes between them: 64 of some 25 µs.
	gapLimitNs    = 2_000_000
	offeredLimit  = 0.01 // of what is planned in a second
	cpuLimit      = 0.80 // of a load thread
	littleLimit   = 0.02 // open loop
	starveLimit   = 0.05 // closed loop
	answeredLimit = 0.99 // of the requests of a steady phase
	// offeredSlack requests may fall on the wrong side of a second's edge at low rates.
	offeredSlack = 2
)

// figures are the numbers of one measured phase that its checks judge.
type figures struct {
	name     string
	overload bool
	closed   bool
	length   int64 // ns, as far as it ran
	planned  int64
	outcomes int64 // sum of all
	ok       int64
	counted  int64 // histogram count of response times, values outside the range included

	lagP99, responseP99 int64
	windows             []window // those that lie wholly within the phase, over all shards; lagP99Ns and gapNs are the largest
	cpu                 float64  // of the busiest load thread, as a share
	areaNs, heldNs      int64
	finished            int64
	slots               int64 // requests that the active connections can carry at once
}

// checks runs every client-side check over the measured phases and keeps, for each check, its worst phase.
func (rec *Recording) checks(r *Report, end int64) []validity.Check {
	perPhase := []func(figures) validity.Check{lagCheck, offeredCheck, identityCheck, cpuCheck, littleCheck, answeredCheck}
	out := make([]validity.Check, len(perPhase))
	measured := false
	for i, s := range rec.tl.Spans {
		if !s.Measure || s.From >= end {
			continue
		}
		g := rec.figures(i, end, r)
		for j, check := range perPhase {
			if c := check(g); !measured || worse(c, out[j]) {
				out[j] = c
			}
		}
		measured = true
	}
	if !measured {
		out = []validity.Check{{
			Name: "measured phases", State: validity.Unknown, Unit: "phases", Limit: 1,
			Reason: "no measured phase was reached", Remedy: "mark a phase with measure: true, or let the load run longer",
		}}
	}
	return append(out, keepAliveCheck(r.ConnectionsOpened, r.ConnectionsWanted, r.Interrupted))
}

// figures gathers the numbers of phase i.
func (rec *Recording) figures(i int, end int64, r *Report) figures {
	s, p := rec.tl.Spans[i], &r.Phases[i]
	h := rec.phases[i]
	g := figures{
		name: s.Name, overload: s.Load == "overload", closed: s.Closed, length: min(end, s.To) - s.From,
		planned: p.Planned, ok: p.Outcomes[OK.String()], counted: h.response.Count() + h.response.Outside(),
		lagP99: h.lag.Quantile(0.99), responseP99: h.response.Quantile(0.99),
	}
	for _, n := range p.Outcomes {
		g.outcomes += n
	}
	first, last := int((s.From+IntervalNs-1)/IntervalNs), int(min(end, s.To)/IntervalNs)
	g.windows = make([]window, max(last-first, 0))
	busy := last
	if g.overload { // the client is busy with it until it is drained
		busy = max(last, int(min(end, p.DrainedNs)/IntervalNs))
	}
	for _, sh := range rec.shards {
		var cpu int64
		for j := range g.windows {
			from, to := &sh.windows[first+j], &g.windows[j]
			to.Planned += from.Planned
			to.Sent += from.Sent
			to.offered += from.offered
			to.lagP99Ns = max(to.lagP99Ns, from.lagP99Ns)
			to.gapNs = max(to.gapNs, from.gapNs)
		}
		for j := first; j < busy; j++ {
			cpu += sh.windows[j].CPUNs
		}
		if n := busy - first; n > 0 {
			g.cpu = max(g.cpu, float64(cpu)/float64(int64(n)*IntervalNs))
		}
		g.areaNs += sh.flow[i].areaNs
		g.heldNs += sh.flow[i].heldNs
		g.finished += sh.flow[i].finished
		g.slots += sh.Slots[i-rec.tl.First]
	}
	return g
}

// lagCheck judges how late the client itself was: the p99 of the generator lag, and how many windows were late, by their
// own p99 or because the client did not look for replies. While all connections are busy only that shows a stall, since a
// connection becomes free when the client reads its reply.
func lagCheck(g figures) validity.Check {
	limit := max(lagLimitNs, lagLimitShare*float64(g.responseP99))
	c := validity.Check{Name: "generator lag", State: validity.OK, Value: float64(g.lagP99), Limit: limit, Unit: "ns"}
	if g.closed || g.planned == 0 {
		c.State = validity.NotApplicable
		return c
	}
	var late, all int
	gapLimit := max(gapLimitNs, limit)
	for _, w := range g.windows {
		if w.Sent == 0 && w.Planned == 0 {
			continue
		}
		all++
		if float64(w.lagP99Ns) > limit || float64(w.gapNs) > gapLimit {
			late++
		}
	}
	c.Remedy = "give the client CPUs of its own, or lower the rate"
	state, who := broken(g.overload)
	switch {
	case c.Value > limit:
		if c.State = state; c.Value <= lagSpoilsShare*float64(g.responseP99) {
			c.State = validity.Warn
		}
		c.Reason = fmt.Sprintf("%sphase %s: p99 of the generator lag %s, limit %s, so up to %.0f %% of the response p99 may be the client's own",
			who, g.name, quantity.Tick(c.Value, quantity.Time), quantity.Tick(limit, quantity.Time), min(100, 100*c.Value/float64(max(1, g.responseP99))))
	case late > 1 && float64(late) > lateShareLimit*float64(all):
		// One window is no share: a single stolen slice of the CPU makes one in any phase.
		c.State = validity.Warn
		c.Value, c.Limit, c.Unit = float64(late)/float64(all), lateShareLimit, "share"
		c.Reason = fmt.Sprintf("phase %s: in %d of %d windows of 100 ms the p99 of the generator lag was above %s, or the client did not look for replies for over %s",
			g.name, late, all, quantity.Tick(limit, quantity.Time), quantity.Tick(gapLimit, quantity.Time))
	default:
		c.Remedy = ""
	}
	return c
}

// offeredCheck judges whether in every second as much was sent, or waiting for a connection, as was planned.
func offeredCheck(g figures) validity.Check {
	c := validity.Check{Name: "offered rate", State: validity.OK, Value: 1, Limit: offeredLimit, Unit: "share"}
	const perSecond = 1_000_000_000 / IntervalNs
	if g.closed || len(g.windows) < perSecond || g.planned == 0 {
		c.State = validity.NotApplicable
		return c
	}
	worst, second := 0.0, 0
	for i := 0; i+perSecond <= len(g.windows); i += perSecond {
		var planned, offered int64
		for _, w := range g.windows[i : i+perSecond] {
			planned += w.Planned
			offered += w.offered
		}
		off := math.Abs(float64(offered - planned))
		if planned == 0 || off <= offeredSlack {
			continue
		}
		if share := off / float64(planned); share > worst {
			worst, second = share, i/perSecond
			c.Value = float64(offered) / float64(planned)
		}
	}
	if worst > offeredLimit {
		state, who := broken(g.overload)
		c.State = state
		c.Reason = fmt.Sprintf("%sphase %s, second %d: %.1f %% of the planned requests were sent or waiting for a connection, limit 100 ± 1 %%",
			who, g.name, second, 100*c.Value)
		c.Remedy = "the client stalled: give it CPUs of its own, or lower the rate"
	}
	return c
}

// identityCheck judges whether every planned request has one outcome, and every good one a latency.
func identityCheck(g figures) validity.Check {
	c := validity.Check{Name: "outcome identity", State: validity.OK, Value: float64(g.outcomes), Limit: float64(g.planned), Unit: "requests"}
	switch {
	case g.outcomes != g.planned:
		c.Reason = fmt.Sprintf("phase %s: %d planned, but %d outcomes", g.name, g.planned, g.outcomes)
	case g.counted != g.ok:
		c.Value, c.Limit = float64(g.counted), float64(g.ok)
		c.Reason = fmt.Sprintf("phase %s: %d ok, but %d latencies", g.name, g.ok, g.counted)
	default:
		return c
	}
	c.State, c.Remedy = validity.Fail, "this is a fault of the client: please report it"
	return c
}

// answeredCheck judges whether the latencies, which are of good replies only, speak for the phase.
func answeredCheck(g figures) validity.Check {
	c := validity.Check{Name: "good replies", State: validity.OK, Value: 1, Limit: answeredLimit, Unit: "share"}
	if g.planned == 0 || g.overload {
		c.State = validity.NotApplicable
	} else if c.Value = float64(g.ok) / float64(g.planned); c.Value < answeredLimit {
		if c.State = validity.Warn; g.ok == 0 {
			c.State = validity.Fail
		}
		c.Reason = fmt.Sprintf("phase %s: %.1f %% of %d requests got a good reply, and latencies are of those only", g.name, 100*c.Value, g.planned)
		c.Remedy = "see the outcomes, and ask the server by hand"
	}
	return c
}

// cpuCheck judges whether the busiest load thread had time to spare.
func cpuCheck(g figures) validity.Check {
	c := validity.Check{Name: "generator CPU", State: validity.OK, Value: g.cpu, Limit: cpuLimit, Unit: "share"}
	state, who := broken(g.overload)
	switch {
	case g.closed || len(g.windows) == 0:
		c.State = validity.NotApplicable
	case g.cpu > cpuLimit:
		c.State = state
		c.Reason = fmt.Sprintf("%sphase %s and its drain: a load thread took %.0f %% of a CPU, limit %.0f %%", who, g.name, 100*g.cpu, 100*cpuLimit)
		c.Remedy = "give the client more CPUs, or lower the rate"
	}
	return c
}

// littleCheck judges the client's books by Little's law, L = λ·W over the phase's length T:
//
//	∫ in flight dt = Σ (done − begun)         open loop
//	X·R ÷ N = 1                               closed loop
//
// Where: X = throughput, R = mean service time, N = requests that the active connections can carry at once. In an open
// loop both sides come from the same events, so that they differ only if the client lost or doubled some: it says nothing
// of the server. In a closed loop it tells whether connections starved.
func littleCheck(g figures) validity.Check {
	c := validity.Check{Name: "bookkeeping (Little's law)", State: validity.OK, Value: 1, Limit: littleLimit, Unit: "share"}
	if g.closed {
		c.Limit = starveLimit
	}
	if g.overload || g.finished == 0 || g.areaNs == 0 {
		c.State = validity.NotApplicable
		return c
	}
	if g.closed {
		c.Value = float64(g.heldNs) / (float64(g.length) * float64(g.slots))
		if math.Abs(c.Value-1) > starveLimit {
			c.State = validity.Warn
			c.Reason = fmt.Sprintf("phase %s: throughput × service time is %.1f %% of the connections: some sat idle", g.name, 100*c.Value)
			c.Remedy = "lower connections.count, or give the client more CPUs"
		}
		return c
	}
	c.Value = float64(g.heldNs) / float64(g.areaNs)
	if math.Abs(c.Value-1) > littleLimit {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("phase %s: by the client's own books, rate × service time is %.1f %% of the mean number in flight, limit 100 ± 2 %%", g.name, 100*c.Value)
		c.Remedy = "requests were lost or counted twice: please report it"
	}
	return c
}

// keepAliveCheck judges whether as many connections were opened as the plan needs.
func keepAliveCheck(opened, wanted int64, interrupted bool) validity.Check {
	c := validity.Check{Name: "keep-alive truth", State: validity.OK, Value: float64(opened), Limit: float64(wanted), Unit: "connections"}
	switch {
	case interrupted && opened < wanted:
		c.State = validity.NotApplicable
	case opened > wanted:
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("%d connections were opened, %d would have done: some were closed early", opened, wanted)
		c.Remedy = "see the outcomes eof, reset and timeout, and the server's limit of requests a connection"
	case opened < wanted:
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("%d of %d connections could be opened", opened, wanted)
		c.Remedy = "see the outcomes refused, connect_timeout and no_port; lower connections.count or connections.rate"
	}
	return c
}

// broken is the state of a check whose limit was passed, and how its reason begins: in overload more is offered than
// anyone can send, so that it only says who was the limit.
func broken(overload bool) (validity.State, string) {
	if overload {
		return validity.Warn, "client-bound: "
	}
	return validity.Fail, ""
}

// worse reports whether a ended worse than b, or as well with the larger value.
func worse(a, b validity.Check) bool {
	rank := []validity.State{validity.NotApplicable, validity.OK, validity.Unknown, validity.Warn, validity.Fail}
	if d := slices.Index(rank, a.State) - slices.Index(rank, b.State); d != 0 {
		return d > 0
	}
	return a.Value > b.Value
}
