package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/internal/hostkey"
	"github.com/millrace/millrace/report"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

// runFlags are the flags of `millrace run`.
type runFlags struct {
	servers, engine, results, reference string
	sweep                               string
	rounds                              int
	quick, estimate, duet, sharedCPUs   bool
	set                                 []string
	seed                                uint64
	until, resume                       string
	metrics                             []string
	budget, quietWait                   time.Duration
}

func runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run SCENARIO|FILE.yaml | run --resume RUN",
		Short: "Run a scenario against every server, round by round, and report it",
		Long: `Run a scenario against every server in balanced random order, round by round, each trial against a fresh process, and
report it. Before each trial the run waits for a quiet host.

With --until 2% rounds go on until the 95 % intervals of the ratios to the reference reach at most ±2 % in two looks in a row,
after 6 rounds at least, or until --budget is spent. These are intervals by themselves: those of the report hold together, and are
wider. Stopping so makes all of them a little too narrow: docs/METHOD.md says how much.

With --sweep, or where the scenario has a sweep, a round runs every variant at every step, and the report says for each pair of
variants where the winner changes, with an interval.

With --resume an interrupted run goes on in its directory, with the trials that it lacks; --rounds or --until extend it. It is
refused where programs, host, kernel, CPUs or method are not those of the run, and for runs that other commands made.

Where the scenario has an expect block its statements are decided on the rounds (docs/EXPECT.md).

Exit status: 0 done, 1 a trial failed, 2 usage, 4 a variant has no valid trial, 3 an expectation is REFUTED, 130 interrupted (what
was measured is written and reported).`,
		Example: `  millrace run burst
  millrace run burst --quick --servers gnet,goroutine --rounds 3
  millrace run idle --set connections.steps=[500,1000,2000,4000]
  millrace run mostly-idle --sweep connections=100,1k,10k
  millrace run churn --until 3% --metric p99-latency-ns --budget 30m
  millrace run --resume 20261121T031500Z-burst-k3f9 --rounds 20`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.resume != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd.Flags()); err != nil {
				return usage(err)
			}
			return doRun(cmd, strings.Join(args, ""), f)
		},
	}
	c.Flags().StringVar(&f.servers, "servers", "", "variants to compare, such as gnet,gnet/ants (default: every model)")
	c.Flags().StringVar(&f.reference, "reference", "", "variant that the others are compared with (default: the first)")
	c.Flags().IntVar(&f.rounds, "rounds", 10, "how often every variant runs; with --until at most, then 1000 unless given")
	c.Flags().StringVar(&f.until, "until", "", "go on until the intervals of the ratios reach at most so far, such as 2%")
	c.Flags().StringArrayVar(&f.metrics, "metric", nil, "metric that --until looks at (repeatable; default: the scenario's first headline and CPU a request)")
	c.Flags().DurationVar(&f.budget, "budget", 0, "time that the rounds may take; no round begins that would not end within it (default: no limit, with --until 20m)")
	c.Flags().DurationVar(&f.quietWait, "quiet-wait", host.QuietWait, "how long a trial waits for a quiet host at most; 0 does not look")
	c.Flags().BoolVar(&f.duet, "duet", false, duetHelp)
	c.Flags().BoolVar(&f.sharedCPUs, "shared-cpus", false, sharedHelp)
	c.Flags().StringVar(&f.resume, "resume", "", "path or id of a run to go on with")
	c.Flags().BoolVar(&f.quick, "quick", false, "a small version of the scenario, to see that all works")
	c.Flags().StringArrayVar(&f.set, "set", nil, "change a field of the scenario, such as connections.count=2000 (repeatable)")
	c.Flags().StringVar(&f.sweep, "sweep", "", "steps of a field, each a trial of its own, in place of the scenario's: connections=100,1k,10k")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "seed of the order and of the arrivals (default: drawn and recorded)")
	c.Flags().StringVar(&f.engine, "engine", "epoll", "load engine: epoll, uring (io_uring; epoll where the kernel has none) or vegeta")
	c.Flags().StringVar(&f.results, "results", "results/runs", "directory of the runs")
	c.Flags().BoolVar(&f.estimate, "estimate", false, "print how long it takes and what it needs, and do nothing")
	return c
}

// sharedHelp is the help of --shared-cpus.
const sharedHelp = "all CPUs to both client and server, in place of a half to each: latencies then hold each other's work"

// duetHelp is the help of --duet.
const duetHelp = "both variants at the same time on the same CPUs, the load going from one to the other every 100 ms; constant and Poisson arrivals only"

func doRun(cmd *cobra.Command, name string, f runFlags) error {
	ctx, out, errs := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	config, plan, err := f.plan(ctx, name)
	if err != nil {
		return err
	}
	if config.Before != nil {
		defer config.Before.Close()
	}
	if err := expect.Check(plan.Scenario.Expect, expect.NamesOf(plan, sut.Models)); err != nil {
		return usage(err)
	}
	printRun(errs, config, plan)
	if f.estimate {
		printEstimate(out, config, plan)
		return nil
	}
	sum, err := carryOut(ctx, errs, config, plan)
	if sum == nil {
		return err
	}
	if sum.Why != "" {
		fmt.Fprintf(errs, "ended (%s): %s\n", sum.Reason, sum.Why)
	}
	return errors.Join(outcome(sum, err), reportOn(out, sum.Dir, err == nil))
}

