package runner

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// The client must know what a good reply holds, or a damaged body counts as ok.
func TestLoadPlanChecksBodies(t *testing.T) {
	check := func(protocol string, payload int, url, body string) {
		t.Helper()
		plan := &results.Run{Rounds: 1, Seed: 7, Scenario: scenarios.Scenario{Protocol: protocol, Payload: payload}}
		r := &run{plan: plan, live: newLive(nil, plan, 0, time.Time{}, false)}
		r.live.wait(spec{round: 2})
		p := r.loadPlan(spec{round: 2}, "127.0.0.1:80", 0, 1)
		if p.URL != url || string(p.CheckBody) != body {
			t.Errorf("%s: URL %q, body %q: want %q, %q", protocol, p.URL, p.CheckBody, url, body)
		}
		if p.Seed != 9 {
			t.Errorf("seed %d: want the run's 7 and the round's 2", p.Seed)
		}
	}
	check("http1", 13, "http://127.0.0.1:80/", "Hello, World!")
	check("http1", 20, "http://127.0.0.1:80/", "Hello, World! millra")
	check("frame", 13, "frame://127.0.0.1:80", "")
}

func TestLoadPlanOfEachProtocol(t *testing.T) {
	for _, c := range []struct {
		scenario scenarios.Scenario
		url      string
		body     int
		flags    string
	}{
		{scenarios.Scenario{Protocol: "http1", Payload: 100}, "http://h:1/", 100, ""},
		{scenarios.Scenario{Protocol: "http1", Payload: 100, Request: scenarios.Request{Method: "POST"}}, "http://h:1/", 0, ""},
		{scenarios.Scenario{Protocol: "frame", Payload: 100}, "frame://h:1", 0, ""},
		{scenarios.Scenario{Protocol: scenarios.WS, Payload: 100}, "ws://h:1/", 0, ""},
		{scenarios.Scenario{Protocol: scenarios.Push, Push: scenarios.PushLoad{Queue: 8, Overflow: "block"}}, "push://h:1", 0, "--push-queue 8 --push-overflow block"},
		{
			scenarios.Scenario{Protocol: scenarios.WS, Push: scenarios.PushLoad{Rate: 1e6, Queue: 8, Overflow: "block"}}, "ws://h:1/", 0,
			"--push-queue 8 --push-overflow block --push-rate 1000000/s",
		},
	} {
		r := &run{plan: &results.Run{Rounds: 1, Scenario: c.scenario}}
		p := r.loadPlan(spec{}, "h:1", 0, 1)
		if p.MayDrop { // only where it is the policy
			t.Errorf("%+v: frames may be dropped", c.scenario)
		}
		if p.URL != c.url || len(p.CheckBody) != c.body || strings.Join(pushFlags(&c.scenario), " ") != c.flags {
			t.Errorf("%+v: %s, %d bytes to check, flags %q", c.scenario, p.URL, len(p.CheckBody), pushFlags(&c.scenario))
		}
	}
}

// Processes beside each other leave their CPUs to one another.
func TestSpreadOverProcesses(t *testing.T) {
	spins := func(connections int) *clients.Plan {
		p := &clients.Plan{URL: "http://h:1/", Spin: true, Scenario: scenarios.Scenario{Connections: scenarios.Connections{Count: connections}}}
		spread(p, []string{"h:1", "h:2"})
		return p
	}
	if p := spins(10); p.Processes != 1 || !p.Spin || len(p.Requests) != 2 {
		t.Errorf("%d processes, spin %v, %d addresses: want one that spins, to 2", p.Processes, p.Spin, len(p.Requests))
	}
	if p := spins(1 << 40); p.Processes < 2 || p.Spin { // more than any host opens files in a process
		t.Errorf("%d processes, spin %v: want several that don't", p.Processes, p.Spin)
	}
}

func TestCopyPush(t *testing.T) {
	trial := &results.Trial{}
	lag := hist.Summary{Count: 3}
	copyLoad(trial, &clients.Report{
		Phases: []clients.PhaseReport{{Name: "push", Work: &clients.Side{Planned: 2, OK: 1}}},
		Push: &clients.PushReport{
			Subscribers: 5, Expected: 9, DeliveryNs: &lag, PushCounts: clients.PushCounts{Received: 8, Missing: 1, Bad: 2},
			Slow: &clients.PushSlow{Subscribers: 1}, Phases: []clients.PushPhase{{PushCounts: clients.PushCounts{Received: 7}, DeliveryNs: &lag}},
		},
	})
	p := trial.Push
	if p.Subscribers != 5 || p.Expected != 9 || p.Missing != 1 || p.Bad != 2 || p.Slow.Subscribers != 1 || p.Delivery.Count != 3 {
		t.Errorf("%+v", p)
	}
	if ph := trial.Phases[0]; ph.Push.Received != 7 || ph.Push.Delivery.Count != 3 || ph.Work.OK != 1 || ph.Bystander != nil {
		t.Errorf("%+v", ph)
	}
}
