package checks

import (
	"fmt"
	"math"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
)

// Limits of the generator's checks, from docs/METHOD.md.
const (
	lagLimitNs     = 50_000 // or
	lagLimitShare  = 0.05   // of the response p99, if that is more
	lagSpoilsShare = 0.50   // of the response p99: beyond it that figure is mostly the client
	lagSure        = 1000   // requests have ten beyond the p99 of their lag, enough to void a load; of 100 it is the latest one
	lateShareLimit = 0.01   // of the windows
	// longStallNs is more than a CPU shared with one other thread takes away at a time; rounded down to 2^24 ns.
	longStallNs      = 20_000_000
	stallSpoilsShare = 0.10 // of a closed loop's time: twice as much as a comparison is to see
	offeredLimit     = 0.01 // of what is planned in a second
	cpuLimit         = 0.80 // of a load thread
	// waitedLimit is more than the wake-ups of a busy open loop add up to; beyond waitedSpoils a thread lives on what others
	// leave.
	waitedLimit  = 0.10
	waitedSpoils = 0.25
	// offeredSlack requests may fall on the wrong side of a second's edge at low rates.
	offeredSlack = 2
)

// lagLimit is how long the client may be late by its own fault, in ns.
func lagLimit(p Phase) float64 { return max(lagLimitNs, lagLimitShare*float64(p.ResponseP99Ns)) }

// lagCheck judges how late the client itself was: the p99 of the generator lag, or of the delay by stalls, in which the client
// did not look for replies; and how many windows were late by either. While all connections are busy only stalls show, since
// a connection becomes free when the client reads its reply.
func lagCheck(p Phase) validity.Check {
	limit := lagLimit(p)
	c := validity.Check{Name: "generator lag", State: validity.OK, Value: float64(p.LagP99Ns), Limit: limit, Unit: "ns"}
	switch {
	case p.Planned == p.Trickled || p.OK == 0 || p.Closed && !p.Looks: // without a good reply there is no latency to spoil
		c.State = validity.NotApplicable
		return c
	case p.Closed:
		return stallCheck(c, p)
	}
	what, sure := "the generator lag", p.Planned-p.Trickled >= lagSure
	if stall := float64(p.Stalls.DelayNs(0.99, p.ThreadNs)); stall > c.Value {
		c.Value, what, sure = stall, "the delay by stalls of the client", true
	}
	late, all := lateWindows(p, limit)
	c.Remedy = "give the client CPUs of its own, and let it spin there (--spin, where it does not), or lower the rate"
	state, who := broken(p.Overload)
	switch {
	case c.Value > limit:
		if c.State = state; !sure || c.Value <= lagSpoilsShare*float64(p.ResponseP99Ns) {
			c.State = validity.Warn
		}
		c.Reason = fmt.Sprintf("%sphase %s: p99 of %s %s, limit %s, so up to %.0f %% of the response p99 may be the client's own",
			who, p.Name, what, quantity.Tick(c.Value, quantity.Time), quantity.Tick(limit, quantity.Time), min(100, 100*c.Value/float64(max(1, p.ResponseP99Ns))))
	case late > 1 && float64(late) > lateShareLimit*float64(all):
		// One window is no share: a single stolen slice of the CPU makes one in any phase.
		c.State = validity.Warn
		c.Value, c.Limit, c.Unit = float64(late)/float64(all), lateShareLimit, "share"
		c.Reason = fmt.Sprintf("phase %s: in %d of %d windows of 100 ms the p99 of the generator lag was above %s, or the client did not look for replies for over %s",
			p.Name, late, all, quantity.Tick(limit, quantity.Time), quantity.Tick(max(StallNs, limit), quantity.Time))
	default:
		c.Remedy = ""
	}
	return c
}

// lateWindows counts the windows in which the client was late, and those in which there was something to do.
func lateWindows(p Phase, limit float64) (late, all int) {
	for _, w := range p.Windows {
		if w.Sent == 0 && w.Planned == 0 {
			continue
		}
		all++
		if float64(w.LagP99Ns) > limit || float64(w.GapNs) > max(StallNs, limit) {
			late++
		}
	}
	return late, all
}

