package epoll

import (
	"context"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

// plan is a small open loop over http1, changed by the tests.
func plan(url string, change func(*clients.Plan, *scenarios.Scenario)) *clients.Plan {
	p := &clients.Plan{
		URL: url, Engine: "epoll", Seed: 1, Agents: 1, StartWhenOpen: true, CheckBody: []byte("hello, world!"),
		Scenario: scenarios.Scenario{
			Name: "test", Why: "to test", Protocol: "http1",
			Connections: scenarios.Connections{Count: 10},
			Phases: []scenarios.Phase{{
				Name: "steady", Load: "steady", For: scenarios.Duration(300 * time.Millisecond), Measure: true,
				Arrivals: scenarios.Arrivals{Constant: 1000},
			}},
		},
	}
	if change != nil {
		change(p, &p.Scenario)
	}
	return p
}

func start(t testing.TB, s reflect.Script) *reflect.Reflector {
	t.Helper()
	if s.Protocol == "" {
		s.Protocol = "http1"
	}
	if s.Body == nil {
		s.Body = []byte("hello, world!")
	}
	r, err := reflect.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func run(t testing.TB, p *clients.Plan) *clients.Report {
	t.Helper()
	e, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Run(context.Background(), clients.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFirst(t *testing.T) {
	r := start(t, reflect.Script{})
	rep := run(t, plan(r.URL(), nil))
	t.Logf("%+v", rep)
	t.Log(*rep.LagNs.P50, *rep.ResponseNs.P50, rep.Reasons)
}
