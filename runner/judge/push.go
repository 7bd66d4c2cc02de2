package judge

import (
	"fmt"
	"math"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

const (
	// pushRateShare is by how much the frames that a server made may differ from its rate.
	pushRateShare = 0.01
	// readingNs is how far the time of a reading and that of the counter in it may be apart, at both ends together.
	readingNs = 100_000_000
)

// checkPushRate holds the frames that the server made between its first reading with any and its last against the scenario's rate.
// Overflow block lets the server wait, so there the figure is shown and not judged.
func checkPushRate(e Evidence) validity.Check {
	s := &e.Plan.Scenario
	c := validity.Check{Name: "push rate", State: validity.OK, Unit: "frames"}
	if e.Done.Foreign {
		c.State, c.Reason = validity.NotApplicable, "a foreign server has no counters that it could tell"
		return c
	}
	var first, last *results.Reading
	for i := range e.Readings {
		if r := &e.Readings[i]; r.Pushed != nil && *r.Pushed > 0 {
			if first == nil {
				first = r
			}
			last = r
		}
	}
	if first == last {
		return unread(c, "how many frames the server made", e.ReadErr)
	}
	seconds := float64(last.TNs-first.TNs) / 1e9
	rate := float64(s.Push.Rate) * float64(max(s.Replicas.Number(), 1))
	c.Value, c.Limit = float64(*last.Pushed-*first.Pushed), rate*seconds
	slack := max(pushRateShare*c.Limit, 1+rate*readingNs/1e9)
	if math.Abs(c.Value-c.Limit) <= slack {
		return c
	}
	c.Reason = fmt.Sprintf("the server made %.0f frames in %.2f s, want %.0f at %v", c.Value, seconds, c.Limit, s.Push.Rate)
	if s.Push.Overflow == scenarios.Overflows[0] {
		c.State, c.Reason = validity.NotApplicable, c.Reason+": it waits for slow subscribers, as push.overflow block has it"
		return c
	}
	c.State = validity.Warn
	c.Remedy = "the server can't keep the rate, which is in every delivery lag: lower push.rate or the number of subscribers"
	return c
}
