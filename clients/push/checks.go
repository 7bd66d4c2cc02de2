package push

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
)

// Limits of the checks of push, from docs/METHOD.md.
const (
	heldLimitNs     = 50_000 // or
	heldLimitShare  = 0.05   // of the delivery p99, if that is more
	heldSpoilsShare = 0.50   // of the delivery p99
	// silenceNs without a frame at the end is a server that stopped, unless its frames came more seldom: then silenceGaps
	// mean distances are.
	silenceNs   = 1_000_000_000
	silenceGaps = 20
	// dropShare of the frames may be missing where the scenario lets the server drop them.
	dropShare = 0.01
)

// figures are what the checks judge.
type figures struct {
	push          *clients.PushReport
	wanted        int64 // connections, slow ones apart
	declared      bool  // the server was told to drop frames where a queue is full
	foreign       bool
	forgotten     int64 // subscribers for silenceNs or longer that had received nothing at the end
	deliveryP99Ns int64
	stalls        checks.Stalls // of all threads in measured phases
	threads       int64
	measuredNs    int64
	lengthNs      int64 // of the phases
	endNs         int64 // after T0
}

func (f *figures) checks() []validity.Check {
	return []validity.Check{f.books(), f.sequence(), f.subscribers(), f.clocks(), f.receiver()}
}

// books judges whether every number that was expected is accounted for. Missing is counted as gaps open and close, Expected
// from the ends of each connection's numbers.
func (f *figures) books() validity.Check {
	p := f.push
	c := validity.Check{Name: "push identity", State: validity.OK, Value: float64(p.Received + p.Missing), Limit: float64(p.Expected), Unit: "frames"}
	if s := p.Slow; s != nil {
		c.Value, c.Limit = c.Value+float64(s.Received+s.Missing), c.Limit+float64(s.Expected)
		if s.Received+s.Missing != s.Expected {
			c.State = validity.Fail
			c.Reason = fmt.Sprintf("%d frames expected by slow subscribers, but %d received and %d missing", s.Expected, s.Received, s.Missing)
			c.Remedy = "this is a fault of the client: please report it"
		}
	}
	if p.Received+p.Missing != p.Expected {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("%d frames expected by their numbers, but %d received and %d missing", p.Expected, p.Received, p.Missing)
		c.Remedy = "this is a fault of the client: please report it"
	}
	return c
}