// stallCheck judges a closed loop, in which no schedule can be missed: but what a stall takes from the throughput is the
// client's, and so is what a free connection waits for it, which is in the response times.
func stallCheck(c validity.Check, p Phase) validity.Check {
	if spoils := lagSpoilsShare * float64(p.ResponseP99Ns); float64(p.LagP99Ns) > max(spoils, lagLimitNs) {
		c.State, c.Limit = validity.Warn, max(spoils, lagLimitNs)
		c.Reason = fmt.Sprintf("phase %s: p99 of what a free connection waited for the client %s, so that more than half of the response p99 may be the client's own",
			p.Name, quantity.Tick(float64(p.LagP99Ns), quantity.Time))
		c.Remedy = "take the throughput, or fewer connections, or a rate that leaves the client time"
		return c
	}
	c.Value, c.Limit, c.Unit = p.Stalls.Share(longStallNs, p.ThreadNs), lateShareLimit, "share"
	if c.Value > lateShareLimit {
		state, who := broken(p.Overload)
		if c.State = state; c.Value <= stallSpoilsShare {
			c.State = validity.Warn
		}
		c.Reason = fmt.Sprintf("%sphase %s: for %.1f %% of the time a load thread did not look for replies for %s or longer, limit %.0f %%: the throughput lacks as much",
			who, p.Name, 100*c.Value, quantity.Tick(longStallNs, quantity.Time), 100*lateShareLimit)
		c.Remedy = "give the client CPUs of its own"
	}
	return c
}

// offeredCheck judges whether in every second as much was sent, or waiting for a connection, as was planned. Its Value is the
// largest difference, as a share of the plan.
func offeredCheck(p Phase) validity.Check {
	c := validity.Check{Name: "offered rate", State: validity.OK, Limit: offeredLimit, Unit: "share"}
	const perSecond = 1_000_000_000 / WindowNs
	if p.Closed || len(p.Windows) < perSecond || p.Planned == 0 {
		c.State = validity.NotApplicable
		return c
	}
	second, ratio := 0, 1.0
	for i := 0; i+perSecond <= len(p.Windows); i += perSecond {
		var planned, offered int64
		for _, w := range p.Windows[i : i+perSecond] {
			planned += w.Planned
			offered += w.Offered
		}
		off := math.Abs(float64(offered - planned))
		if planned == 0 || off <= offeredSlack {
			continue
		}
		if share := off / float64(planned); share > c.Value {
			c.Value, second, ratio = share, i/perSecond, float64(offered)/float64(planned)
		}
	}
	if c.Value > offeredLimit {
		state, who := broken(p.Overload)
		c.State = state
		c.Reason = fmt.Sprintf("%sphase %s, second %d: %.1f %% of the planned requests were sent or waiting for a connection, limit 100 ± 1 %%",
			who, p.Name, second, 100*ratio)
		c.Remedy = "the client stalled: give it CPUs of its own, or lower the rate"
	}
	return c
}

// cpuCheck judges whether the busiest load thread had time to spare.
func cpuCheck(p Phase) validity.Check {
	c := validity.Check{Name: "generator CPU", State: validity.OK, Value: p.CPU, Limit: cpuLimit, Unit: "share"}
	state, who := broken(p.Overload)
	switch {
	case p.Closed || len(p.Windows) == 0:
		c.State = validity.NotApplicable
	case p.CPU > cpuLimit:
		c.State = state
		c.Reason = fmt.Sprintf("%sphase %s and its drain: a load thread took %.0f %% of a CPU, limit %.0f %%", who, p.Name, 100*p.CPU, 100*cpuLimit)
		c.Remedy = "give the client more CPUs, or lower the rate"
	}
	return c
}

// starvedCheck judges whether other threads kept a load thread off its CPU. What a reply waits for that is in no lag and in
// no stall: the client can't tell it from a late reply.
func starvedCheck(p Phase) validity.Check {
	c := validity.Check{Name: "generator CPU wait", State: validity.OK, Value: p.Waited, Limit: waitedLimit, Unit: "share"}
	state, who := broken(p.Overload)
	switch {
	case p.Closed || p.Waited == 0:
		c.State = validity.NotApplicable
	case p.Waited > waitedLimit:
		if c.State = state; p.Waited <= waitedSpoils {
			c.State = validity.Warn
		}
		c.Reason = fmt.Sprintf("%sphase %s: for %.0f %% of the time a load thread was ready and had no CPU, limit %.0f %%", who, p.Name, 100*p.Waited, 100*waitedLimit)
		c.Remedy = "give the client CPUs of its own, or a higher priority"
	}
	return c
}
