package known

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

const (
	// drawerRate and drawerLength make 100 requests, each on its own: the next one is due long after the last was answered.
	drawerRate   = 200
	drawerLength = 500 * time.Millisecond
	drawerTotal  = 100
	// faultEvery: every fifth request of the one connection meets the fault. A connection that it ends is replaced by one
	// that begins to count anew, so that it remains every fifth of all.
	faultEvery = 5
	// patience is the timeout of requests that are answered late or never.
	patience = 100 * time.Millisecond
)

// drawers are servers that do something else than reply, for every fifth request on one connection: of n = 100 requests
// n ÷ 5 = 20 end in the drawer of the fault, and 80 are ok. A fault is not tried again: the client's count of each drawer equals
// the server's count of what it did. Since a fifth has no good answer, p90 and more are withheld.
//
// A whole reply with a bad status or body ends the request and not the connection, and so does a slow one. A server that
// closes a kept connection after its reply, and not instead of one, costs no request: the next one opens another connection.
func drawers() []Case {
	some := func(name string, s reflect.Script, o clients.Outcome) Case {
		s.Every = faultEvery
		c := drawer(name, s, 1)
		c.Judge = func(t *Trial) []Answer {
			const bad = drawerTotal / faultEvery
			return []Answer{
				outcome(t, clients.OK, drawerTotal-bad), outcome(t, o, bad),
				exactly("faults served", "requests", bad, t.Served.Faulty),
				withheld("p90", t.Report.ResponseNs.P90), withheld("max", t.Report.ResponseNs.Max),
			}
		}
		return c
	}
	every := func(name string, s reflect.Script, o clients.Outcome) Case {
		c := drawer(name, s, 1)
		c.Judge = func(t *Trial) []Answer { return []Answer{outcome(t, o, drawerTotal)} }
		return c
	}
	out := []Case{
		some("closes without a reply", reflect.Script{Fault: reflect.FaultClose}, clients.EOF),
		some("resets", reflect.Script{Fault: reflect.FaultReset}, clients.Reset),
		some("replies short", reflect.Script{Fault: reflect.FaultShort}, clients.EOF),
		some("wrong body", reflect.Script{Fault: reflect.FaultWrongBody}, clients.BadPayload),
		some("speaks no HTTP", reflect.Script{Fault: reflect.FaultGarbage}, clients.ProtocolError),
		every("single bytes", reflect.Script{Fault: reflect.FaultBytewise}, clients.OK),
		every("chunked bodies", reflect.Script{Fault: reflect.FaultChunked}, clients.OK),
		every("status 404", reflect.Script{Status: 404}, clients.HTTPError),
		every("status 500", reflect.Script{Status: 500}, clients.HTTPError),
		closesBetween(), late("replies late", reflect.Script{Delay: 3 * patience}),
		late("replies a little late", reflect.Script{Delay: patience * 5 / 4}),
		late("never replies", reflect.Script{Fault: reflect.FaultSilent}), silentToTheEnd(),
	}
	return out
}

// drawer is the load of these cases.
func drawer(name string, s reflect.Script, connections int) Case {
	s.Protocol = "http1"
	return Case{
		Name: name, Script: s, Connections: connections, Beside: true,
		Phases: phases(steady(drawerLength, constant(drawerRate)), drain(200*time.Millisecond)),
	}
}

// closesBetween is a server that closes its connection after every reply, without saying so before. On 20 connections, used in
// turn, the client hears of it long before it would use that connection again, and so every request is ok. Each of the 100 uses
// up a connection: 120 are opened where each is replaced at once, 100 where connections are opened when needed.
func closesBetween() Case {
	const connections = 20
	c := drawer("closes between requests", reflect.Script{CloseAfter: 1}, connections)
	c.Judge = func(t *Trial) []Answer {
		opened := around("connections opened", "connections", drawerTotal+connections, t.Report.ConnectionsOpened, connections)
		opened.High = *opened.Predicted
		opened.OK = opened.OK && *opened.Measured <= opened.High
		return []Answer{
			all(t, clients.OK), opened,
			exactly("connections accepted", "connections", t.Report.ConnectionsOpened, t.Served.Accepted),
		}
	}
	return c
}

// late is a server whose replies come after the timeout of 100 ms, or not at all: every request is a timeout, and none is
// ok when the late reply comes after all.
func late(name string, s reflect.Script) Case {
	// Each connection is busy for the timeout and at most as long again: 200/s · 0.2 s = 40 of them.
	c := drawer(name, s, 60)
	c.Timeout = patience
	c.Phases[1].For = scenarios.Duration(500 * time.Millisecond)
	c.Judge = func(t *Trial) []Answer { return []Answer{all(t, clients.Timeout)} }
	return c
}

// silentToTheEnd is a server that never replies, on 10 connections, with a timeout beyond the end: one request is in
// flight on each, and the other 90 were never sent.
func silentToTheEnd() Case {
	c := drawer("never replies, no timeout", reflect.Script{Fault: reflect.FaultSilent}, 10)
	c.Judge = func(t *Trial) []Answer {
		return []Answer{outcome(t, clients.InFlight, 10), outcome(t, clients.Unsent, drawerTotal-10), withheld("p50", t.Report.ResponseNs.P50)}
	}
	return c
}

// wrongBodies is a closed loop as fast as both sides can, in which every seventh reply of a connection has the right length and
// one wrong byte. Where every reply's body is compared, the client counts exactly as many bad ones as the server sent, and
// exactly as many good ones as were good, whatever the rate was; that is thousands a second, or the case would say nothing. A phase
// without requests follows, so that nothing is in flight at the end.
func wrongBodies(quick bool, protocol string, pipeline int) Case {
	const every, least = 7, 2000
	length := time.Second
	if quick {
		length = 200 * time.Millisecond
	}
	c := Case{
		Name: fmt.Sprintf("wrong bodies at full speed, %s × %d", protocol, pipeline), Connections: 16, Pipeline: pipeline,
		Script: reflect.Script{Protocol: protocol, Fault: reflect.FaultWrongBody, Every: every},
		Phases: phases(steady(length, scenarios.Arrivals{Closed: true}), drain(200*time.Millisecond)),
	}
	if pipeline > 1 {
		c.Except = map[string]Exception{"vegeta": {Reason: "vegeta sends one request at a time on a connection, and speaks http1 only", Skip: true}}
	}
	if protocol == "frame" {
		c.Except[tlsEngine] = Exception{Reason: "engine tls speaks https only", Skip: true}
	}
	c.Judge = func(t *Trial) []Answer {
		rate := float64(t.Report.Planned) / length.Seconds()
		floor := float64(least)
		return []Answer{
			outcome(t, clients.BadPayload, t.Served.Faulty), outcome(t, clients.OK, t.Served.Handled-t.Served.Faulty),
			{"rate at least", "requests/s", &floor, &rate, least, 1e9, rate >= least},
		}
	}
	return c
}

func phases(p ...scenarios.Phase) []scenarios.Phase { return p }
