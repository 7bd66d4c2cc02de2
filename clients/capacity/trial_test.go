package capacity

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/validity"
)

func TestMeasureTakesTheFirstPhase(t *testing.T) {
	report := func(change func(*clients.Report)) *clients.Report {
		r := &clients.Report{Verdict: validity.Valid, ConnectionsOpened: 10, ConnectionsWanted: 10, Phases: []clients.PhaseReport{
			{Name: "load", FromNs: 1e9, ToNs: 3e9, Planned: 1000, AchievedRPS: 490, Outcomes: map[string]int64{"ok": 990, "in_flight": 6, "unsent": 4}},
			{Name: "drain", FromNs: 3e9, ToNs: 9e9, Outcomes: map[string]int64{"ok": 5}},
		}}
		change(r)
		return r
	}
	m := Measure(report(func(*clients.Report) {}), true)
	if m.Seconds != 2 || m.AchievedRPS != 490 || m.Planned != 1000 || m.OK != 990 || m.Unanswered != 10 || m.Limit != "" {
		t.Errorf("%+v", m)
	}
	failed := func(name string) func(*clients.Report) {
		return func(r *clients.Report) {
			r.Verdict = validity.Invalid
			r.Checks = []validity.Check{{Name: "offered rate", State: validity.Warn, Reason: "a warning"}, {Name: name, State: validity.Fail, Reason: "because", Remedy: "do this"}}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*clients.Report)
		kept   bool
		limit  string
	}{
		{"the client is the limit", failed("generator CPU"), true, "generator CPU: because (do this)"},
		{"a check that is not known here", failed("floor"), true, "floor: because (do this)"},
		{"the server answers nothing good", failed("good replies"), true, ""},
		{"too few connections", func(r *clients.Report) { r.ConnectionsOpened = 7 }, true, "connections: 7 of 10 could be opened"},
		{"connections that requests open", func(r *clients.Report) { r.ConnectionsOpened = 7 }, false, ""},
		{"no port", func(r *clients.Report) { r.Phases[0].Outcomes["no_port"] = 3 }, false, "source ports: 3 requests"},
		{"no phase", func(r *clients.Report) { r.Phases = nil }, true, "no phase was measured"},
	} {
		if m := Measure(report(c.change), c.kept); !strings.HasPrefix(m.Limit, c.limit) || (m.Limit == "") != (c.limit == "") {
			t.Errorf("%s: %q, want %q", c.name, m.Limit, c.limit)
		}
	}
}

func TestTrialThatDoesNotCountIsNotJudged(t *testing.T) {
	o, err := ParseObjective("p50<1ms")
	if err != nil {
		t.Fatal(err)
	}
	step := Step{Short, 1000, time.Second}
	if tr := NewTrial(step, Measured{Planned: 1000, Limit: "generator lag"}, time.Second, &o); tr.Met != nil || tr.Why != "generator lag" {
		t.Errorf("%+v", tr)
	}
	if tr := NewTrial(step, Measured{Planned: 1000}, time.Second, &o); tr.Met == nil || *tr.Met || tr.Why != "p50 without a good reply" {
		t.Errorf("%+v", tr)
	}
	if tr := NewTrial(step, Measured{Planned: 1000}, time.Second, nil); tr.Met != nil || tr.Why != "" {
		t.Errorf("%+v", tr)
	}
	if tr := NewTrial(Step{Kind: Closed, Length: time.Second}, Measured{Planned: 1000}, time.Second, &o); tr.Met != nil || tr.OfferedRPS != nil {
		t.Errorf("%+v", tr)
	}
}
