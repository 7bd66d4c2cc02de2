package results

import (
	"slices"
	"strings"
	"testing"
)

// aSweep is aRun over two steps.
func aSweep(t *testing.T) *Run {
	run := aRun(t)
	for i, name := range []string{"10", "1k"} {
		value := []float64{10, 1000}[i]
		s := *run.Scenario.Clone()
		s.Connections.Count = int(value)
		run.Steps = append(run.Steps, Step{Name: name, Value: &value, Scenario: s, Scale: []string{"smaller at " + name}})
	}
	run.StepOrder = [][]string{{"1k", "10"}, {"10", "1k"}, {"1k", "10"}}
	run.Order = nil
	for range run.StepOrder {
		run.Order = append(run.Order, []string{"goroutine", "gnet/ants", "gnet/ants", "goroutine"})
	}
	return run
}

func TestStepsOfARun(t *testing.T) {
	run := aSweep(t)
	d, err := Create(t.TempDir(), run)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"1k", "10"} {
		for _, variant := range []string{"goroutine", "gnet/ants"} {
			x := aTrial(1, variant, 1e9)
			x.ID, x.Step = run.TrialID(1, variant, step), step
			if err := d.Append(x); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	res, err := Load(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	one := res.At("1k")
	if len(one.Trials) != 2 || one.Trials[1].ID != "r01-burst-gnet+ants-s02" || one.Run.Scenario.Connections.Count != 1000 || len(one.Run.Steps) != 0 {
		t.Errorf("step 1k: %d trials, %d connections", len(one.Trials), one.Run.Scenario.Connections.Count)
	}
	if !slices.Equal(one.Run.Scale, []string{"smaller at 1k"}) || !slices.Equal(one.Run.Order[0], []string{"goroutine", "gnet/ants"}) || !slices.Equal(one.Run.Order[1], []string{"gnet/ants", "goroutine"}) {
		t.Errorf("step 1k: scale %q, order %v", one.Run.Scale, one.Run.Order)
	}
	if len(res.Run.Steps) != 2 || len(res.Trials) != 4 || res.Run.TrialsPerRound() != 4 {
		t.Errorf("the run itself was changed: %d steps, %d trials", len(res.Run.Steps), len(res.Trials))
	}
	if res.Run.ScenarioOf("1k").Connections.Count != 1000 || res.Run.ScenarioOf("") != nil || res.Run.ScenarioOf("2k") != nil {
		t.Error("a step without a name, or one that isn't there, has a scenario")
	}
	if none := res.At("2k"); len(none.Trials) != 0 {
		t.Errorf("a step that isn't there has %d trials", len(none.Trials))
	}
}

// What is no sweep reads as before, and a trial of a step that the run doesn't have is refused.
func TestRunsWithoutSteps(t *testing.T) {
	d, _ := aDir(t)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	res, err := Load(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	if res.At("") != res || res.Run.ScenarioOf("") != &res.Run.Scenario || res.Run.TrialsPerRound() != 2 || res.Run.Numeric() || res.Run.Swept() != "" {
		t.Error("a run without steps is not its own only step")
	}
	d, err = Create(t.TempDir(), aSweep(t))
	if err != nil {
		t.Fatal(err)
	}
	x := aTrial(1, "goroutine", 1e9)
	x.Step = "100"
	if err := d.Append(x); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(d.Path()); err == nil || !strings.Contains(err.Error(), `step "100": want one of ["10" "1k"]`) {
		t.Errorf("a trial of an unknown step: %v", err)
	}
}
