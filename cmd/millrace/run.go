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
	"github.com/millrace/millrace/internal/hostkey"
	"github.com/millrace/millrace/report"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
	"github.com/millrace/millrace/scenarios"
)

// runFlags are the flags of `millrace run`.
type runFlags struct {
	servers, engine, results string
	rounds                   int
	quick, estimate          bool
	set                      []string
	seed                     uint64
}

func runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run SCENARIO|FILE.yaml",
		Short: "Run a scenario against every server, round by round, and report it",
		Long: `Run a scenario against every server in random order, round by round, each trial against a fresh process, and report it.

Exit status: 0 done, 1 a trial failed, 2 usage, 4 a variant has no valid trial, 130 interrupted (what was measured is
written and reported).`,
		Example: `  millrace run burst
  millrace run burst --quick --servers gnet,goroutine --rounds 3
  millrace run idle --set connections.steps=[500,1000,2000,4000]`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return doRun(cmd, args[0], f) },
	}
	c.Flags().StringVar(&f.servers, "servers", "", "variants to compare, such as gnet,gnet/ants (default: every model)")
	c.Flags().IntVar(&f.rounds, "rounds", 10, "how often every variant runs")
	c.Flags().BoolVar(&f.quick, "quick", false, "a small version of the scenario, to see that all works")
	c.Flags().StringArrayVar(&f.set, "set", nil, "change a field of the scenario, such as connections.count=2000 (repeatable)")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "seed of the order and of the arrivals (default: drawn and recorded)")
	c.Flags().StringVar(&f.engine, "engine", "epoll", "load engine: epoll, uring (io_uring; epoll where the kernel has none) or vegeta")
	c.Flags().StringVar(&f.results, "results", "results/runs", "directory of the runs")
	c.Flags().BoolVar(&f.estimate, "estimate", false, "print how long it takes and what it needs, and do nothing")
	return c
}

func doRun(cmd *cobra.Command, name string, f runFlags) error {
	config, err := f.config(name)
	if err != nil {
		return err
	}
	ctx, out, errs := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	plan, err := runner.MakePlan(ctx, config)
	if err != nil {
		return err
	}
	printPlan(errs, plan)
	if f.estimate {
		printEstimate(out, plan)
		return nil
	}
	config.Floor = floorOf(ctx, errs, plan)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	live := newLiveLine(errs, isTerminal(errs))
	config.Progress = live.show
	sum, err := runner.Run(ctx, config, plan)
	live.close()
	if sum == nil {
		return err
	}
	path, reportErr := report.Write(sum.Dir)
	if reportErr == nil {
		reportErr = printReport(out, sum.Dir)
	}
	fmt.Fprintf(out, "\nreport: %s\n", path)
	return errors.Join(outcome(sum, err), reportErr)
}

// config checks the flags and turns them into a run's configuration.
func (f *runFlags) config(name string) (runner.Config, error) {
	if err := knownEngine(f.engine); err != nil {
		return runner.Config{}, err
	}
	if f.engine == tlsEngine {
		return runner.Config{}, usage(fmt.Errorf("--engine tls: the servers of a run speak no TLS: want epoll or vegeta, or `millrace load https://…`"))
	}
	s, err := scenarioOf(name)
	if err != nil {
		return runner.Config{}, err
	}
	program, err := self()
	if err != nil {
		return runner.Config{}, err
	}
	dir, err := serversDir()
	if err != nil {
		return runner.Config{}, err
	}
	return runner.Config{
		Scenario: s, ReadTrace: traceReader(name), Quick: f.quick, Set: f.set, Servers: splitList(f.servers), Rounds: f.rounds, Seed: f.seed,
		Engine: f.engine, Root: f.results, ServersDir: dir, CacheDir: hostkey.Dir(), Agent: []string{program, "agent"},
		Version: version, Commit: commit, Measure: analysis.Measure,
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

// printPlan says what is about to happen, scaling included.
func printPlan(w io.Writer, plan *results.Run) {
	s := &plan.Scenario
	fmt.Fprintf(w, "%s: %d variants × %d rounds, %d connections, about %v\n", plan.ID, len(plan.Variants), plan.Rounds,
		s.Connections.Count, runner.Estimate(plan).Round(time.Second))
	for _, line := range plan.Scale {
		fmt.Fprintf(w, "scaled down: %s\n", line)
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

func printEstimate(w io.Writer, plan *results.Run) {
	s := &plan.Scenario
	fmt.Fprintf(w, "duration     %v\n", runner.Estimate(plan).Round(time.Second))
	fmt.Fprintf(w, "trials       %d of %v\n", plan.Rounds*len(plan.Variants), (s.Duration() + runner.TrialOverhead).Round(time.Millisecond))
	fmt.Fprintf(w, "connections  %d\n", s.Connections.Count)
	fmt.Fprintf(w, "kernel memory  about %d MiB for both ends of them\n", s.Connections.Count*kernelBytesPerConn>>20)
}

// kernelBytesPerConn is what an idle TCP connection costs the kernel, both ends on one host: about 3.9 KB each.
const kernelBytesPerConn = 7800

func printReport(w io.Writer, dir string) error {
	res, err := results.Load(dir)
	if err != nil {
		return err
	}
	if _, err := results.ExportBench(res); err != nil {
		return err
	}
	return report.Text(w, res, isTerminal(w) && os.Getenv("NO_COLOR") == "")
}

// outcome turns how a run ended into the exit status that goes with it.
func outcome(sum *runner.Summary, err error) error {
	switch {
	case sum.Interrupted > 0:
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
