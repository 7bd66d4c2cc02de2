package reactor

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

func TestStepsGreetAndActiveTakesAll(t *testing.T) {
	srv := start(t, reflect.Script{})
	hold := drain(150)
	hold.Name, hold.Each = "hold", "step"
	active := steady(200, 500)
	active.Active = 20
	r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections = scenarios.Connections{Steps: []int{10, 40}, Rate: 1000}
		s.Phases = []scenarios.Phase{hold, active, drain(50)}
	}))
	only(t, r, "ok")
	var planned []int64
	for _, p := range r.Phases {
		planned = append(planned, p.Planned)
	}
	if len(planned) != 4 || planned[0] != 10 || planned[1] != 30 || planned[2] != 100 || planned[3] != 0 {
		t.Errorf("planned %v, want a request for each of 10 and 30 new connections, 100 at 500/s, and none", planned)
	}
	if r.ConnectionsOpened != 40 || r.ConnectionsWanted != 40 {
		t.Errorf("%d connections opened, %d wanted", r.ConnectionsOpened, r.ConnectionsWanted)
	}
}

func TestClosedLoop(t *testing.T) {
	srv := start(t, reflect.Script{Delay: 5 * time.Millisecond})
	r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = 4
		s.Phases = []scenarios.Phase{steady(400, 0)}
		s.Phases[0].Arrivals = scenarios.Arrivals{Closed: true}
	}))
	if r.Loop != "closed" || r.OfferedRPS != nil || r.Phases[0].OfferedRPS != nil {
		t.Errorf("loop %s, offered %v: want closed and nothing", r.Loop, r.OfferedRPS)
	}
	// 4 connections at one request in 5 ms for 400 ms: 320 at most, and 4 more under way.
	if r.Outcomes["ok"] < 160 || r.Planned > 324 || r.Outcomes["in_flight"] != 4 {
		t.Errorf("planned %d, outcomes %v", r.Planned, r.Outcomes)
	}
	if c := find(r, "bookkeeping (Little's law)"); c.State == validity.Fail {
		t.Errorf("%+v", c)
	}
}

func TestBurstOverFewConnections(t *testing.T) {
	for _, pipeline := range []int{1, 16} {
		srv := start(t, reflect.Script{})
		r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
			s.Connections.Pipeline = pipeline
			s.Phases = []scenarios.Phase{steady(100, 0), drain(700)}
			s.Phases[0].Load, s.Phases[0].Arrivals = "overload", scenarios.Arrivals{Burst: 5000}
		}))
		only(t, r, "ok")
		if *r.Phases[0].OfferedRPS != 50_000 || r.Phases[1].Planned != 0 {
			t.Errorf("offered %v/s in the burst, planned %d after it", *r.Phases[0].OfferedRPS, r.Phases[1].Planned)
		}
	}
}

func TestAgentsShareOneStream(t *testing.T) {
	srv := start(t, reflect.Script{})
	const agents = 3
	reports := make([]*clients.Report, agents)
	var wg sync.WaitGroup
	for i := range agents {
		e, err := New(plan(srv.URL(), func(p *clients.Plan, s *scenarios.Scenario) {
			p.Agent, p.Agents = i, agents
			s.Phases = []scenarios.Phase{steady(200, 1000), drain(100)}
		}))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			r, err := e.Run(context.Background(), procfs.Monotonic())
			if err != nil {
				t.Error(err)
			}
			reports[i] = r
		})
	}
	wg.Wait()
	var planned, opened int64
	for _, r := range reports {
		only(t, r, "ok")
		planned += r.Planned
		opened += r.ConnectionsOpened
	}
	if planned != 200 || opened != 10 || srv.Accepted.Load() != 10 {
		t.Errorf("%d requests on %d connections, want 200 on 10", planned, opened)
	}
}

// A phase's clock that starts at T0 has the connections open before.
func TestConnectPhase(t *testing.T) {
	srv := start(t, reflect.Script{})
	p := plan(srv.URL(), func(p *clients.Plan, s *scenarios.Scenario) {
		p.StartWhenOpen = false
		s.Connections.Rate = 100
		s.Phases = append(s.Phases, drain(50))
	})
	e, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	t0 := procfs.Monotonic() + int64(20*time.Millisecond)
	r, err := e.Run(context.Background(), t0)
	if err != nil {
		t.Fatal(err)
	}
	checkSums(t, r)
	only(t, r, "ok")
	if r.T0Ns != t0 || r.Phases[0].Name != "connect" || r.Phases[0].ConnectNs.Count != 10 ||
		r.Phases[1].FromNs != int64(p.Scenario.ConnectFor()) {
		t.Errorf("T0 %d, want %d; first phase %+v", r.T0Ns, t0, r.Phases[0])
	}
	// The last of 10 at 100/s is due after 90 ms.
	var opened int64
	for _, i := range r.Intervals[:1] {
		opened += i.Opened
	}
	if opened < 8 || r.Intervals[0].Opened+r.Intervals[1].Opened != 10 {
		t.Errorf("opened in the first intervals: %+v", r.Intervals[:2])
	}
}
