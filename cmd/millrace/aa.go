package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/analysis/noise"
	"github.com/millrace/millrace/report/compared"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
	"github.com/millrace/millrace/runner/host"
)

// aaFlags are the flags of `millrace aa`.
type aaFlags struct {
	runFlags
	server, inject string
	table          bool
}

const (
	// aaRounds make four verdicts; --quick makes as many of a shorter scenario, within five minutes.
	aaRounds = 4 * noise.VerdictRounds
	// pilotRounds find out what a request costs before a share of it is injected.
	pilotRounds = 3
	// maxInject is the largest share that --inject takes.
	maxInject = 1.0
)

func aaCommand() *cobra.Command {
	f := aaFlags{}
	c := &cobra.Command{
		Use:   "aa [SCENARIO|FILE.yaml]",
		Short: "Compare a server with itself, to learn how small a difference this host can resolve",
		Long: `Compare a server with itself, to learn how small a difference this host can resolve: the same program runs as A and as B through
the whole machinery, and every difference found is false. Runs of the same server, scenario, host and design are taken together, so
that verdicts accumulate over invocations. With --inject, B costs so much more CPU time a request, and what is found is the power.

Exit status: 3 where the 95 % interval over all rounds of this invocation lies wholly beyond ±5 % in a headline metric (which --inject
should end with), 0 otherwise, 1 a trial failed, 2 usage, 4 no valid trial, 130 interrupted.`,
		Example: `  millrace aa --quick
  millrace aa --quick --inject 8%
  millrace aa idle --quick --server gnet --rounds 12
  millrace aa --table`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "steady"
			if len(args) == 1 {
				name = args[0]
			}
			if err := f.check(cmd.Flags()); err != nil {
				return usage(err)
			}
			if f.table {
				return printStudies(cmd, f.results, nil, true)
			}
			return doAA(cmd, name, &f)
		},
	}
	c.Flags().StringVar(&f.server, "server", "goroutine", "the variant that is compared with itself")
	c.Flags().StringVar(&f.inject, "inject", "", "share of its CPU time a request by which B is slower, such as 8%")
	c.Flags().IntVar(&f.rounds, "rounds", aaRounds, "how often A and B run; 6 make a verdict")
	c.Flags().BoolVar(&f.quick, "quick", false, "the quick form of the scenario; 24 rounds of steady take less than five minutes")
	c.Flags().BoolVar(&f.table, "table", false, "measure nothing: print what all runs so far say, as Markdown")
	c.Flags().StringArrayVar(&f.set, "set", nil, "change a field of the scenario, such as phases.steady.for=10s (repeatable)")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "seed of the order and of the arrivals (default: drawn and recorded)")
	c.Flags().BoolVar(&f.duet, "duet", false, duetHelp)
	c.Flags().BoolVar(&f.sharedCPUs, "shared-cpus", false, sharedHelp)
	c.Flags().DurationVar(&f.budget, "budget", 0, "time that the rounds may take (default: no limit)")
	c.Flags().DurationVar(&f.quietWait, "quiet-wait", host.QuietWait, "how long a round waits for a quiet host at most; 0 does not look")
	c.Flags().StringVar(&f.engine, "engine", "epoll", "load engine, as in run")
	c.Flags().StringVar(&f.results, "results", "results/runs", "directory of the runs")
	return c
}

func doAA(cmd *cobra.Command, name string, f *aaFlags) error {
	share, err := parseInject(f.inject)
	if err != nil {
		return usage(err)
	}
	if strings.ContainsAny(f.server, ", ") {
		return usage(fmt.Errorf("--server %q: want one, which is compared with itself", f.server))
	}
	f.servers = f.server
	config, err := f.config(name)
	if err != nil {
		return err
	}
	config.Twin = &runner.Twin{Share: share}
	ctx, errs := cmd.Context(), cmd.ErrOrStderr()
	plan, err := runner.MakePlan(ctx, config) // before a pilot takes its time
	if err != nil {
		return err
	}
	if share > 0 {
		if config.Twin.Inject, err = pilot(ctx, errs, config, share); err != nil {
			return err
		}
		if plan, err = runner.MakePlan(ctx, config); err != nil {
			return err
		}
	}
	printRun(errs, config, plan)
	sum, runErr := carryOut(ctx, errs, config, plan)
	if sum == nil {
		return runErr
	}
	beyond, err := judgeOwn(sum.Dir)
	if err == nil {
		err = printStudies(cmd, f.results, plan, false)
	}
	if ended := outcome(sum, runErr); ended != nil || err != nil {
		return errors.Join(ended, err)
	}
	if len(beyond) > 0 {
		return &statusError{exitBreached, fmt.Errorf("beyond ±5 %%: %s", strings.Join(beyond, ", "))}
	}
	return nil
}

