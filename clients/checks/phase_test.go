package checks

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
)

// good are the Phase of a phase of two seconds that no check complains about; change makes one of them bad.
func good(change func(*Phase)) Phase {
	g := Phase{
		Name: "steady", LengthNs: 2e9, Planned: 20_000, Outcomes: 20_000, OK: 19_990, Counted: 19_990,
		LagP99Ns: 20_000, ResponseP99Ns: 300_000, Windows: make([]Window, 20), CPU: 0.4,
		AreaNs: 2e9, HeldNs: 2e9, Finished: 20_000, Slots: 100,
		Surroundings: Surroundings{CPUSpanNs: 2e9}, ThreadNs: 2e9, MeansNs: []float64{200e3, 201e3, 199e3, 203e3, 198e3, 200e3, 202e3, 199e3},
	}
	for i := range g.Windows {
		g.Windows[i] = Window{Planned: 1000, Sent: 1000, Offered: 1000, LagP99Ns: 20_000}
	}
	if change != nil {
		change(&g)
	}
	return g
}

// expect checks a check's state, that its reason names what it should, and that what is wrong has a remedy, and everything a
// unit.
func expect(t *testing.T, c validity.Check, want validity.State, reason string) {
	t.Helper()
	if c.State != want || !strings.Contains(c.Reason, reason) {
		t.Errorf("%+v, want %s with %q", c, want, reason)
	}
	wrong := c.State == validity.Warn || c.State == validity.Fail || c.State == validity.Unknown
	if (c.Reason != "") != wrong && c.State != validity.NotApplicable || (c.Remedy != "") != wrong || c.Unit == "" || c.Name == "" {
		t.Errorf("%+v: want a name and a unit, and a reason and a remedy where it is wrong", c)
	}
}

