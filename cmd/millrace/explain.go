package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/analysis/mechanism"
	"github.com/millrace/millrace/report/explained"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/results/observed"
	"github.com/millrace/millrace/runner"
	"github.com/millrace/millrace/runner/observe"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

// explainFlags are the flags of `millrace explain`.
type explainFlags struct {
	results         string
	quick, noTrials bool
}

func explainCommand() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain RUN VARIANT1 VARIANT2",
		Short: "Say how two variants of a run differ in what a request costs them",
		Long: `Say how two variants of a run differ: CPU time, system calls, wake-ups, allocations and batches a request, and the
functions that differ most.

What the measured trials recorded is taken from them. Profiles and counts of system calls are taken in trials of their own, made
now with the run's scenario against the same programs; they are kept in a directory beside the run's and count as no measurement.
System calls are counted by the kernel's tracepoints, which needs root; without it there are reads and writes only.

A run of duets is refused unless --no-trials is given: its requests cost other than those of a trial by itself.

Exit status: 0 done, 1 a trial failed or can't be made, 2 usage, no such run or refused, 130 interrupted (what is known is printed).`,
		Example: `  millrace explain results/runs/20261121T162524Z-burst-zm9a goroutine gnet
  millrace explain 20261121T162524Z-burst-zm9a goroutine gnet --quick
  millrace explain 20261121T162524Z-burst-zm9a goroutine gnet --no-trials`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error { return doExplain(cmd, args[0], args[1:], f) },
	}
	c.Flags().BoolVar(&f.quick, "quick", false, "a small version of the scenario for the trials of its own")
	c.Flags().BoolVar(&f.noTrials, "no-trials", false, "make no trial: show only what the run's records hold")
	c.Flags().StringVar(&f.results, "results", "results/runs", "directory of the runs")
	return c
}

func doExplain(cmd *cobra.Command, name string, variants []string, f explainFlags) error {
	res, err := runToExplain(f.results, name, variants)
	if err != nil {
		return err
	}
	e := mechanism.Evidence{Run: res.Run, Variants: [2]string(variants), Why: "unknown: no trial was made (--no-trials)"}
	for i, v := range variants {
		if e.Rounds[i], err = countedRounds(res, v); err != nil {
			return err
		}
	}
	var status error
	if !f.noTrials {
		if status, err = look(cmd, filepath.Dir(res.Path), f, &e); err != nil {
			return err
		}
	}
	out := cmd.OutOrStdout()
	return errors.Join(status, explained.Write(out, mechanism.Explain(e), isTerminal(out) && os.Getenv("NO_COLOR") == ""))
}

// runToExplain reads a run by its path or ID, which must have both variants.
func runToExplain(root, name string, variants []string) (*results.Result, error) {
	dir, err := findRun(root, name)
	if err != nil {
		return nil, err
	}
	res, err := results.Load(dir)
	if err != nil {
		return nil, err
	}
	switch res.Run.Purpose {
	case "":
	case results.PurposeExplain:
		return nil, usage(fmt.Errorf("explaining run %s: it was made to explain %s and measures nothing: want that one", res.Run.ID, res.Run.Explains))
	default:
		return nil, usage(fmt.Errorf("explaining run %s: it was made by millrace aa, of a single server: want a run of two servers, from millrace run", res.Run.ID))
	}
	var known []string
	for _, v := range res.Run.Variants {
		known = append(known, v.Name)
	}
	for _, v := range variants {
		if !slices.Contains(known, v) {
			return nil, usage(fmt.Errorf("explaining run %s: it has no variant %q: want two of %s", res.Run.ID, v, strings.Join(known, ", ")))
		}
	}
	if variants[0] == variants[1] {
		return nil, usage(fmt.Errorf("explaining run %s: %s twice: want two of %s", res.Run.ID, variants[0], strings.Join(known, ", ")))
	}
	return res, nil
}

// countedRounds are the trials of a variant that count, with their readings.
func countedRounds(res *results.Result, variant string) ([]mechanism.Round, error) {
	var rounds []mechanism.Round
	for _, t := range res.Trials {
		if t.Variant != variant || t.LeftOut() != "" {
			continue
		}
		readings, err := res.Readings(t.ID)
		if err != nil && !errors.Is(err, results.ErrTorn) {
			return nil, err
		}
		rounds = append(rounds, mechanism.Round{Trial: t, Readings: readings})
	}
	return rounds, nil
}

