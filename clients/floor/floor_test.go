package floor

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// shape is one of epoll and http1 with the default payload.
func shape(connections, pipeline, requests int, max float64) Shape {
	policy := ""
	if requests > 0 {
		policy = "fin-client"
	}
	return Shape{Kind: Kind{"epoll", "http1", connections, pipeline, requests, 13, policy}, MaxRPS: max}
}

func TestNearest(t *testing.T) {
	f := Floor{Shapes: []Shape{
		shape(64, 1, 0, 200e3), shape(1000, 1, 0, 210e3), shape(10_000, 1, 0, 150e3),
		shape(64, 16, 0, 2e6), shape(64, 4, 0, 1e6), shape(ShortConnections, 1, 1, 40e3),
	}}
	reset := shape(ShortConnections, 1, 1, 60e3)
	reset.Close = "rst"
	f.Add(reset)
	large := shape(64, 1, 0, 90e3)
	large.Payload = 60_000
	f.Add(large)
	for _, x := range []struct {
		name string
		want Kind
		max  float64 // zero: none judges it
	}{
		{"the same", Kind{"epoll", "http1", 1000, 1, 0, 13, ""}, 210e3},
		{"between two: the slower one, below", Kind{"epoll", "http1", 500, 1, 0, 13, ""}, 200e3},
		{"between two: the slower one, above", Kind{"epoll", "http1", 2000, 1, 0, 13, ""}, 150e3},
		{"more than measured", Kind{"epoll", "http1", 20_000, 1, 0, 13, ""}, 150e3},
		{"far more than measured", Kind{"epoll", "http1", 20_001, 1, 0, 13, ""}, 0},
		{"fewer than measured", Kind{"epoll", "http1", 63, 1, 0, 13, ""}, 0},
		{"the deepest pipeline that is not deeper", Kind{"epoll", "http1", 64, 15, 0, 13, ""}, 1e6},
		{"a deeper pipeline", Kind{"epoll", "http1", 64, 100, 0, 13, ""}, 2e6},
		{"pipeline 1 does not judge pipelining", Kind{"epoll", "http1", 64, 3, 0, 13, ""}, 0},
		{"a small payload is as good as none", Kind{"epoll", "http1", 64, 1, 0, 1024, ""}, 200e3},
		{"a larger payload", Kind{"epoll", "http1", 64, 1, 0, 1025, ""}, 0},
		{"a large payload of the same class", Kind{"epoll", "http1", 64, 1, 0, 33_000, ""}, 90e3},
		{"short connections", Kind{"epoll", "http1", ShortConnections, 1, 1, 13, "fin-client"}, 40e3},
		{"short connections that are reset", Kind{"epoll", "http1", ShortConnections, 1, 1, 13, "rst"}, 60e3},
		{"short connections that the server closes", Kind{"epoll", "http1", ShortConnections, 1, 1, 13, "fin-server"}, 0},
		{"ten requests a connection", Kind{"epoll", "http1", ShortConnections, 1, 10, 13, "fin-client"}, 0},
		{"another protocol", Kind{"epoll", "frame", 64, 1, 0, 13, ""}, 0},
		{"another engine", Kind{"vegeta", "http1", 64, 1, 0, 13, ""}, 0},
	} {
		s, ok := f.Nearest(x.want)
		if ok != (x.max > 0) || s.MaxRPS != x.max {
			t.Errorf("%s: judged %v by %v at %.0f/s, want %.0f/s", x.name, ok, s.Kind, s.MaxRPS, x.max)
		}
	}
}

func TestTheGridJudgesWhatItIsFor(t *testing.T) {
	for _, engine := range clients.Engines {
		var f Floor
		for _, k := range Grid(engine) {
			if k.Engine != engine {
				t.Errorf("grid of %s: %v is of engine %s", engine, k, k.Engine)
			}
			f.Add(Shape{Kind: k, MaxRPS: 1})
		}
		if len(f.Shapes) != len(Grid(engine)) {
			t.Errorf("grid of %s has something twice", engine)
		}
	}
	for want, k := range map[string]Kind{
		"millrace calibrate":                                     {"epoll", "http1", 2000, 1, 0, 13, ""},
		"millrace calibrate --engine uring":                      {"uring", "frame", 64, 64, 0, 13, ""},
		"millrace calibrate -c 10":                               {"epoll", "http1", 10, 1, 0, 13, ""},
		"millrace calibrate --protocol frame -c 64 --pipeline 4": {"epoll", "frame", 64, 4, 0, 13, ""},
		"millrace calibrate --requests 10 --close fin-client":    {"epoll", "http1", ShortConnections, 1, 10, 13, "fin-client"},
		"millrace calibrate --requests 1 --close fin-server":     {"epoll", "http1", ShortConnections, 1, 1, 13, "fin-server"},
		"millrace calibrate -c 64 --payload 5000":                {"epoll", "http1", 64, 1, 0, 5000, ""},
	} {
		if got := k.Command(); got != want {
			t.Errorf("%v: %q, want %q", k, got, want)
		}
	}
}