func TestChecks(t *testing.T) {
	check := func(f func(Phase) validity.Check, want validity.State, reason string, change func(*Phase)) {
		t.Helper()
		c := f(good(change))
		expect(t, c, want, reason)
		if c.State == validity.Warn && !strings.Contains(c.Reason, "steady") {
			t.Errorf("%+v: want the phase in the reason", c)
		}
	}
	overload := func(g *Phase) { g.Overload = true }
	closed := func(g *Phase) { g.Closed = true }
	and := func(fs ...func(*Phase)) func(*Phase) {
		return func(g *Phase) {
			for _, f := range fs {
				f(g)
			}
		}
	}

	late := func(g *Phase) { g.LagP99Ns = 60_000 }
	check(lagCheck, validity.OK, "", nil)
	check(lagCheck, validity.Warn, "p99 of the generator lag 60 µs, limit 50 µs, so up to 20 %", late)
	check(lagCheck, validity.Fail, "up to 53 %", func(g *Phase) { g.LagP99Ns = 160_000 })
	few := func(g *Phase) { g.Planned, g.LagP99Ns = 999, 160_000 } // 10 late ones void no load
	check(lagCheck, validity.Warn, "up to 53 %", few)
	check(lagCheck, validity.Fail, "up to 53 %", and(few, func(g *Phase) { g.Planned = 1000 }))
	check(lagCheck, validity.Fail, "delay by stalls", and(few, func(g *Phase) { g.Stalls.Add(5e8) }))
	check(lagCheck, validity.OK, "", and(late, func(g *Phase) { g.ResponseP99Ns = 2_000_000 }))
	check(lagCheck, validity.Warn, "client-bound", and(late, overload))
	check(lagCheck, validity.NotApplicable, "", and(late, closed))
	check(lagCheck, validity.NotApplicable, "", func(g *Phase) { g.Planned = 0 })
	check(lagCheck, validity.OK, "", func(g *Phase) { g.Windows[3].LagP99Ns = 9e6 })
	check(lagCheck, validity.Warn, "in 2 of 20 windows", func(g *Phase) { g.Windows[3].LagP99Ns, g.Windows[9].LagP99Ns = 9e6, 9e6 })
	stalled := func(g *Phase) {
		g.Windows[3], g.Windows[4] = Window{Planned: 1000, GapNs: 3e6}, Window{GapNs: 2e8}
	}
	check(lagCheck, validity.OK, "", stalled) // nothing was due in the second
	// A stop of 300 ms in two seconds, behind busy connections: no lag shows it, and the p99 is the client's.
	stalls := func(n int, ns, p99 int64) func(*Phase) {
		return func(g *Phase) {
			for range n {
				g.Stalls.Add(ns)
			}
			g.Looks, g.ResponseP99Ns = true, p99
		}
	}
	check(lagCheck, validity.Fail, "p99 of the delay by stalls of the client 280 ms, limit 14.5 ms, so up to 97 %", stalls(1, 3e8, 29e7))
	check(lagCheck, validity.Warn, "client-bound", and(stalls(1, 3e8, 29e7), overload))
	check(lagCheck, validity.Warn, "up to 28 %", stalls(1, 3e8, 1e9))
	check(lagCheck, validity.OK, "", stalls(1, 19e6, 300_000)) // under 1 % of the requests
	check(lagCheck, validity.OK, "", stalls(100, 4e6, 1e9))    // short against the p99
	// In a closed loop it takes as much from the throughput, and short ones are a shared CPU's.
	check(lagCheck, validity.Warn, "for 3.0 % of the time a load thread did not look for replies for 20 ms or longer, limit 1 %", and(stalls(2, 3e7, 1e6), closed))
	check(lagCheck, validity.Fail, "for 15.0 %", and(stalls(1, 3e8, 1e6), closed))
	check(lagCheck, validity.OK, "", and(stalls(100, 4e6, 1e6), closed))
	holds := func(share float64) func(*Phase) {
		return and(stalls(0, 0, 1e6), closed, func(g *Phase) { g.ResponseP99Ns, g.LagP99Ns = 1e6, int64(share*1e6) })
	}
	check(lagCheck, validity.Warn, "p99 of what a free connection waited for the client 600 µs", holds(0.6))
	check(lagCheck, validity.OK, "", holds(0.4))
	check(lagCheck, validity.NotApplicable, "", closed)
	check(lagCheck, validity.OK, "", func(g *Phase) { g.Windows[3].GapNs, g.Windows[4].GapNs = 2e6, 2e6 })
	check(lagCheck, validity.Warn, "did not look for replies for over 2 ms", func(g *Phase) { g.Windows[3].GapNs, g.Windows[4].GapNs = 3e6, 3e6 })
	check(lagCheck, validity.OK, "", and(func(g *Phase) { g.ResponseP99Ns = 1e9 }, func(g *Phase) { g.Windows[3].GapNs, g.Windows[4].GapNs = 4e7, 4e7 }))

	// A stall from 0.9 s to 1.1 s: what was due in the first second is sent in the second.
	stall := func(g *Phase) { g.Windows[9].Offered, g.Windows[10].Offered = 0, 2000 }
	check(offeredCheck, validity.OK, "", nil)
	check(offeredCheck, validity.Fail, "second 0: 90.0 %", stall)
	check(offeredCheck, validity.Warn, "client-bound", and(stall, overload))
	check(offeredCheck, validity.NotApplicable, "", and(stall, closed))
	check(offeredCheck, validity.OK, "", func(g *Phase) { g.Windows[9].Offered, g.Windows[10].Offered = 910, 1090 })
	check(offeredCheck, validity.Fail, "98.9 %", func(g *Phase) { g.Windows[9].Offered, g.Windows[10].Offered = 890, 1110 })
	check(offeredCheck, validity.NotApplicable, "", func(g *Phase) { g.Windows = g.Windows[:9] })
	check(offeredCheck, validity.OK, "", func(g *Phase) { // 10/s: one on the wrong side of the edge is no stall
		for i := range g.Windows {
			g.Windows[i] = Window{Planned: 1, Offered: 1}
		}
		g.Windows[9].Offered, g.Windows[10].Offered = 0, 2
	})

	check(identityCheck, validity.OK, "", nil)
	check(identityCheck, validity.Fail, "20000 planned, but 19999 outcomes", func(g *Phase) { g.Outcomes-- })
	check(identityCheck, validity.Fail, "19990 ok, but 19991 latencies", func(g *Phase) { g.Counted++ })

	busy := func(g *Phase) { g.CPU = 0.85 }
	check(cpuCheck, validity.OK, "", nil)
	check(cpuCheck, validity.Fail, "85 % of a CPU", busy)
	check(cpuCheck, validity.Warn, "client-bound", and(busy, overload))
	check(cpuCheck, validity.NotApplicable, "", and(busy, closed))

	check(starvedCheck, validity.NotApplicable, "", nil)
	waited := func(share float64) func(*Phase) { return func(g *Phase) { g.Waited = share } }
	check(starvedCheck, validity.OK, "", waited(0.1))
	check(starvedCheck, validity.Warn, "for 20 % of the time a load thread was ready and had no CPU, limit 10 %", waited(0.2))
	check(starvedCheck, validity.Fail, "for 40 %", waited(0.4))
	check(starvedCheck, validity.Warn, "client-bound", and(waited(0.4), overload))
	check(starvedCheck, validity.NotApplicable, "", and(waited(0.4), closed))

	lost := func(g *Phase) { g.HeldNs = g.HeldNs * 97 / 100 }
	check(answeredCheck, validity.OK, "", nil)
	check(answeredCheck, validity.Warn, "98.0 % of", func(g *Phase) { g.Planned, g.OK = 1000, 980 })
	check(answeredCheck, validity.Fail, "0.0 % of", func(g *Phase) { g.OK = 0 })
	check(answeredCheck, validity.NotApplicable, "", and(overload, func(g *Phase) { g.OK = 0 }))
	check(littleCheck, validity.OK, "", nil)
	check(littleCheck, validity.Fail, "97.0 %", lost)
	check(littleCheck, validity.NotApplicable, "", and(lost, overload))
	full := func(g *Phase) { g.HeldNs = g.LengthNs * g.Slots }
	check(littleCheck, validity.OK, "", and(full, closed))
	check(littleCheck, validity.Warn, "94.0 %", and(full, closed, func(g *Phase) { g.HeldNs = g.HeldNs * 94 / 100 }))
}
