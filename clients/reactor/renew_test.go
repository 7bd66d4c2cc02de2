package reactor

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

// Connections renewed at a rate are so many, each exchanges a request at once, and no request is lost over it, in an open and in a
// closed loop.
func TestConnectionsAreRenewed(t *testing.T) {
	for _, protocol := range []string{"http1", "frame"} {
		for _, closed := range []bool{false, true} {
			srv := start(t, reflect.Script{Protocol: protocol})
			r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
				s.Connections = scenarios.Connections{Count: 200, Renew: 50, Pipeline: 2}
				s.Phases = []scenarios.Phase{steady(1000, 500)}
				if closed {
					s.Phases[0].Arrivals = scenarios.Arrivals{Closed: true}
					s.Connections.Count = 10
				}
			}))
			want := int64(100)
			if closed {
				want = 5
			}
			if n := r.ConnectionsRenewed; n < want*9/10 || n > want+1 {
				t.Errorf("%s, closed %v: %d renewed, want %d", protocol, closed, n, want)
			}
			count := int64(200)
			if closed {
				count = 10
			}
			if r.ConnectionsOpened != count+r.ConnectionsRenewed || r.ConnectionsWanted != r.ConnectionsOpened || srv.Accepted.Load() < r.ConnectionsOpened || r.ConnectionsLost != 0 {
				t.Errorf("%s, closed %v: %d opened, %d wanted, %d lost, the server accepted %d", protocol, closed, r.ConnectionsOpened, r.ConnectionsWanted, r.ConnectionsLost, srv.Accepted.Load())
			}
			if !closed && r.Planned < 500+r.ConnectionsRenewed || r.Outcomes["ok"]+r.Outcomes["in_flight"] != r.Planned || r.Outcomes["ok"] < r.Planned-25 {
				t.Errorf("%s, closed %v: of %d planned %v", protocol, closed, r.Planned, r.Outcomes)
			}
			if r.ConnectNs.Count != r.ConnectionsOpened {
				t.Errorf("%s, closed %v: %d connect times of %d connections", protocol, closed, r.ConnectNs.Count, r.ConnectionsOpened)
			}
		}
	}
}

// A POST of a scenario has a JSON body of exactly its payload, whatever the number, and another reply is a wrong one.
func TestPostedJSONIsEchoed(t *testing.T) {
	post := func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Phases = []scenarios.Phase{steady(200, 1000), drain(300)}
		s.Payload, s.Request = 100, scenarios.Request{Method: "POST"}
		s.Work = scenarios.Work{Kind: "sleep=1ms", Share: 20}
	}
	srv := start(t, reflect.Script{})
	r := run(t, plan(srv.URL(), post))
	if r.Outcomes["ok"] != r.Planned || r.BodyBytesOut != 100*r.Planned || r.BodyBytesIn != r.BodyBytesOut || srv.Worked.Load() != r.Work.Planned {
		t.Errorf("of %d planned %v, %d bytes out and %d in; %d asked for work, %+v", r.Planned, r.Outcomes, r.BodyBytesOut, r.BodyBytesIn, srv.Worked.Load(), r.Work)
	}
	srv = start(t, reflect.Script{Fault: reflect.FaultWrongBody})
	if r = run(t, plan(srv.URL(), post)); r.Outcomes["bad_payload"] != r.Planned {
		t.Errorf("of %d planned %v", r.Planned, r.Outcomes)
	}
	if _, err := New(plan(srv.URL(), func(p *clients.Plan, s *scenarios.Scenario) { post(p, s); p.Method = "PUT" })); err == nil || !strings.Contains(err.Error(), "request.method POST") {
		t.Errorf("beside another method: %v", err)
	}
}