func TestKeeping(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "floor.json")
	if f, err := Load(path); err != nil || len(f.Shapes) > 0 {
		t.Errorf("without a file: %+v, %v", f, err)
	}
	f := Floor{Schema: Schema, Server: []int{0}, Client: []int{1}, Shapes: []Shape{shape(64, 1, 0, 1000)}}
	p99 := int64(77)
	f.Shapes[0].P99Ns = &p99
	if err := Store(path, f); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(path); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("kept %+v, read %+v, %v", f, got, err)
	}
	disturbed := shape(1000, 1, 0, 5)
	disturbed.Disturbed = true
	with := f
	with.Add(disturbed)
	if err := Store(path, with); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(path); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("what was disturbed was kept: %+v, %v", got, err)
	}
	again := shape(64, 1, 0, 2000)
	if f.Add(again); len(f.Shapes) != 1 || f.Shapes[0].MaxRPS != 2000 {
		t.Errorf("measured again: %+v", f.Shapes)
	}
	again.Disturbed, again.MaxRPS = true, 3
	if f.Add(again); f.Shapes[0].MaxRPS != 2000 {
		t.Error("what was disturbed replaced what was not")
	}
	for text, want := range map[string]string{`{"schema": 99, "shapes": [{}]}`: "", `{`: "run `millrace calibrate`"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Load(path)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) || len(got.Shapes) > 0 {
			t.Errorf("%s: %+v, error %v, want %q", text, got, err, want)
		}
	}
}

// plan is a load of 1000 connections with one measured phase of a second after a warm-up.
func plan(a scenarios.Arrivals, load string) *clients.Plan {
	s := &scenarios.Scenario{
		Name: "test", Why: "to test", Protocol: "http1", Connections: scenarios.Connections{Count: 1000},
		Phases: []scenarios.Phase{{Name: "warmup", For: 1e9, Arrivals: a}, {Name: "main", Load: load, For: 1e9, Arrivals: a, Measure: true}},
	}
	r, err := s.Resolve()
	if err != nil {
		panic(err)
	}
	return &clients.Plan{Scenario: *r, Engine: "epoll", Agents: 1}
}

// inSlots has a load take turns with another.
func inSlots(p *clients.Plan) *clients.Plan {
	p.Slot = arrivals.Slot{Of: 2, LengthNs: 1e8}
	return p
}

// report is what a client tells of it: so many due and good replies in each tenth of the second, and in each of the
// seconds that a backlog took beyond it.
func report(load string, planned, ok int64, drain int) *clients.Report {
	r := &clients.Report{Engine: "epoll", IntervalNs: 1e8, Planned: 20 * planned, Outcomes: map[string]int64{"ok": 20 * planned}, BodyBytesIn: 13 * 20 * planned}
	offered := float64(10 * planned)
	r.Phases = []clients.PhaseReport{
		{Name: "warmup", ToNs: 1e9, Planned: 10 * planned},
		{Name: "main", Load: load, FromNs: 1e9, ToNs: 2e9, DrainedNs: 2e9 + int64(drain)*1e9, Planned: 10 * planned, OfferedRPS: &offered, AchievedRPS: float64(10 * ok)},
	}
	for i := range 20 + 10*drain {
		in := clients.Interval{OK: ok}
		if i < 20 {
			in.Planned = planned
		}
		r.Intervals = append(r.Intervals, in)
	}
	return r
}