// sequence judges whether each connection got every number once, in order and whole. Its Value counts what was not so.
func (f *figures) sequence() validity.Check {
	p := f.push
	c := validity.Check{Name: "push sequence", State: validity.OK, Unit: "frames"}
	var parts []string
	for _, n := range []struct {
		count int64
		what  string
	}{{p.Missing, "missing"}, {p.Duplicated, "duplicated"}, {p.Reordered, "out of order"}, {p.Stale, "stale"}, {p.Bad, "with a wrong payload"}} {
		if c.Value += float64(n.count); n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	switch {
	case f.declared && p.Missing > 0 && c.Value == float64(p.Missing):
		c.Limit = dropShare * float64(p.Expected)
		if c.Value > c.Limit {
			c.State = validity.Warn
			c.Reason = fmt.Sprintf("%d of %d frames expected are missing, limit %.0f: delivery is of those only that came", p.Missing, p.Expected, c.Limit)
			c.Remedy = "the server drops for subscribers that are not slow, as push.overflow lets it: lower push.rate, or raise push.queue"
		}
	case len(parts) > 0:
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("of %d frames expected on connections that were up: %s", p.Expected, strings.Join(parts, ", "))
		c.Remedy = "the server loses, repeats or damages frames: delivery is of those only that came; lower its rate, or see whether it drops for slow receivers"
	case p.Received == 0:
		c.State, c.Reason, c.Remedy = validity.Fail, "no frame was received", "is it a push server, and does anything publish on this channel?"
	}
	return c
}

// subscribers judges whether everybody was served until the end.
func (f *figures) subscribers() validity.Check {
	p := f.push
	c := validity.Check{Name: "push subscribers", State: validity.OK, Value: float64(f.subscribed()), Limit: float64(f.wanted), Unit: "connections"}
	var lost []string
	for _, o := range []clients.Outcome{clients.EOF, clients.Reset, clients.Timeout, clients.ProtocolError} {
		if n := p.Lost[o.String()]; n > 0 {
			lost = append(lost, fmt.Sprintf("%d %v", n, o))
		}
	}
	quiet := f.endNs - p.LastNs
	switch {
	case p.Received > 0 && quiet > f.silence():
		c.State, c.Value, c.Limit, c.Unit = validity.Fail, float64(quiet), float64(f.silence()), "ns"
		c.Reason = fmt.Sprintf("nobody received a frame in the last %s", quantity.Tick(float64(quiet), quantity.Time))
		c.Remedy = "the server stopped pushing: see its log"
	case f.forgotten > 0 && p.Received > 0:
		c.State, c.Value = validity.Fail, float64(f.subscribed()-f.forgotten)
		c.Reason = fmt.Sprintf("%d of %d subscribers had received nothing, though they had subscribed for %s or longer", f.forgotten, f.subscribed(), quantity.Tick(silenceNs, quantity.Time))
		c.Remedy = "the server forgets subscribers, or sends more seldom than that"
	case p.BehindMax > f.behind():
		c.State, c.Value, c.Limit, c.Unit = validity.Warn, float64(p.BehindMax), float64(f.behind()), "frames"
		c.Reason = fmt.Sprintf("at the end a subscriber was %d frames behind another one of the same server, limit %d", p.BehindMax, f.behind())
		c.Remedy = "the server stopped pushing to it, or queues for it: see the spread of the delivery lags"
	case len(lost) > 0:
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("connections were lost and subscribed again: %s; %d frames came while nobody was there for them", strings.Join(lost, ", "), p.Away)
		c.Remedy = "see the server's log, and its limits for slow receivers"
	case f.subscribed() < f.wanted:
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("%d of %d connections were subscribed at the end", f.subscribed(), f.wanted)
		c.Remedy = "lower connections.count or connections.rate"
	}
	return c
}

// subscribed is how many subscribers that are not slow there were at the end.
func (f *figures) subscribed() int64 {
	if f.push.Slow == nil {
		return f.push.Subscribers
	}
	return f.push.Subscribers - f.push.Slow.Subscribers
}

// each is how many frames came to one subscriber in the phases, on average.
func (f *figures) each() float64 {
	return float64(f.push.Received-f.push.Before) / float64(max(1, f.subscribed()))
}

// behind is how many frames a subscriber may lack: those of as long as nothing may come at the end.
func (f *figures) behind() int64 {
	return max(silenceGaps, int64(f.each()*float64(f.silence())/float64(max(1, f.lengthNs))))
}

// silence is how long nothing may come at the end.
func (f *figures) silence() int64 {
	return max(silenceNs, int64(silenceGaps*float64(f.lengthNs)/max(f.each(), 1)))
}

// clocks judges whether sender and receivers read one clock.
func (f *figures) clocks() validity.Check {
	c := validity.Check{Name: "push clocks", State: validity.OK, Value: float64(f.push.Future), Unit: "frames", Reason: f.push.Refused}
	switch {
	case f.foreign:
		c.State = validity.NotApplicable
	case f.push.Future > 0:
		c.State, c.Remedy = validity.Warn, "run the load on the server's host"
	}
	return c
}

// receiver judges how much of the delivery lag is the client's own: frames wait while a thread does not look for them.
func (f *figures) receiver() validity.Check {
	limit := max(heldLimitNs, heldLimitShare*float64(f.deliveryP99Ns))
	c := validity.Check{Name: "push receiver", State: validity.OK, Limit: limit, Unit: "ns"}
	if f.push.DeliveryNs == nil || f.measuredNs == 0 {
		c.State = validity.NotApplicable
		return c
	}
	c.Value = float64(f.stalls.DelayNs(0.99, f.threads*f.measuredNs))
	if c.Value > limit {
		if c.State = validity.Fail; c.Value <= heldSpoilsShare*float64(f.deliveryP99Ns) {
			c.State = validity.Warn
		}
		c.Reason = fmt.Sprintf("p99 of the delay by stalls of the client is %s, limit %s, so up to %.0f %% of the delivery p99 may be the client's own",
			quantity.Tick(c.Value, quantity.Time), quantity.Tick(limit, quantity.Time), min(100, 100*c.Value/float64(max(1, f.deliveryP99Ns))))
		c.Remedy = "give the client CPUs of its own, or lower the rate or the number of subscribers"
	}
	return c
}
