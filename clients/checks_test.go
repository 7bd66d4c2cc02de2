package clients

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
)

// good are the figures of a phase of two seconds that no check complains about; change makes one of them bad.
func good(change func(*figures)) figures {
	g := figures{
		name: "steady", length: 2e9, planned: 20_000, outcomes: 20_000, ok: 19_990, counted: 19_990,
		lagP99: 20_000, responseP99: 300_000, windows: make([]window, 20), cpu: 0.4,
		areaNs: 2e9, heldNs: 2e9, finished: 20_000, slots: 100,
	}
	for i := range g.windows {
		g.windows[i] = window{Interval: Interval{Planned: 1000, Sent: 1000}, offered: 1000, lagP99Ns: 20_000}
	}
	if change != nil {
		change(&g)
	}
	return g
}

func TestChecks(t *testing.T) {
	check := func(f func(figures) validity.Check, want validity.State, reason string, change func(*figures)) {
		t.Helper()
		c := f(good(change))
		if c.State != want || !strings.Contains(c.Reason, reason) || (c.Reason != "") != (c.State == validity.Warn || c.State == validity.Fail) {
			t.Errorf("%+v, want %s with %q", c, want, reason)
		}
		if c.Reason != "" && (c.Remedy == "" || !strings.Contains(c.Reason, "steady")) {
			t.Errorf("%+v: want the phase in the reason, and a remedy", c)
		}
	}
	overload := func(g *figures) { g.overload = true }
	closed := func(g *figures) { g.closed = true }
	and := func(fs ...func(*figures)) func(*figures) {
		return func(g *figures) {
			for _, f := range fs {
				f(g)
			}
		}
	}

	late := func(g *figures) { g.lagP99 = 60_000 }
	check(lagCheck, validity.OK, "", nil)
	check(lagCheck, validity.Warn, "p99 of the generator lag 60 µs, limit 50 µs, so up to 20 %", late)
	check(lagCheck, validity.Fail, "up to 53 %", func(g *figures) { g.lagP99 = 160_000 })
	check(lagCheck, validity.OK, "", and(late, func(g *figures) { g.responseP99 = 2_000_000 }))
	check(lagCheck, validity.Warn, "client-bound", and(late, overload))
	check(lagCheck, validity.NotApplicable, "", and(late, closed))
	check(lagCheck, validity.NotApplicable, "", func(g *figures) { g.planned = 0 })
	check(lagCheck, validity.OK, "", func(g *figures) { g.windows[3].lagP99Ns = 9e6 })
	check(lagCheck, validity.Warn, "in 2 of 20 windows", func(g *figures) { g.windows[3].lagP99Ns, g.windows[9].lagP99Ns = 9e6, 9e6 })
	stalled := func(g *figures) {
		g.windows[3], g.windows[4] = window{Interval: Interval{Planned: 1000}, gapNs: 2e8}, window{gapNs: 3e6}
	}
	check(lagCheck, validity.OK, "", stalled) // nothing was due in the second
	check(lagCheck, validity.OK, "", func(g *figures) { g.windows[3].gapNs, g.windows[4].gapNs = 2e6, 2e6 })
	check(lagCheck, validity.Warn, "did not look for replies for over 2 ms", func(g *figures) { g.windows[3].gapNs, g.windows[4].gapNs = 3e6, 3e6 })
	check(lagCheck, validity.OK, "", and(func(g *figures) { g.responseP99 = 1e9 }, func(g *figures) { g.windows[3].gapNs, g.windows[4].gapNs = 4e7, 4e7 }))

	// A stall from 0.9 s to 1.1 s: what was due in the first second is sent in the second.
	stall := func(g *figures) { g.windows[9].offered, g.windows[10].offered = 0, 2000 }
	check(offeredCheck, validity.OK, "", nil)
	check(offeredCheck, validity.Fail, "second 0: 90.0 %", stall)
	check(offeredCheck, validity.Warn, "client-bound", and(stall, overload))
	check(offeredCheck, validity.NotApplicable, "", and(stall, closed))
	check(offeredCheck, validity.OK, "", func(g *figures) { g.windows[9].offered, g.windows[10].offered = 910, 1090 })
	check(offeredCheck, validity.Fail, "98.9 %", func(g *figures) { g.windows[9].offered, g.windows[10].offered = 890, 1110 })
	check(offeredCheck, validity.NotApplicable, "", func(g *figures) { g.windows = g.windows[:9] })
	check(offeredCheck, validity.OK, "", func(g *figures) { // 10/s: one on the wrong side of the edge is no stall
		for i := range g.windows {
			g.windows[i] = window{Interval: Interval{Planned: 1}, offered: 1}
		}
		g.windows[9].offered, g.windows[10].offered = 0, 2
	})

	check(identityCheck, validity.OK, "", nil)
	check(identityCheck, validity.Fail, "20000 planned, but 19999 outcomes", func(g *figures) { g.outcomes-- })
	check(identityCheck, validity.Fail, "19990 ok, but 19991 latencies", func(g *figures) { g.counted++ })

	busy := func(g *figures) { g.cpu = 0.85 }
	check(cpuCheck, validity.OK, "", nil)
	check(cpuCheck, validity.Fail, "85 % of a CPU", busy)
	check(cpuCheck, validity.Warn, "client-bound", and(busy, overload))
	check(cpuCheck, validity.NotApplicable, "", and(busy, closed))

	lost := func(g *figures) { g.heldNs = g.heldNs * 97 / 100 }
	check(answeredCheck, validity.OK, "", nil)
	check(answeredCheck, validity.Warn, "98.0 % of", func(g *figures) { g.planned, g.ok = 1000, 980 })
	check(answeredCheck, validity.Fail, "0.0 % of", func(g *figures) { g.ok = 0 })
	check(answeredCheck, validity.NotApplicable, "", and(overload, func(g *figures) { g.ok = 0 }))
	check(littleCheck, validity.OK, "", nil)
	check(littleCheck, validity.Fail, "97.0 %", lost)
	check(littleCheck, validity.NotApplicable, "", and(lost, overload))
	full := func(g *figures) { g.heldNs = g.length * g.slots }
	check(littleCheck, validity.OK, "", and(full, closed))
	check(littleCheck, validity.Warn, "94.0 %", and(full, closed, func(g *figures) { g.heldNs = g.heldNs * 94 / 100 }))
}

func TestChecksOfTheWholeLoad(t *testing.T) {
	check := func(c validity.Check, want validity.State, reason string) {
		t.Helper()
		if c.State != want || !strings.Contains(c.Reason, reason) || (c.Reason == "") != (c.Remedy == "") {
			t.Errorf("%+v, want %s with %q", c, want, reason)
		}
	}
	check(keepAliveCheck(100, 100, false), validity.OK, "")
	check(keepAliveCheck(103, 100, false), validity.Warn, "103 connections were opened, 100 would have done")
	check(keepAliveCheck(97, 100, false), validity.Fail, "97 of 100")
	check(keepAliveCheck(97, 100, true), validity.NotApplicable, "")
}