func TestCheck(t *testing.T) {
	f := Floor{Client: []int{1}, Shapes: []Shape{shape(1000, 1, 0, 200e3)}}
	steady := scenarios.Arrivals{Constant: 1}
	for _, x := range []struct {
		name         string
		f            Floor
		p            *clients.Plan
		r            *clients.Report
		state        validity.State
		value        float64
		reason, cure string
	}{
		{"half of it", f, plan(steady, "steady"), report("steady", 10_000, 10_000, 0), validity.OK, 0.5, "", ""},
		{"more than half", f, plan(steady, "steady"), report("steady", 12_000, 12_000, 0), validity.Warn, 0.6,
			"phase main: 120 k/s is 60 % of the 200 k/s that this client reaches on CPU [1] against the raw reflector with http1, 1000 connections, limit 50 %", "lower the rate"},
		// Offered, not achieved: a slow server does not make the client fast.
		{"a slow server", f, plan(steady, "steady"), report("steady", 12_000, 10, 0), validity.Warn, 0.6, "120 k/s", "lower the rate"},
		{"half of it on the average, in every second slot", f, inSlots(plan(steady, "steady")), report("steady", 10_000, 10_000, 0), validity.Warn, 1,
			"phase main: 200 k/s is 100 %", "lower the rate"},
		{"closed loop without a request", f, plan(scenarios.Arrivals{Closed: true}, "steady"), report("steady", 0, 15_000, 0), validity.NotApplicable, 0, "", ""},
		{"overload, drained by a slow server", f, plan(scenarios.Arrivals{Burst: 1}, "overload"), report("overload", 100_000, 6_000, 15), validity.OK, 0.3, "", ""},
		{"overload, drained by a fast one", f, plan(scenarios.Arrivals{Burst: 1}, "overload"), report("overload", 100_000, 15_000, 5), validity.Warn, 0.75,
			"client-bound: phase main: 150 k/s is 75 %", "lower the rate"},
		{"never measured", Floor{}, plan(steady, "steady"), report("steady", 1, 1, 0), validity.Unknown, 0, "was not measured here for http1, 1000 connections", "run `millrace calibrate`"},
		{"no request", f, plan(scenarios.Arrivals{}, "steady"), report("steady", 0, 0, 0), validity.NotApplicable, 0, "", ""},
	} {
		c := x.f.Check(x.p, x.r)
		if c.Name != CheckName || c.State != x.state || c.Value < x.value-1e-9 || c.Value > x.value+1e-9 || !strings.Contains(c.Reason, x.reason) || !strings.Contains(c.Remedy, x.cure) {
			t.Errorf("%s: %+v, want %s at %v, %q and %q", x.name, c, x.state, x.value, x.reason, x.cure)
		}
		if sound := c.State == validity.OK || c.State == validity.NotApplicable; sound != (c.Reason == "") || sound != (c.Remedy == "") {
			t.Errorf("%s: %s with reason %q and remedy %q", x.name, c.State, c.Reason, c.Remedy)
		}
	}
}

func TestCheckOfAClosedLoop(t *testing.T) {
	f := Floor{Client: []int{1}, Shapes: []Shape{shape(1000, 1, 0, 200e3)}}
	r := report("steady", 15_000, 15_000, 0)
	r.Phases[1].OfferedRPS = nil
	if c := f.Check(plan(scenarios.Arrivals{Closed: true}, "steady"), r); c.State != validity.Warn || c.Value != 0.75 {
		t.Errorf("%+v, want 75 %%", c)
	}
}

func TestCheckKnowsTheLoad(t *testing.T) {
	f := Floor{Client: []int{1}, Shapes: []Shape{shape(1000, 1, 0, 200e3)}}
	p, r := plan(scenarios.Arrivals{Constant: 1}, "steady"), report("steady", 1, 1, 0)
	state := func(want validity.State, what string) {
		t.Helper()
		if c := f.Check(p, r); c.State != want {
			t.Errorf("%s: %+v, want %s", what, c, want)
		}
	}
	state(validity.OK, "as it is")
	r.BodyBytesIn = 5000 * r.Planned
	state(validity.Unknown, "larger replies")
	r.BodyBytesIn = 0
	r.Engine = "uring"
	state(validity.Unknown, "another engine than planned")
	r.Engine = "tls"
	state(validity.NotApplicable, "an engine without a floor")
	r.Engine = "epoll"
	p.Scenario.Phases[1].Active = 1
	state(validity.Unknown, "ten connections active")
	p.Scenario.Phases[1].Active = 100
	p.Agents = 2
	state(validity.Unknown, "500 connections of two agents")
	p.Agents = 1
	// A phase that the load did not reach has no rate, and one peak second is a rate though the mean is low.
	r.Intervals[15].Planned = 150_000
	state(validity.Warn, "a peak")
}

func TestKinds(t *testing.T) {
	p := plan(scenarios.Arrivals{Constant: 1}, "steady")
	if got := Kinds(p); len(got) != 1 || got[0] != (Kind{"epoll", "http1", 1000, 1, 0, 13, ""}) {
		t.Errorf("kinds %v", got)
	}
	p.Scenario.Connections.Requests, p.Scenario.Connections.Close = 1, "fin-client"
	if got := Kinds(p); len(got) != 1 || got[0] != (Kind{"epoll", "http1", ShortConnections, 1, 1, 13, "fin-client"}) {
		t.Errorf("kinds %v", got)
	}
	idle, err := scenarios.Named("idle")
	if err != nil {
		t.Fatal(err)
	}
	if idle, err = idle.Resolve(); err != nil {
		t.Fatal(err)
	}
	if got := Kinds(&clients.Plan{Scenario: *idle, Engine: "epoll"}); len(got) != 1 || got[0].Connections != 150 {
		t.Errorf("kinds of idle %v, want the 1 %% of 15 000 connections that are active", got)
	}
}
