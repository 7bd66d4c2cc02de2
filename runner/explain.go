package runner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/runner/observe"
	"github.com/millrace/millrace/runner/sut"
)

// The rounds of a run made by PlanExplain: looking at a server costs it something, so each look has a trial of its own.
const (
	ProfileRound  = 1 + iota // CPU and allocation profiles
	SyscallRound             // counted system calls
	explainRounds = iota
)

// PlanExplain plans the trials that explain how two variants of a measured run differ: its scenario as resolved (or quick, if
// c.Quick), seed, engine and split of CPUs, with fresh servers. Of c it takes Quick, ReadTrace, ServersDir, Version and Commit.
// It refuses, with the reason and the remedy, where the trials would not be of what was measured.
func PlanExplain(ctx context.Context, c Config, of *results.Run, variants []string) (*results.Run, error) {
	if of.Duet {
		return nil, &UsageError{fmt.Errorf("explaining run %s: its rounds are duets, whose requests cost other than those of a trial by itself, and each look has one of those: run %s without --duet and explain that run, or %s",
			of.ID, of.Scenario.Name, recordsOnly)}
	}
	if len(of.Steps) > 0 {
		return nil, &UsageError{fmt.Errorf("explaining run %s: it is a sweep, and each of its steps has a cause of its own: run one of them with --set and explain that run, or %s", of.ID, recordsOnly)}
	}
	run := &results.Run{
		Schema: results.Schema, Method: of.Method, Started: time.Now().UTC(), Purpose: results.PurposeExplain, Explains: of.ID, Given: of.Given,
		Scenario: of.Scenario, Quick: of.Quick, Set: of.Set, Scale: of.Scale, Engine: of.Engine, Rounds: explainRounds, Seed: of.Seed, Split: of.Split,
	}
	if c.Quick && !of.Quick {
		c.Scenario, c.Set = &of.Given, of.Set
		run.Quick, run.Scale = true, nil
		if err := resolveScenario(c, run); err != nil {
			return nil, err
		}
	}
	split, err := host.AllowedCPUs(of.Split.Shared)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(split.Server, of.Split.Server) || !slices.Equal(split.Client, of.Split.Client) {
		return nil, fmt.Errorf("explaining run %s: it had server CPUs %v and client CPUs %v, here they are %v and %v: give this process the same CPUs, or %s",
			of.ID, of.Split.Server, of.Split.Client, split.Server, split.Client, recordsOnly)
	}
	frameworks, err := sameVariants(ctx, c.ServersDir, of, run, variants)
	if err != nil {
		return nil, err
	}
	run.Env = host.CaptureEnv(ctx, frameworks, c.Version, c.Commit)
	if run.Env.Host != of.Env.Host {
		return nil, fmt.Errorf("explaining run %s: it was measured on another host: explain it there, or %s", of.ID, recordsOnly)
	}
	for range explainRounds {
		run.Order = append(run.Order, variants)
	}
	run.ID = results.NewID(run.Started, run.Scenario.Name, rand.New(rand.NewPCG(uint64(run.Started.UnixNano()), of.Seed)))
	return run, nil
}

// recordsOnly is what is left where no trial can be made.
const recordsOnly = "see with --no-trials what its records hold"

// sameVariants fills run.Variants with those of the explained run, whose programs must be the same, and returns their
// frameworks' versions.
func sameVariants(ctx context.Context, dir string, of, run *results.Run, names []string) (map[string]string, error) {
	cat, err := sut.ReadCatalogue(ctx, dir)
	if err != nil {
		return nil, err
	}
	frameworks := map[string]string{}
	for _, name := range names {
		measured := variantNamed(of.Variants, name)
		if measured.File != "" {
			return nil, &UsageError{fmt.Errorf("explaining run %s: %s is a foreign server, which can't be looked into: name two of ours, or %s", of.ID, name, recordsOnly)}
		}
		v, err := cat.Variant(name)
		if err != nil {
			return nil, fmt.Errorf("explaining run %s: %w: build it with make build, or %s", of.ID, err, recordsOnly)
		}
		if v.SHA256 != measured.SHA256 || !slices.Equal(v.Settings(), measured.Settings()) {
			return nil, fmt.Errorf("explaining run %s: server %s is not the program that was measured (sha256 %.12s, now %.12s): run %s again and explain that run, build commit %s, or %s",
				of.ID, name, measured.SHA256, v.SHA256, of.Scenario.Name, orUnknown(of.Env.Commit), recordsOnly)
		}
		module, version, _ := strings.Cut(v.Framework, " ")
		frameworks[module] = version
		run.Variants = append(run.Variants, v)
	}
	return frameworks, nil
}

func orUnknown(commit string) string {
	if commit == "" {
		return "(unknown)"
	}
	return commit
}

// observe is what to look at in a trial: nothing unless the run was planned to explain.
func (r *run) observe(s spec) *observe.Plan {
	if r.plan.Purpose != results.PurposeExplain || r.config.Observe == nil {
		return nil
	}
	return r.config.Observe(s.round, s.variant.Name)
}
