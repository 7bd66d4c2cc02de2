package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
	"github.com/millrace/millrace/scenarios"
)

// untilBudget is the time that a run with --until may take unless told otherwise.
const untilBudget = 20 * time.Minute

// ofTheRun are the flags that a run keeps for good.
var ofTheRun = []string{"servers", "engine", "reference", "quick", "set", "sweep", "seed", "estimate", "duet", "shared-cpus"}

// check refuses flags that don't go together, and fills in the defaults that depend on others. Rounds are 0 where a run that
// goes on should do as it did.
func (f *runFlags) check(flags *pflag.FlagSet) error {
	for _, name := range ofTheRun {
		if f.resume != "" && flags.Changed(name) {
			return fmt.Errorf("--%s with --resume: a run goes on as it was planned: leave it out, or start a new run", name)
		}
	}
	if len(f.metrics) > 0 && f.until == "" {
		return fmt.Errorf("--metric %s without --until: say how narrow its interval should be, such as --until 2%%", f.metrics[0])
	}
	if flags.Changed("budget") && f.budget <= 0 {
		return fmt.Errorf("--budget %v: want a time such as 20m", f.budget)
	}
	if f.quietWait < 0 || f.quietWait > time.Hour {
		return fmt.Errorf("--quiet-wait %v: want 0 to 1h", f.quietWait)
	}
	if f.until != "" && f.budget == 0 {
		f.budget = untilBudget
	}
	switch {
	case flags.Changed("rounds"):
		if f.rounds < 1 { // which --resume would take for nothing said
			return fmt.Errorf("rounds %d: want 1 to %d", f.rounds, runner.MaxRounds)
		}
	case f.until != "":
		f.rounds = runner.MaxRounds
	case f.resume != "":
		f.rounds = 0
	}
	return nil
}

// Widths that --until takes: a narrower interval than 0.1 % is beyond any host, a wider one than 50 % says nothing.
const minWidth, maxWidth = 0.001, 0.5

// untilOf is what --until and --metric ask for, nil for nothing. The metrics are still to be named where none was given.
func (f *runFlags) untilOf() (*results.Until, error) {
	if f.until == "" {
		return nil, nil
	}
	var p scenarios.Percent
	if err := p.UnmarshalText([]byte(f.until)); err != nil || p < 100*minWidth || p > 100*maxWidth {
		return nil, usage(fmt.Errorf("--until %q: want a width from %g%% to %g%%, such as 2%%", f.until, 100*minWidth, 100*maxWidth))
	}
	return &results.Until{Width: float64(p) / 100}, nil
}

// nameMetrics fills in the metrics that are looked at, and refuses those that the scenario doesn't have.
func (f *runFlags) nameMetrics(u *results.Until, run *results.Run) error {
	u.Metrics = f.metrics
	if len(f.metrics) == 0 {
		u.Metrics = untilMetrics(run)
	}
	var known []string
	for _, m := range results.Metrics {
		if slices.ContainsFunc(run.Workloads(), m.In) && m.Better != results.BetterNone {
			known = append(known, m.Name)
		}
	}
	for _, name := range u.Metrics {
		if !slices.Contains(known, name) {
			return usage(fmt.Errorf("--metric %q: want one of %s", name, strings.Join(known, ", ")))
		}
	}
	return nil
}

// durationOf says how long a run takes, and when it will have ended if it starts now.
func durationOf(c runner.Config, plan *results.Run) (duration, end string) {
	left := plan.Rounds * plan.TrialsPerRound()
	if c.Before != nil {
		left = c.Before.Left(plan)
	}
	d, word := time.Duration(left)*runner.PerTrial(plan), "about "
	if c.Until != nil || c.Budget > 0 && c.Budget < d {
		d, word = c.Budget, "at most "
	}
	return word + d.Round(time.Second).String(), time.Now().Add(d).Format("15:04")
}

// roundsOf says how many rounds there will be.
func roundsOf(c runner.Config, plan *results.Run) string {
	if c.Until == nil {
		return fmt.Sprintf("%d rounds", plan.Rounds)
	}
	return fmt.Sprintf("%d to %d rounds, until %s are known to ±%s", plan.Rounds, c.Rounds, strings.Join(c.Until.Metrics, " and "), percent(c.Until.Width))
}

// printRun says what is about to happen, scaling included.
func printRun(w io.Writer, c runner.Config, plan *results.Run) {
	duration, end := durationOf(c, plan)
	steps := ""
	if n := len(plan.Steps); n > 0 {
		steps = fmt.Sprintf("%d steps (%s) × ", n, strings.Join(plan.StepNames(), ", "))
	}
	fmt.Fprintf(w, "%s: %d variants × %s%s, %d connections, %s, over at %s\n", plan.ID, len(plan.Variants), steps, roundsOf(c, plan), mostConnections(plan), duration, end)
	if c.Before != nil {
		fmt.Fprintf(w, "resumed: %d trials are left of what is planned\n", c.Before.Left(plan))
		for _, line := range c.Before.Differs() {
			fmt.Fprintf(w, "not as before: %s\n", line)
		}
	}
	for _, line := range plan.Scale {
		fmt.Fprintf(w, "scaled down: %s\n", line)
	}
	for _, s := range plan.Steps {
		for _, line := range s.Scale {
			fmt.Fprintf(w, "scaled down: step %s: %s\n", s.Name, line)
		}
	}
	for name, why := range plan.NotApplicable {
		fmt.Fprintf(w, "not applicable: %s %s\n", name, why)
	}
	split := plan.Split
	if split.Shared {
		fmt.Fprintf(w, "client and server share CPUs %v: latencies hold each other's work\n", split.Server)
		return
	}
	fmt.Fprintf(w, "server on CPU %v, client on CPU %v, seed %d\n", split.Server, split.Client, plan.Seed)
}

func printEstimate(w io.Writer, c runner.Config, plan *results.Run) {
	count := mostConnections(plan)
	duration, end := durationOf(c, plan)
	fmt.Fprintf(w, "duration     %s\n", strings.TrimPrefix(duration, "about "))
	fmt.Fprintf(w, "end          %s, if started now\n", end)
	fmt.Fprintf(w, "trials       %d of %v\n", plan.Rounds*plan.TrialsPerRound(), runner.PerTrial(plan).Round(time.Millisecond))
	fmt.Fprintf(w, "connections  %d\n", count)
	fmt.Fprintf(w, "kernel memory  about %d MiB for both ends of them\n", count*kernelBytesPerConn>>20)
}

// mostConnections is the largest number of connections of any trial.
func mostConnections(plan *results.Run) int {
	most := 0
	for _, s := range plan.Workloads() {
		most = max(most, s.Connections.Count)
	}
	return most
}
