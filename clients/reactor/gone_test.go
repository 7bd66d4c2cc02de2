package reactor

import (
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// A server that dies leaves good latencies behind, in a closed loop even of all requests: the load is INVALID all the same.
func TestAServerThatDiesVoidsTheLoad(t *testing.T) {
	for _, closed := range []bool{true, false} {
		r, err := reflect.Start(reflect.Script{Protocol: "http1", Body: []byte(hello)})
		if err != nil {
			t.Fatal(err)
		}
		e, err := New(plan(r.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
			s.Phases = []scenarios.Phase{steady(1500, 500)}
			if closed {
				s.Phases[0].Arrivals = scenarios.Arrivals{Closed: true}
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		gone := time.AfterFunc(400*time.Millisecond, func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		defer gone.Stop()
		report, err := e.Run(t.Context(), procfs.Monotonic())
		if err != nil {
			t.Fatal(err)
		}
		if c := find(report, "server to the end"); c.State != validity.Fail || report.Verdict != validity.Invalid {
			t.Errorf("closed %v: %+v, verdict %s: want INVALID", closed, c, report.Verdict)
		}
	}
}

func TestStatusesAreCounted(t *testing.T) {
	r := start(t, reflect.Script{Status: 503})
	report := run(t, plan(r.URL(), nil))
	if n := report.Outcomes["http_error"]; n == 0 || report.HTTPStatus[503] != n || len(report.HTTPStatus) != 1 {
		t.Errorf("statuses %v, want %d of 503", report.HTTPStatus, n)
	}
	if r := run(t, plan(start(t, reflect.Script{}).URL(), nil)); r.HTTPStatus != nil {
		t.Errorf("statuses %v of good replies", r.HTTPStatus)
	}
}

// Half of the kept connections find no source port, which no request's outcome tells; the others are closed and opened again,
// which makes up for none.
func TestKeptConnectionsWithoutAPortAreTold(t *testing.T) {
	srv, other := start(t, reflect.Script{CloseAfter: 5}), listen(t, "tcp", "[::1]:0")
	defer other.Close()
	r := run(t, plan(srv.URL(), func(p *clients.Plan, s *scenarios.Scenario) {
		p.StartWhenOpen = false
		p.Requests = []clients.Request{{URL: srv.URL()}, {URL: "http://" + other.Addr().String() + "/"}}
		p.Sources = []string{"127.0.0.5", "2001:db8::1"} // the second is for documentation, and nobody's
	}))
	if n := r.ConnectFailuresByKind["no_ports"]; n < 5 || n != r.ConnectFailures || r.Outcomes["no_port"] != 0 {
		t.Errorf("%d attempts failed, by kind %v, outcomes %v: want no_ports alone, and no request among them", r.ConnectFailures, r.ConnectFailuresByKind, r.Outcomes)
	}
	if r.ConnectionsReopened < 5 || r.ConnectionsLost < r.ConnectionsReopened || r.ConnectionsOpened < r.ConnectionsWanted {
		t.Errorf("%d of %d opened, %d lost, %d opened again: want enough to hide that five never were", r.ConnectionsOpened, r.ConnectionsWanted, r.ConnectionsLost, r.ConnectionsReopened)
	}
	if c := find(r, "kernel drops, ports"); c.State != validity.Warn || c.Value != float64(r.ConnectFailures) {
		t.Errorf("%+v, want SUSPECT by %d attempts", c, r.ConnectFailures)
	}
	if c := find(r, "keep-alive truth"); c.State != validity.Fail || c.Value != 5 || c.Limit != 10 {
		t.Errorf("%+v, want INVALID with 5 of 10", c)
	}
}
