package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/claims"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

// plannedRun is one run of the catalogue, on its way.
type plannedRun struct {
	run    claims.Run
	config runner.Config
	plan   *results.Run // nil where it can't be made, and why says why
	why    string
	takes  time.Duration
	dir    string // of what was made; empty before
	// leftOut are its servers that there are not, with the reason, and warnings statements that don't fit the run.
	leftOut  map[string]string
	warnings []string
}

// planAll plans every run of the catalogue. A run that can't be planned keeps the reason.
func (f *claimsFlags) planAll(ctx context.Context, c *claims.Catalogue) ([]*plannedRun, error) {
	base, err := ownConfig()
	if err != nil {
		return nil, err
	}
	servers, err := sut.ReadCatalogue(ctx, base.ServersDir)
	if err != nil {
		return nil, err
	}
	base.Engine, base.Root, base.QuietWait, base.Quick = "epoll", f.results, f.quietWait, f.quick
	var list []*plannedRun
	for _, r := range c.Runs {
		p := &plannedRun{run: r.As(f.quick), config: base, leftOut: map[string]string{}}
		if f.rounds > 0 {
			p.run.Rounds = f.rounds
		}
		if err := p.prepare(ctx, servers, c.Expectations(r.Name)); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			p.plan, p.why = nil, "not measurable yet: "+firstLine(err)
		} else if f.rounds == 0 && p.plan.Rounds > 1 && !c.Decides(r.Name, len(p.plan.Split.Server)) {
			if err := p.once(ctx); err != nil {
				return nil, err
			}
		}
		list = append(list, p)
	}
	return list, nil
}

// prepare fills in the configuration and the plan.
func (p *plannedRun) prepare(ctx context.Context, servers *sut.Catalogue, expected []scenarios.Expectation) error {
	if !strings.HasSuffix(p.run.Scenario, ".yaml") && !slices.Contains(scenarios.Names, p.run.Scenario) {
		return fmt.Errorf("no scenario %s", p.run.Scenario)
	}
	s, err := scenarioOf(p.run.Scenario)
	if err != nil {
		return err
	}
	s = s.Clone()
	s.Expect = expected
	c := &p.config
	c.Scenario, c.ReadTrace, c.Set, c.Sweep, c.Rounds = s, traceReader(p.run.Scenario), p.run.Set, p.run.Sweep, p.run.Rounds
	for _, name := range p.run.Servers {
		if _, err := servers.Variant(name); err != nil {
			p.leftOut[name] = firstLine(err)
			continue
		}
		c.Servers = append(c.Servers, name)
	}
	if len(c.Servers) == 0 && len(p.run.Servers) > 0 {
		return fmt.Errorf("none of its servers %s", strings.Join(p.run.Servers, ", "))
	}
	if p.plan, err = runner.MakePlan(ctx, *c); err != nil {
		return err
	}
	for name, why := range p.plan.NotApplicable {
		p.leftOut[name] = why
	}
	p.takes = runner.Estimate(p.plan)
	for _, e := range expected {
		if err := expect.Check([]scenarios.Expectation{e}, expect.NamesOf(p.plan, sut.Models)); err != nil {
			p.warnings = append(p.warnings, "stays undecided: "+err.Error())
		}
	}
	return nil
}

// once plans one round in place of all: every claim that rests on the run needs a server with more CPUs.
func (p *plannedRun) once(ctx context.Context) (err error) {
	p.config.Rounds = 1
	if p.plan, err = runner.MakePlan(ctx, p.config); err != nil {
		return err
	}
	p.takes = runner.Estimate(p.plan)
	p.warnings = append(p.warnings, fmt.Sprintf("one round, for a figure: its claims need a server with more CPUs than %d", len(p.plan.Split.Server)))
	return nil
}

// key names what is measured: two runs with the same key can stand for each other.
func (p *plannedRun) key() (string, error) {
	var programs []string
	for _, v := range p.plan.Variants {
		programs = append(programs, v.Name, v.SHA256)
	}
	data, err := json.Marshal(map[string]any{
		"given": p.plan.Given, "quick": p.plan.Quick, "set": p.plan.Set, "sweep": p.config.Sweep, "rounds": p.plan.Rounds, "programs": programs,
		"method": p.plan.Method, "host": p.plan.Env.Host, "kernel": p.plan.Env.Kernel, "commit": p.plan.Env.Commit,
	})
	if err != nil {
		return "", fmt.Errorf("naming run %s: %w", p.run.Name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// make makes the run, or goes on with what the ledger has of it, within the budget. What the ledger has is kept where the budget
// does not reach for more.
func (p *plannedRun) make(ctx context.Context, errs io.Writer, l *ledger, budget time.Duration) error {
	key, err := p.key()
	if err != nil {
		return err
	}
	config, plan := p.config, p.plan
	entry, known := l.find(key)
	if known {
		p.dir = filepath.Join(config.Root, entry.ID)
		if _, err := os.Stat(p.dir); err != nil {
			fmt.Fprintf(errs, "made anew: the ledger has it as %s, which is gone\n", entry.ID)
			p.dir, known = "", false
		}
	}
	if known && (entry.settled() || whole(p.dir)) {
		fmt.Fprintf(errs, "made before: %s\n", entry.ID)
		return nil
	}
	if round := runner.PerRound(plan); budget < round {
		short := fmt.Sprintf("the budget leaves it %v, one round takes %v", budget.Round(time.Second), round.Round(time.Second))
		if known {
			fmt.Fprintf(errs, "kept as it is, %s: %s\n", entry.ID, short)
			return nil
		}
		p.why = "not made: " + short
		fmt.Fprintln(errs, p.why)
		return nil
	}
	if known {
		again, before, err := runner.Reopen(ctx, config, p.dir)
		switch {
		case err == nil:
			defer again.Before.Close()
			config, plan = again, before
		case entry.State == ledgerEnded:
			fmt.Fprintf(errs, "kept as it is, %s: %v\n", entry.ID, err)
			return nil
		default:
			fmt.Fprintf(errs, "begun anew: %v\n", err)
			p.dir = ""
		}
	}
	config.Budget = budget
	if err := l.add(ledgerEntry{Run: p.run.Name, Key: key, ID: plan.ID, State: ledgerBegun}); err != nil {
		return err
	}
	printRun(errs, config, plan)
	sum, err := carryOut(ctx, errs, config, plan)
	if sum != nil {
		p.dir = sum.Dir
	}
	if err != nil || sum == nil || sum.Reason == results.EndedInterrupted {
		return err
	}
	return l.add(ledgerEntry{Run: p.run.Name, Key: key, ID: plan.ID, State: ledgerEnded, Reason: sum.Reason})
}

// made reports whether the ledger has the run whole, so that it takes no more time.
func (p *plannedRun) made(l *ledger) bool {
	if p.plan == nil {
		return false
	}
	key, err := p.key()
	if err != nil {
		return false // make says so
	}
	e, known := l.find(key)
	return known && e.settled()
}

// whole reports whether all trials of the plan in a directory have ended, though the run may not have lived to say so.
func whole(dir string) bool {
	res, err := results.Load(dir)
	if err != nil {
		return false // Reopen says why
	}
	n := 0
	for _, t := range res.Trials {
		if t.Status != results.StatusInterrupted {
			n++
		}
	}
	return n > 0 && n >= res.Run.Rounds*res.Run.TrialsPerRound()
}
