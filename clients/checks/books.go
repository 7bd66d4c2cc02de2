package checks

import (
	"fmt"
	"math"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
)

// Limits of the checks of the books, from docs/METHOD.md.
const (
	littleLimit   = 0.02 // open loop
	starveLimit   = 0.05 // closed loop
	answeredLimit = 0.99 // of the requests of a steady phase
)

// identityCheck judges whether every planned request has one outcome, and every good one a latency.
func identityCheck(p Phase) validity.Check {
	c := validity.Check{Name: "outcome identity", State: validity.OK, Value: float64(p.Outcomes), Limit: float64(p.Planned), Unit: "requests"}
	switch {
	case p.Outcomes != p.Planned:
		c.Reason = fmt.Sprintf("phase %s: %d planned, but %d outcomes", p.Name, p.Planned, p.Outcomes)
	case p.Counted != p.OK:
		c.Value, c.Limit = float64(p.Counted), float64(p.OK)
		c.Reason = fmt.Sprintf("phase %s: %d ok, but %d latencies", p.Name, p.OK, p.Counted)
	default:
		return c
	}
	c.State, c.Remedy = validity.Fail, "this is a fault of the client: please report it"
	return c
}

// answeredCheck judges whether the latencies, which are of good replies only, speak for the phase. In a closed loop what is in
// flight at the end was cut off, and says nothing.
func answeredCheck(p Phase) validity.Check {
	c := validity.Check{Name: "good replies", State: validity.OK, Value: 1, Limit: answeredLimit, Unit: "share"}
	judged := p.Planned
	if p.Closed && p.OK > 0 {
		judged -= p.InFlight
	}
	if judged <= 0 || p.Overload {
		c.State = validity.NotApplicable
	} else if c.Value = float64(p.OK) / float64(judged); c.Value < answeredLimit {
		if c.State = validity.Warn; p.OK == 0 {
			c.State = validity.Fail
		}
		c.Reason = fmt.Sprintf("phase %s: %.1f %% of %d requests got a good reply, and latencies are of those only; the others count as later than all", p.Name, 100*c.Value, judged)
		c.Remedy = "see the outcomes, and ask the server by hand"
		if p.OK+p.InFlight+p.Unsent == p.Planned && p.OK > 0 {
			c.Reason += fmt.Sprintf(": at the end %d were in flight and %d not sent yet", p.InFlight, p.Unsent)
			c.Remedy = "lower the rate, or give more connections or time: more was due than client and server worked off"
		}
	}
	return c
}

// littleCheck judges the client's books by Little's law, L = λ·W over the phase's length T:
//
//	∫ in flight dt = Σ (done − begun)         open loop
//	X·R ÷ N = 1                               closed loop
//
// Where: X = throughput, R = mean response time from when a connection was free, N = requests that the active connections can carry at once. In an open
// loop both sides come from the same events, so that they differ only if the client lost or doubled some: it says nothing
// of the server. In a closed loop it tells whether connections starved. Its Value is how far the two sides lie apart, as a share.
func littleCheck(p Phase) validity.Check {
	c := validity.Check{Name: "bookkeeping (Little's law)", State: validity.OK, Limit: littleLimit, Unit: "share"}
	if p.Closed {
		c.Limit = starveLimit
	}
	if p.Overload || p.Finished == 0 || p.AreaNs == 0 {
		c.State = validity.NotApplicable
		return c
	}
	if p.Closed {
		ratio := float64(p.HeldNs) / (float64(p.LengthNs) * float64(p.Slots))
		if c.Value = math.Abs(ratio - 1); c.Value > starveLimit {
			c.State = validity.Warn
			c.Reason = fmt.Sprintf("phase %s: throughput × response time is %.1f %% of the connections: some sat idle", p.Name, 100*ratio)
			c.Remedy = "lower connections.count, give the client more CPUs, or see the keep-alive truth: connections that are opened again carry nothing meanwhile"
		}
		return c
	}
	ratio := float64(p.HeldNs) / float64(p.AreaNs)
	if c.Value = math.Abs(ratio - 1); c.Value > littleLimit {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("phase %s: by the client's own books, rate × service time is %.1f %% of the mean number in flight, limit 100 ± 2 %%", p.Name, 100*ratio)
		c.Remedy = "requests were lost or counted twice: please report it"
	}
	return c
}

// goneCheck judges whether the server was there to the end: the latencies of a server that died are those of its good days.
func goneCheck(l Load) validity.Check {
	c := validity.Check{Name: "server to the end", State: validity.OK, Value: float64(l.Open), Unit: "connections"}
	if l.Kept && l.Lost > 0 && l.Open == 0 && l.Refused > 0 && !l.Interrupted {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("all connections were lost, %d in all, and at the end none could be opened again", l.Lost)
		c.Remedy = "see whether the server still runs; the figures are of the time before it went"
	}
	return c
}

// keepAliveCheck judges whether every connection that the plan needs was opened, and lived as long as it was to. One that was
// opened again makes up for none that never was. Its Value is without those, and where some were lost how many were.
func keepAliveCheck(l Load) validity.Check {
	first := l.Opened - l.Reopened
	c := validity.Check{Name: "keep-alive truth", State: validity.OK, Value: float64(first), Limit: float64(l.Wanted), Unit: "connections"}
	lost := fmt.Sprintf("%s ended early, and %d were opened again", quantity.Count(l.Lost, "connection"), l.Reopened)
	const closed = "see the outcomes eof, reset and timeout, and the server's limit of requests a connection"
	switch {
	case first < l.Wanted && !l.Interrupted:
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("%d of %d connections could be opened", first, l.Wanted)
		if l.Lost > 0 {
			c.Reason += "; " + lost
		}
		c.Remedy = "see connect_failures_by_kind in the report; lower connections.count or connections.rate"
	case l.Lost > 0:
		c.State, c.Value, c.Limit, c.Reason, c.Remedy = validity.Warn, float64(l.Lost), 0, lost, closed
	case first > l.Wanted: // of an engine that counts none as lost
		c.State, c.Remedy = validity.Warn, closed
		c.Reason = fmt.Sprintf("%d connections were opened, %d would have done: some were closed early", first, l.Wanted)
	case first < l.Wanted:
		c.State = validity.NotApplicable
	}
	return c
}
