package reactor

import (
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// Idle connections send one request each every so often, and nothing else; the books have them, the headline has not.
func TestTrickle(t *testing.T) {
	for _, protocol := range []string{"http1", "frame"} {
		srv := start(t, reflect.Script{Protocol: protocol})
		var r *clients.Report
		var before int64
		// Again where the client's thread stood still for as long as a distance.
		for try := 0; try < 5 && (r == nil || r.Outcomes["unsent"] > 0); try++ {
			before = srv.Handled.Load()
			r = run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
				s.Protocol = protocol
				s.Connections.Count, s.Connections.Trickle = 40, scenarios.Duration(200*time.Millisecond)
				s.Phases = []scenarios.Phase{steady(400, 0), steady(400, 100)}
				s.Phases[0].Name, s.Phases[1].Active = "hold", 10
			}))
		}
		only(t, r, "ok")
		// 40 idle connections for two distances, then 36 for two beside 40 requests.
		if p := r.Phases; p[0].Planned != 80 || p[0].Trickled != 80 || p[1].Planned != 40+72 || p[1].Trickled != 72 || r.Trickled != 152 {
			t.Errorf("planned %d with %d trickled, then %d with %d", p[0].Planned, p[0].Trickled, p[1].Planned, p[1].Trickled)
		}
		if r.ResponseNs.Count != 40 || r.TrickleNs == nil || r.TrickleNs.Count != 152 || *r.TrickleNs.Max <= 0 {
			t.Errorf("%d responses, trickle %+v", r.ResponseNs.Count, r.TrickleNs)
		}
		var seconds int64
		for _, s := range r.Seconds {
			seconds += s.Count
		}
		if seconds != 40 || r.Seconds[0].Max == nil {
			t.Errorf("responses by second %+v: the trickle's are neither among them nor missing", r.Seconds)
		}
		if r.ConnectionsOpen != 40 || r.ConnectionsLost != 0 || srv.Handled.Load()-before != 192 {
			t.Errorf("%d open, %d lost; the server handled %d on %d", r.ConnectionsOpen, r.ConnectionsLost, srv.Handled.Load(), srv.Accepted.Load())
		}
		for _, c := range r.Checks {
			if c.State == validity.Fail && (c.Name == "outcome identity" || c.Name == "bookkeeping (Little's law)" || c.Name == "offered rate") {
				t.Errorf("%+v", c)
			}
		}
	}
}

// They are evenly staggered over all shards and agents, and each connection keeps its own pace.
func TestTrickleIsStaggered(t *testing.T) {
	const every, shards, count = 1000, 3, 4
	var at []int64
	for i := range shards {
		s := &shard{index: i, stride: shards}
		s.trickle.every = every
		s.idleFrom(2, count, 500)
		for range 2 * count {
			at = append(at, s.trickleAt())
			s.trickle.sent++
		}
		s.idleFrom(2, count, 900)
		if s.trickle.from != 500 {
			t.Error("the same connections begin anew with a phase")
		}
		if s.idleFrom(3, count-1, 900); s.trickle.from != 900 || s.trickle.sent != 0 {
			t.Error("other connections go on where these were")
		}
	}
	seen := map[int64]bool{}
	for _, v := range at {
		seen[v] = true
	}
	for n := range 2 * shards * count {
		want := int64(500 + float64(n)*every/(shards*count))
		if !seen[want] && !seen[want-1] && !seen[want+1] {
			t.Errorf("nothing is due at %d: %v", want, at)
		}
	}
}

// A trickle that has no connection to go out on, or whose last one is not answered, is not left out.
func TestTrickleThatCannotBeSent(t *testing.T) {
	srv := start(t, reflect.Script{Fault: reflect.FaultSilent})
	r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count, s.Connections.Trickle = 4, scenarios.Duration(100*time.Millisecond)
		s.Phases = []scenarios.Phase{steady(300, 0)}
	}))
	if n := r.Outcomes["in_flight"]; r.Planned != 12 || n < 1 || n > 4 || r.Outcomes["unsent"] != 12-n || r.TrickleNs == nil || r.TrickleNs.Count != 0 {
		t.Errorf("planned %d, outcomes %v, trickle %+v", r.Planned, r.Outcomes, r.TrickleNs)
	}
}

// Held connections that the server closes are lost, told and opened again.
func TestHeldConnectionsThatAreLost(t *testing.T) {
	srv := start(t, reflect.Script{CloseAfter: 2})
	r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count, s.Connections.Trickle = 10, scenarios.Duration(100*time.Millisecond)
		s.Phases = []scenarios.Phase{steady(450, 0)}
	}))
	if r.ConnectionsLost < 15 || r.ConnectionsLost > 20 || r.ConnectionsOpened > 10+r.ConnectionsLost || r.ConnectionsOpen < 8 {
		t.Errorf("%d opened, %d lost, %d open: want each of 10 lost twice", r.ConnectionsOpened, r.ConnectionsLost, r.ConnectionsOpen)
	}
	if c := find(r, "keep-alive truth"); c.State != validity.Warn {
		t.Errorf("%+v", c)
	}
}
