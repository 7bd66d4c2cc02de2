package scenarios

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestParseSweep(t *testing.T) {
	check := func(text, want string) {
		t.Helper()
		steps, err := ParseSweep(text)
		var got []string
		for _, s := range steps {
			got = append(got, fmt.Sprintf("%s=%v%v", s.Name, *s.Value, s.Set))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v (%v), want %s", text, got, err, want)
		}
	}
	check("connections=100,1k,1.5k", "100=100map[connections.count:100] 1k=1000map[connections.count:1000] 1_5k=1500map[connections.count:1500]")
	check("payload=64B, 4KiB", "64B=64map[payload:64] 4KiB=4096map[payload:4096]")
	check("work=1%,10%", "1pct=1map[work.share:1%] 10pct=10map[work.share:10%]")
	check("phases.steady.for=500ms,2s", "500ms=0.5map[phases.steady.for:500ms] 2s=2map[phases.steady.for:2s]")
	check("phases.steady.arrivals.poisson=10k/s", "10k_per_s=10000map[phases.steady.arrivals.poisson:10k/s]")
	for _, text := range []string{"", "connections", "connections=", "=1", "connections=many", "connections=1,,2", "payload=1QiB"} {
		if steps, err := ParseSweep(text); err == nil {
			t.Errorf("%q is taken as %v", text, steps)
		}
	}
}

func TestStepsAreScenarios(t *testing.T) {
	s, err := Named("steady")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"connections=10,100", "phases.steady.arrivals.poisson=5k/s,10k", "payload=64B,1KiB", "timeout=1s,2s"} {
		if s.Sweep, err = ParseSweep(text); err != nil {
			t.Fatal(err)
		}
		for _, step := range s.Sweep {
			if one, err := s.At(step); err != nil || len(one.Sweep) > 0 {
				t.Errorf("%s at %s: %v", text, step.Name, err)
			}
		}
	}
	if one, err := s.At(s.Sweep[1]); err != nil || one.Timeout != Duration(2e9) || s.Timeout != Duration(10e9) {
		t.Errorf("the step's timeout is %v (%v), the scenario's %v", one.Timeout, err, s.Timeout)
	}
	s.Sweep, _ = ParseSweep("connections=10,100")
	for path, want := range map[string]bool{"connections.count": true, "connections": true, "connections.countdown": false, "connections.rate": false, "payload": false} {
		if _, swept := s.Sweeps(path); swept != want {
			t.Errorf("%s is swept: %v, want %v", path, swept, want)
		}
	}
}

func TestBadSweepsAreRefused(t *testing.T) {
	check := func(change func(*Scenario), want string) {
		t.Helper()
		s, err := Named("steady")
		if err != nil {
			t.Fatal(err)
		}
		if s.Sweep, err = ParseSweep("connections=10,100"); err != nil {
			t.Fatal(err)
		}
		change(s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	check(func(s *Scenario) { s.Sweep[1].Name = "10" }, `sweep[1].name "10" is taken`)
	check(func(s *Scenario) { s.Sweep[1].Name = "1/0" }, "want a word without blanks, dots and slashes")
	check(func(s *Scenario) { s.Sweep[1].Set = nil }, "sweep[1].set is empty")
	check(func(s *Scenario) { s.Sweep[1].Value = nil }, "sweep[1].value: want it in all steps or in none")
	check(func(s *Scenario) { s.Sweep[1].Set["connections.count"] = 0 }, "sweep[1]: sweep step 100: connections.count 0: want 1 to")
	check(func(s *Scenario) { s.Sweep[1].Set["conections.count"] = 1 }, `unknown key "conections"`)
	check(func(s *Scenario) {
		for i := range maxSteps {
			s.Sweep = append(s.Sweep, Step{Name: fmt.Sprint("s", i), Value: s.Sweep[0].Value, Set: map[string]any{"payload": 1}})
		}
	}, "34 steps, want at most 32")
}

// A step that went through JSON, as in run.json, sets what it set before.
func TestStepsThroughJSON(t *testing.T) {
	s, err := Named("transport")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var read Scenario
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	for i, step := range read.Sweep {
		got, err := read.At(step)
		if err != nil {
			t.Fatal(err)
		}
		want, err := s.At(s.Sweep[i])
		if err != nil || got.Connections.Count != want.Connections.Count || got.Connections.Requests != want.Connections.Requests {
			t.Errorf("step %s: %+v after JSON, %+v before (%v)", step.Name, got.Connections, want.Connections, err)
		}
	}
}

func TestTraits(t *testing.T) {
	want := map[string][]Trait{
		"burst": {Overload, Disturbance}, "connburst": {Overload, Disturbance, Churn}, "idle": {Ladder, Idling}, "mostly-idle": {Idling},
		"churn": {Churn}, "steady": nil, "reconnect": {Holding}, "jitter": {Disturbance},
	}
	for name, traits := range want {
		s, err := Named(name)
		if err != nil {
			t.Fatal(err)
		}
		resolved, err := s.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		for _, trait := range Traits {
			has := false
			for _, w := range traits {
				has = has || w == trait
			}
			if s.Has(trait) != has || resolved.Has(trait) != has {
				t.Errorf("%s has the trait %s: %v, resolved %v, want %v", name, trait, s.Has(trait), resolved.Has(trait), has)
			}
		}
	}
}