// look makes the trials of their own below root and adds what they saw to the evidence. A status is how they ended where what
// was seen is still worth printing.
func look(cmd *cobra.Command, root string, f explainFlags, e *mechanism.Evidence) (status, err error) {
	ctx, errs := cmd.Context(), cmd.ErrOrStderr()
	config, err := explainConfig(root, f, e.Run)
	if err != nil {
		return nil, err
	}
	plan, err := runner.PlanExplain(ctx, config, e.Run, e.Variants[:])
	if err != nil {
		return nil, err
	}
	spans := map[string]observed.Span{}
	for i, v := range e.Variants {
		if spans[v], err = profileSpan(e.Rounds[i], e.Run, &plan.Scenario); err != nil {
			return nil, fmt.Errorf("explaining run %s: %s: %w", e.Run.ID, v, err)
		}
	}
	config.Observe = func(round int, variant string) *observe.Plan {
		return &observe.Plan{Span: spans[variant], Profile: round == runner.ProfileRound, Syscalls: round == runner.SyscallRound}
	}
	printLooks(errs, plan)
	live := newLiveLine(errs, isTerminal(errs))
	config.Progress = live.show
	sum, err := runner.Run(ctx, config, plan)
	live.close()
	if sum == nil {
		return nil, err
	}
	if wrong := addLooks(e, sum.Dir, &plan.Scenario); wrong != nil {
		return nil, errors.Join(err, wrong)
	}
	return lookStatus(ctx, sum, err), nil
}

func explainConfig(root string, f explainFlags, run *results.Run) (runner.Config, error) {
	c, err := ownConfig()
	if err != nil {
		return runner.Config{}, err
	}
	kept, err := keptFloor()
	if err != nil {
		return runner.Config{}, err
	}
	c.Quick, c.ReadTrace, c.Root, c.Floor = f.quick, traceReader(run.Given.Name), root, kept
	return c, nil
}

// profileSpan is when a variant is profiled in a trial of scenario s.
func profileSpan(rounds []mechanism.Round, run *results.Run, s *scenarios.Scenario) (observed.Span, error) {
	edges := runner.EdgesOf(s)
	edge := func(name string) (from, to int64, ok bool) {
		i := slices.IndexFunc(edges, func(e sut.Edge) bool { return e.Name == name })
		if i < 0 || i+1 >= len(edges) {
			return 0, 0, false
		}
		return edges[i].AtNs, edges[i+1].AtNs, true
	}
	return mechanism.ProfileSpan(rounds, &run.Scenario, s, edge, edges[len(edges)-1].AtNs)
}

func printLooks(w io.Writer, plan *results.Run) {
	fmt.Fprintf(w, "%s: %d trials of their own, about %v: profiles, then system calls; none of them is a measurement\n", plan.ID,
		plan.Rounds*len(plan.Variants), runner.Estimate(plan).Round(time.Second))
}

// addLooks reads what the trials in dir saw.
func addLooks(e *mechanism.Evidence, dir string, s *scenarios.Scenario) error {
	res, err := results.Load(dir)
	if err != nil {
		return err
	}
	e.Scenario, e.Why = s, "unknown: its trial was not made"
	for _, t := range res.Trials {
		looked := filepath.Join(dir, "trials", t.ID)
		l := &mechanism.Look{Round: mechanism.Round{Trial: t}}
		if l.Readings, err = res.Readings(t.ID); err != nil && !errors.Is(err, results.ErrTorn) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if l.Observed, err = observed.Read(looked); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for name, into := range map[string]*[]byte{observed.CPUProfile: &l.CPU, observed.AllocsBefore: &l.AllocsBefore, observed.AllocsAfter: &l.Allocs} {
			if *into, err = observed.Profile(looked, name); err != nil {
				return err
			}
		}
		side := slices.Index(e.Variants[:], t.Variant)
		if t.Round == runner.ProfileRound {
			e.Profiled[side] = l
		} else {
			e.Counted[side] = l
		}
	}
	return nil
}

func lookStatus(ctx context.Context, sum *runner.Summary, err error) error {
	switch {
	case ctx.Err() != nil:
		return &statusError{exitInterrupted, errors.New("interrupted: what is known is printed")}
	case err != nil:
		return err
	case sum.Failed > 0:
		return &statusError{exitFailed, fmt.Errorf("%d of %d trials of their own failed: see the notes", sum.Failed, sum.Failed+sum.Done)}
	}
	return nil
}