// reportOn writes the report of a run and prints it. Its error is of that, or of expectations that are not met in a run that was
// whole.
func reportOn(out io.Writer, dir string, whole bool) error {
	res, err := results.Load(dir)
	if err != nil {
		return err
	}
	path, err := report.WriteResult(res)
	if err == nil {
		err = printResult(out, res)
	}
	fmt.Fprintf(out, "\nreport: %s\n", path)
	if names := report.Refuted(res); whole && names != "" {
		err = errors.Join(err, &statusError{exitBreached, fmt.Errorf("expectations REFUTED: %s", names)})
	}
	return err
}

// carryOut runs a plan with the floor that it needs, and shows how it goes.
func carryOut(ctx context.Context, errs io.Writer, config runner.Config, plan *results.Run) (*runner.Summary, error) {
	config.Floor = floorOf(ctx, errs, plan)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	live := newLiveLine(errs, isTerminal(errs))
	defer live.close()
	config.Progress = live.show
	return runner.Run(ctx, config, plan)
}

// plan makes the run's configuration and its plan.
func (f *runFlags) plan(ctx context.Context, name string) (runner.Config, *results.Run, error) {
	config, err := f.config(name)
	if err != nil {
		return config, nil, err
	}
	var plan *results.Run
	if f.resume != "" {
		dir, err := findRun(f.results, f.resume)
		if err != nil {
			return config, nil, err
		}
		if config, plan, err = runner.Reopen(ctx, config, dir); err != nil {
			return config, nil, err
		}
	} else if plan, err = runner.MakePlan(ctx, config); err != nil {
		return config, nil, err
	}
	if config.Until != nil {
		if len(config.Until.Metrics) == 0 {
			err = f.nameMetrics(config.Until, plan)
		}
		config.Enough = untilEnough(config.Until)
	}
	return config, plan, err
}

// config turns flags that check has let pass into a run's configuration.
func (f *runFlags) config(name string) (runner.Config, error) {
	if err := knownEngine(f.engine); err != nil {
		return runner.Config{}, err
	}
	if f.engine == tlsEngine {
		return runner.Config{}, usage(fmt.Errorf("--engine tls: the servers of a run speak no TLS: want epoll or vegeta, or `millrace load https://…`"))
	}
	var s *scenarios.Scenario
	if f.resume == "" {
		var err error
		if s, err = scenarioOf(name); err != nil {
			return runner.Config{}, err
		}
	}
	until, err := f.untilOf()
	if err != nil {
		return runner.Config{}, err
	}
	c, err := ownConfig()
	if err != nil {
		return runner.Config{}, err
	}
	c.Scenario, c.ReadTrace, c.Quick, c.Set, c.Sweep, c.Servers, c.Reference = s, traceReader(name), f.quick, f.set, f.sweep, sut.SplitNames(f.servers), f.reference
	c.Duet, c.SharedCPUs = f.duet, f.sharedCPUs
	c.Rounds, c.Until, c.Budget, c.QuietWait, c.Seed, c.Engine, c.Root = f.rounds, until, f.budget, f.quietWait, f.seed, f.engine, f.results
	return c, nil
}

// ownConfig is what every run has from this program: its agents, its servers, and how it measures.
func ownConfig() (runner.Config, error) {
	program, err := self()
	if err != nil {
		return runner.Config{}, err
	}
	dir, err := serversDir()
	if err != nil {
		return runner.Config{}, err
	}
	return runner.Config{
		ServersDir: dir, CacheDir: hostkey.Dir(), Agent: []string{program, "agent"}, Version: version, Commit: commit, Measure: analysis.Measure,
	}, nil
}

// scenarioOf reads an embedded scenario by name, or a file by its path.
func scenarioOf(name string) (*scenarios.Scenario, error) {
	if !strings.HasSuffix(name, ".yaml") {
		s, err := scenarios.Named(name)
		if err != nil {
			return nil, usage(err)
		}
		return s, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, usage(fmt.Errorf("reading scenario: %w", err))
	}
	s, err := scenarios.Decode(name, data)
	if err != nil {
		return nil, usage(err)
	}
	return s, nil
}

// splitList splits "a,b" and "a b" alike.
func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// kernelBytesPerConn is what an idle TCP connection costs the kernel, both ends on one host: about 3.9 KB each.
const kernelBytesPerConn = 7800

// outcome turns how a run ended into the exit status that goes with it.
func outcome(sum *runner.Summary, err error) error {
	switch {
	case sum.Reason == results.EndedInterrupted:
		return &statusError{exitInterrupted, errors.New("interrupted: what was measured is in the report")}
	case err != nil:
		return err
	case sum.Failed > 0:
		return &statusError{exitFailed, fmt.Errorf("%d of %d trials failed: see the report's footnotes", sum.Failed, sum.Failed+sum.Done)}
	case len(sum.Unmeasured) > 0:
		return &statusError{exitInvalid, fmt.Errorf("no valid trial of %s: see the report's footnotes", strings.Join(sum.Unmeasured, ", "))}
	}
	return nil
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
