package results

import (
	"slices"

	"github.com/millrace/millrace/scenarios"
)

// Step is one step of a sweep, as it runs.
type Step struct {
	// Name is a word for tables, unique in its run. Value is the number that is swept, nil where the steps are no numbers. Both
	// are what runs: a step that was scaled down to fit the host has the number that fits.
	Name  string   `json:"name"`
	Value *float64 `json:"value,omitempty"`
	// Scenario of the step as resolved, after the host's limits.
	Scenario scenarios.Scenario `json:"scenario"`
	// Scale says what was made smaller to fit the host, a sentence each.
	Scale []string `json:"scale,omitempty"`
}

// StepNames are the steps of a round in the order given; a run without a sweep has one without a name.
func (r *Run) StepNames() []string {
	if len(r.Steps) == 0 {
		return []string{""}
	}
	var names []string
	for i := range r.Steps {
		names = append(names, r.Steps[i].Name)
	}
	return names
}

// ScenarioOf is the scenario of the trials of a step, "" in a run without a sweep; nil if the run has no such step. It points
// into r.
func (r *Run) ScenarioOf(step string) *scenarios.Scenario {
	if step == "" && len(r.Steps) == 0 {
		return &r.Scenario
	}
	if i := r.stepIndex(step); i >= 0 {
		return &r.Steps[i].Scenario
	}
	return nil
}

// Workloads are the scenarios that the trials of a round run: those of the steps, or the only one. They point into r.
func (r *Run) Workloads() []*scenarios.Scenario {
	var list []*scenarios.Scenario
	for _, name := range r.StepNames() {
		list = append(list, r.ScenarioOf(name))
	}
	return list
}

// TrialsPerRound is how many trials a whole round has.
func (r *Run) TrialsPerRound() int { return len(r.Variants) * max(1, len(r.Steps)) }

// TrialID names a trial of the run and its directory.
func (r *Run) TrialID(round int, variant, step string) string {
	return TrialID(round, r.Scenario.Name, variant, r.stepIndex(step)+1)
}

func (r *Run) stepIndex(name string) int {
	return slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == name })
}

// At returns one step of a swept run as if it were a run by itself: its scenario, its scale, its trials. Of a run without a sweep
// the step is "" and the result r itself. An unknown step has no trials. What is returned shares its records with r.
func (r *Result) At(step string) *Result {
	if len(r.Run.Steps) == 0 {
		return r
	}
	run := *r.Run
	run.Steps, run.StepOrder, run.Order = nil, nil, nil
	one := &Result{Path: r.Path, Run: &run, Sessions: r.Sessions}
	if i := r.Run.stepIndex(step); i >= 0 {
		s := &r.Run.Steps[i]
		run.Scenario, run.Scale = s.Scenario, slices.Concat(run.Scale, s.Scale)
	}
	for i, order := range r.Run.Order {
		run.Order = append(run.Order, r.Run.turnsOf(i, order, step))
	}
	for _, t := range r.Trials {
		if t.Step == step {
			one.Trials = append(one.Trials, t)
		}
	}
	return one
}

// turnsOf is the order of the variants at a step in the round of that index.
func (r *Run) turnsOf(round int, order []string, step string) []string {
	if round >= len(r.StepOrder) {
		return nil
	}
	n := len(r.Variants)
	i := slices.Index(r.StepOrder[round], step)
	if i < 0 || (i+1)*n > len(order) {
		return nil
	}
	return order[i*n : (i+1)*n]
}
