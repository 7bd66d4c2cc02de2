package runner

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// sweeping is planned with a sweep over connections.
func sweeping(t *testing.T) Config {
	c := pair(t)
	c.Set, c.Sweep, c.Seed = []string{"protocol=frame"}, "connections=10,20,40", 11
	return c
}

func TestPlanOfASweep(t *testing.T) {
	c := sweeping(t)
	plan, err := MakePlan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if names := plan.StepNames(); !slices.Equal(names, []string{"10", "20", "40"}) || plan.TrialsPerRound() != 6 || plan.Swept() != "connections.count" {
		t.Errorf("steps %q of %s, %d trials a round", names, plan.Swept(), plan.TrialsPerRound())
	}
	for i, count := range []int{10, 20, 40} {
		if s := plan.Steps[i]; s.Scenario.Connections.Count != count || *s.Value != float64(count) || len(s.Scenario.Sweep) > 0 || s.Scenario.Protocol != "frame" {
			t.Errorf("step %s: %d connections, value %v", s.Name, s.Scenario.Connections.Count, *s.Value)
		}
	}
	r := &run{plan: plan}
	for round := 1; round <= plan.Rounds+2; round++ { // beyond what is recorded as well
		seen := map[string]bool{}
		for i, s := range r.turns(round) {
			seen[r.trialID(s)] = true
			if s.position != i+1 || i%2 == 1 && s.step != r.turns(round)[i-1].step {
				t.Errorf("round %d: %s stands at %d, step %s", round, s.variant.Name, s.position, s.step)
			}
		}
		if len(seen) != 6 || !seen[results.TrialID(round, "burst", "gnet", 2)] {
			t.Errorf("round %d has the trials %v", round, seen)
		}
	}
	if got, want := PerRound(plan), 6*PerTrial(plan); got != want || Estimate(plan) != 2*want {
		t.Errorf("a round takes %v, all %v: want %v and twice that", got, Estimate(plan), want)
	}
	if left := len(r.missing()); left != 12 {
		t.Errorf("%d trials are to be run, want 12", left)
	}
}

func TestSweepsAreRefused(t *testing.T) {
	check := func(change func(*Config), want string) {
		t.Helper()
		c := sweeping(t)
		change(&c)
		_, err := MakePlan(t.Context(), c)
		var wrong *UsageError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want a usage error with %q", err, want)
		}
	}
	check(func(c *Config) { c.Sweep = "connections" }, "want PATH=VALUE,VALUE")
	check(func(c *Config) { c.Sweep = "connections=10,0" }, "step 0: connections.count 0: want 1 to")
	check(func(c *Config) { c.Sweep = "conections=10" }, `unknown key "conections"`)
	check(func(c *Config) { c.Set = append(c.Set, "connections.count=30") }, "set connections.count=30: step 10 of the sweep sets it again")
	check(func(c *Config) { c.Servers, c.Twin = c.Servers[:1], &Twin{} }, "scenario burst is a sweep")
	check(func(c *Config) { c.Duet = true }, "duets with scenario burst")
	check(func(c *Config) { c.Budget = PerTrial(&results.Run{Scenario: *c.Scenario}) }, "one round takes about")
}

// A step that the host can't hold is what fits, and is named so; one that would then be the same as another is left out.
func TestStepsAreScaled(t *testing.T) {
	base, err := scenarios.Named("mostly-idle")
	if err != nil {
		t.Fatal(err)
	}
	run := &results.Run{}
	for _, step := range base.Sweep {
		one, err := base.At(step)
		if err != nil {
			t.Fatal(err)
		}
		if err := addStep(run, step, one, 4000, "no more files"); err != nil {
			t.Fatal(err)
		}
	}
	if names := run.StepNames(); !slices.Equal(names, []string{"1k", "2500", "4000"}) {
		t.Errorf("steps %q", names)
	}
	if s := run.Steps[2]; *s.Value != 4000 || s.Scenario.Connections.Count != 4000 || !slices.Equal(s.Scale, []string{"4000 connections instead of 5000: no more files"}) {
		t.Errorf("the third step is %v, %d connections, %q", *s.Value, s.Scenario.Connections.Count, s.Scale)
	}
	if len(run.Scale) != 2 || !strings.Contains(run.Scale[0], "step 10k is left out, since no more than 4000 connections fit, which another step has: no more files") {
		t.Errorf("scale %q", run.Scale)
	}
	// Where something else is swept each step keeps its name.
	run = &results.Run{}
	value := 64.0
	for _, name := range []string{"64B", "1KiB"} {
		step := scenarios.Step{Name: name, Value: &value, Set: map[string]any{"payload": 64}}
		one, err := base.At(step)
		if err != nil {
			t.Fatal(err)
		}
		value *= 16
		step.Value = new(float64)
		*step.Value = value
		if err := addStep(run, step, one, 400, "no more files"); err != nil {
			t.Fatal(err)
		}
	}
	if names := run.StepNames(); !slices.Equal(names, []string{"64B", "1KiB"}) || len(run.Steps[1].Scale) != 1 || len(run.Scale) != 0 {
		t.Errorf("steps %q, scaled %q, run %q", names, run.Steps[1].Scale, run.Scale)
	}
}

// A sweep that was broken off goes on with the trials that it lacks, and can be extended.
func TestReopenOfASweep(t *testing.T) {
	c := sweeping(t)
	plan, err := MakePlan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := results.Create(t.TempDir(), plan)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{plan: plan}
	for i, s := range r.turns(1)[:4] {
		status := results.StatusDone
		if i == 3 {
			status = results.StatusInterrupted
		}
		err := d.Append(&results.Trial{Schema: results.Schema, ID: r.trialID(s), Round: 1, Position: s.position, Scenario: "burst",
			Variant: s.variant.Name, Step: s.step, Status: status, Verdict: validity.Valid})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	c.Rounds = 3
	again, reopened, err := Reopen(t.Context(), c, d.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Before.Close()
	if left := again.Before.Left(reopened); left != 15 {
		t.Errorf("%d trials are left of 18, want 15", left)
	}
	goes := &run{plan: reopened, trials: again.Before.trials}
	if missing := goes.missingOf(1); len(missing) != 3 || goes.trialID(missing[0]) != r.trialID(r.turns(1)[3]) {
		t.Errorf("round 1 lacks %+v", missing)
	}
}