// parseInject reads a share such as "8%"; empty is none.
func parseInject(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	number, ok := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(v > 0 && v <= 100*maxInject) {
		return 0, fmt.Errorf("--inject %q: want more than 0%% and up to %.0f%%", text, 100*maxInject)
	}
	return v / 100, nil
}

// pilot measures what a request costs in CPU time, in rounds of its own, and returns the share of it as a time.
func pilot(ctx context.Context, errs io.Writer, config runner.Config, share float64) (time.Duration, error) {
	config.Rounds, config.Budget, config.Twin, config.Duet = pilotRounds, 0, nil, false
	plan, err := runner.MakePlan(ctx, config)
	if err != nil {
		return 0, err
	}
	plan.Purpose = results.PurposePilot
	fmt.Fprintf(errs, "pilot: %d rounds to learn what a request costs\n", pilotRounds)
	sum, err := carryOut(ctx, errs, config, plan)
	if err != nil {
		return 0, err
	}
	res, err := results.Load(sum.Dir)
	if err != nil {
		return 0, err
	}
	var costs []float64
	for _, t := range res.Trials {
		if v, ok := t.Metrics["cpu-per-req-ns"]; ok && t.LeftOut() == "" {
			costs = append(costs, v)
		}
	}
	if len(costs) == 0 {
		return 0, &statusError{exitInvalid, fmt.Errorf("no valid trial tells what a request of %s costs: see `millrace report %s`", plan.Variants[0].Name, sum.Dir)}
	}
	return injected(share, inference.Median(costs))
}

// injected is a share of what a request costs in ns, as far as the servers inject it.
func injected(share, cost float64) (time.Duration, error) {
	d := time.Duration(share * cost)
	if d < 1 || d > runner.MaxInject {
		word := "lower"
		if d < 1 {
			word = "raise"
		}
		return 0, usage(fmt.Errorf("--inject: %.3g %% of %v is %v: the servers inject 1ns to %v: %s the share", 100*share, time.Duration(cost), d, runner.MaxInject, word))
	}
	return d, nil
}

// judgeOwn lists the headline metrics of a run whose ratio over all its rounds lies beyond ±5 %.
func judgeOwn(dir string) ([]string, error) {
	res, err := results.Load(dir)
	if err != nil {
		return nil, err
	}
	var beyond []string
	headline := res.Run.Headline()
	for _, s := range noise.Studies([]*results.Result{res}) {
		for _, m := range s.Metrics {
			if slices.Contains(headline, m.Info.Name) && compare.Beyond(m.Ratio) {
				beyond = append(beyond, m.Info.Name)
			}
		}
	}
	return beyond, nil
}

// printStudies prints the studies of all runs below root; with a plan, only the one that it belongs to.
func printStudies(cmd *cobra.Command, root string, plan *results.Run, markdown bool) error {
	runs, warnings, err := results.Find(root, func(r *results.Run) bool { return r.Purpose == results.PurposeAA })
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), w)
	}
	var shown []*noise.Study
	for _, s := range noise.Studies(runs) {
		if plan == nil || slices.Contains(s.Runs, plan.ID) {
			shown = append(shown, s)
		}
	}
	out := cmd.OutOrStdout()
	switch {
	case len(shown) == 0:
		return &statusError{exitInvalid, fmt.Errorf("no run of `millrace aa` in %s has a trial", root)}
	case markdown:
		return compared.NoiseMarkdown(out, shown)
	}
	return compared.Noise(out, shown, isTerminal(out) && os.Getenv("NO_COLOR") == "")
}
