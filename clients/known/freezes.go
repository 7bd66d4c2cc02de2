package known

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
)

// pauseQuantile is the response time at quantile q of a constant load over T, a share s = F ÷ P of which met a server that
// answered nothing for F, once in every P (P = T: one freeze). A request due u before the end of a freeze is answered u later at
// the earliest, and u is spread evenly over (0, F]:
//
//	share of responses over x = (F − x) ÷ P        so at quantile q        x = F − (1 − q)·P        where 1 − q < F ÷ P
//
// That holds whether the request waits in the server or, with few connections, in the client's queue, since its time counts
// from when it was due. What the backlog of the freeze needs to drain comes on top: with λ the rate and r the rate at which
// client and server exchange requests as fast as they can, the request due u before the end finds (F − u)·λ before it, and
// waits (F − u)·λ ÷ r longer: with λ = 2000/s and r = 100 000/s 2 ms of the 100 ms at q = 0.95, 0.4 of the 180 ms at 0.99.
func pauseQuantile(q float64, freeze, period time.Duration) time.Duration {
	return freeze - time.Duration((1-q)*float64(period))
}

// pause judges a quantile of a load that met freezes. An engine with a slow drain is allowed its time for what waited in
// front: the request at quantile q was due (1 − q)·P after the freeze began, behind rate · (1 − q)·P others.
func (t *Trial) pause(q quantile, freeze, period time.Duration, rate float64) Answer {
	a := t.about(q.name, pauseQuantile(q.q, freeze, period), q.q)
	a.High += (1 - q.q) * period.Seconds() * rate * float64(t.Drain)
	a.OK = *a.Measured >= a.Low && *a.Measured <= a.High
	return a
}

// freezeInTheMiddle is a server that freezes for F in a load of T = 4·F, on 50 connections. pauseQuantile gives the
// percentiles; the median met no freeze. Hardly any request was in the server while it was frozen, 50 of them, so that the
// service time at the same quantile shows nothing of it: that is what an omitting client would report.
func freezeInTheMiddle(quick bool) Case {
	const connections, rate = 50, 2000
	freeze := time.Second
	if quick {
		freeze = 200 * time.Millisecond
	}
	length := 4 * freeze
	return Case{
		Name: fmt.Sprintf("%v freeze in the middle", freeze), Connections: connections, Except: onSharedThreads,
		Script: reflect.Script{Protocol: "http1", FreezeAt: length / 2, FreezeFor: freeze},
		Phases: phases(steady(length, constant(rate)), drain(200*time.Millisecond)),
		Judge: func(t *Trial) []Answer {
			return []Answer{
				all(t, clients.OK),
				t.calm("p50", 0.5, t.Response.Quantile(0.5)), t.calm("p95 of the service", 0.95, t.Service.Quantile(0.95)),
				t.pause(p90, freeze, length, rate), t.pause(p95, freeze, length, rate), t.pause(p99, freeze, length, rate),
			}
		},
	}
}

// freezeAtTheEnd is a server that freezes for the last quarter of a load of T and beyond, at rate R on c connections. Of
// the R·T planned requests the 3·R·T÷4 due before are answered; of the others one is in flight on each connection, up to all of them,
// and the rest was never sent:
//
//	ok = 3·R·T ÷ 4        in_flight = min(c, R·T ÷ 4)        unsent = R·T ÷ 4 − in_flight
//
// up to the few that are due within a millisecond of the edge. A quarter has no answer, so that every percentile above 0.75
// may be infinite: the report gives p50, and withholds p90, p95, p99 and the maximum.
func freezeAtTheEnd(quick bool, connections int) Case {
	const rate, edge = 1000, 5
	length := 3 * time.Second
	if quick {
		length = 800 * time.Millisecond
	}
	planned := int64(rate * length.Seconds())
	ok := planned * 3 / 4
	inFlight := min(int64(connections), planned-ok)
	return Case{
		Name: fmt.Sprintf("freeze at the end, %d connections", connections), Connections: connections, Except: onSharedThreads,
		// Half a distance before the request at the edge is due.
		Script: reflect.Script{Protocol: "http1", FreezeAt: length*3/4 - time.Second/rate/2, FreezeFor: time.Minute},
		Phases: phases(steady(length, constant(rate))),
		Judge: func(t *Trial) []Answer {
			sum := t.Report.ResponseNs
			off := int64(edge)
			if inFlight == int64(connections) {
				off = 0 // every connection has one
			}
			o := t.Report.Outcomes
			return []Answer{
				exactly("planned", "requests", planned, t.Report.Planned),
				around("ok", "requests", ok, o["ok"], edge),
				around("in_flight", "requests", inFlight, o["in_flight"], off),
				around("unsent", "requests", planned-ok-inFlight, o["unsent"], edge),
				t.given("p50", sum.P50),
				withheld("p90", sum.P90), withheld("p95", sum.P95), withheld("p99", sum.P99), withheld("max", sum.Max),
			}
		},
	}
}

// stalls is a server that answers nothing for F = 200 ms of every P = 2 s, at 2000/s. pauseQuantile gives p95, p99 and
// p99.9; the median met no stall. With 10 connections 390 of the 400 requests that become due in a stall wait in the client;
// with 100, 300 do, so that a tool that omits them looks nearly right.
func stalls(quick bool, connections int) Case {
	const rate = 2000
	stall, period, length := 200*time.Millisecond, 2*time.Second, 8*time.Second
	if quick {
		stall, period, length = stall/2, period/4, time.Second
	}
	return Case{
		Name: fmt.Sprintf("%v stalls, %d connections", stall, connections), Connections: connections, Except: onSharedThreads,
		Script: reflect.Script{Protocol: "http1", FreezeAt: period / 2, FreezeFor: stall, FreezeEvery: period},
		Phases: phases(steady(length, constant(rate)), drain(100*time.Millisecond)),
		Judge: func(t *Trial) []Answer {
			return []Answer{
				all(t, clients.OK), t.calm("p50", 0.5, t.Response.Quantile(0.5)),
				t.pause(p95, stall, period, rate), t.pause(p99, stall, period, rate), t.pause(p999, stall, period, rate),
			}
		},
	}
}
