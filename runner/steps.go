package runner

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// resolveSteps fills run.Scenario, run.Steps and run.Scale of a scenario with a sweep.
func resolveSteps(c Config, s *scenarios.Scenario, run *results.Run) error {
	for _, step := range s.Sweep {
		one, err := s.At(step)
		if err == nil {
			one, err = one.ReadTraces(c.ReadTrace)
		}
		if err != nil {
			return &UsageError{err}
		}
		most, why := fits(one)
		if err := addStep(run, step, one, most, why); err != nil {
			return err
		}
	}
	if len(run.Steps) == 0 {
		return &UsageError{fmt.Errorf("scenario %s: no step of its sweep fits this host", s.Name)}
	}
	base, err := s.ReadTraces(c.ReadTrace)
	if err == nil {
		base, err = base.Resolve()
	}
	if err != nil {
		return &UsageError{fmt.Errorf("scenario %s: %w", s.Name, err)}
	}
	run.Scenario = *base
	return nil
}

// addStep adds a step's scenario to the run, scaled down to the most connections that fit. Where the count is what is swept the
// step is named after what runs, and left out if another step has as many.
func addStep(run *results.Run, step scenarios.Step, one *scenarios.Scenario, most int, why string) error {
	out := results.Step{Name: step.Name, Value: step.Value}
	if count := one.Connections.Count; count > most {
		if step.Value != nil && *step.Value == float64(count) {
			fits := float64(most)
			out.Name, out.Value = fmt.Sprint(most), &fits
		}
		if slices.ContainsFunc(run.Steps, func(s results.Step) bool { return s.Name == out.Name || out.Value != nil && *s.Value == *out.Value }) {
			run.Scale = append(run.Scale, fmt.Sprintf("step %s is left out, since no more than %d connections fit, which another step has: %s", step.Name, most, why))
			return nil
		}
		out.Scale = append(out.Scale, fmt.Sprintf("%d connections instead of %d: %s", most, count, why))
		one.LimitConnections(most)
	}
	out.Scale = append(out.Scale, settleReplicas(one)...)
	resolved, err := one.Resolve()
	if err != nil {
		return &UsageError{fmt.Errorf("scenario %s, step %s: %w", one.Name, step.Name, err)}
	}
	out.Scenario = *resolved
	run.Steps = append(run.Steps, out)
	return fitsMessage(resolved)
}
