// Package runner plans a run and carries it out: rounds of trials, each one scenario against one fresh server process,
// conducted over the fleet. It is also the executor of the role "sut", which starts and samples servers.
package runner

import (
	"context"
	"fmt"
	"os"

	"github.com/millrace/millrace/clients/fleet"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/host"
)

// Summary is how a run ended.
type Summary struct {
	// Dir is the run's directory.
	Dir string
	// Trials that ended done, failed and interrupted.
	Done, Failed, Interrupted int
	// Unmeasured are the variants without a single trial that is VALID or SUSPECT.
	Unmeasured []string
}

// run is a run under way.
type run struct {
	config Config
	plan   *results.Run
	dir    *results.Dir
	fleet  *fleet.Coordinator
	live   *live
}

// loadNice is the priority of the load agent: a neighbour must not delay it. Never SCHED_FIFO, under which a spinning
// thread can lock the machine.
const loadNice = -20

// Run carries out a plan made by MakePlan. A failed trial is recorded and the run goes on. When ctx ends, the trial under
// way is ended and recorded as interrupted, and Run returns the summary with ctx's error. Every trial is on disk before
// the next one starts.
func Run(ctx context.Context, c Config, plan *results.Run) (*Summary, error) {
	dir, err := results.Create(c.Root, plan)
	if err != nil {
		return nil, err
	}
	r := &run{config: c, plan: plan, dir: dir, live: newLive(c.Progress, plan)}
	sum := &Summary{Dir: dir.Path()}
	if err := host.PinSelf(plan.Split.Server); err != nil {
		return sum, err
	}
	if r.fleet, err = fleet.Start(ctx, fleet.Options{}); err != nil {
		return sum, fmt.Errorf("starting the fleet: %w", err)
	}
	defer r.fleet.Close()
	if err := r.enlist(ctx); err != nil {
		return sum, err
	}
	valid := map[string]int{}
	for round, order := range plan.Order {
		var inRound []string
		void := false
		for position, name := range order {
			if err := r.fleet.Respawn(ctx); err != nil { // those lost in the trial before
				return r.finish(sum, valid), err
			}
			s := spec{round: round + 1, position: position + 1, variant: variantNamed(plan.Variants, name)}
			r.live.begin(s)
			t := r.trial(ctx, s)
			r.live.end(t)
			if err := dir.Append(t); err != nil {
				return r.finish(sum, valid), err
			}
			sum.count(t)
			if t.LostAgent() && !void { // none of the round counts, see results.Load
				void = true
				for _, name := range inRound {
					valid[name]--
				}
			}
			if t.Status == results.StatusDone && t.Verdict != validity.Invalid && !void {
				valid[name]++
				inRound = append(inRound, name)
			}
			if ctx.Err() != nil {
				return r.finish(sum, valid), ctx.Err()
			}
		}
	}
	return r.finish(sum, valid), r.fleet.Close()
}

// enlist starts the two agents.
func (r *run) enlist(ctx context.Context) error {
	agents := []fleet.Agent{
		{Role: "sut", CPUs: r.plan.Split.Server},
		{Role: "load", CPUs: r.plan.Split.Client, Nice: loadNice},
	}
	for _, a := range agents {
		a.Command = append(append([]string(nil), r.config.Agent...), "--role", a.Role)
		a.Stderr = os.Stderr
		if err := r.fleet.Spawn(ctx, a); err != nil {
			return fmt.Errorf("starting the %s agent: %w", a.Role, err)
		}
	}
	return nil
}

func (r *run) finish(sum *Summary, valid map[string]int) *Summary {
	for _, v := range r.plan.Variants {
		if valid[v.Name] == 0 {
			sum.Unmeasured = append(sum.Unmeasured, v.Name)
		}
	}
	return sum
}

func (s *Summary) count(t *results.Trial) {
	switch t.Status {
	case results.StatusFailed:
		s.Failed++
	case results.StatusInterrupted:
		s.Interrupted++
	default:
		s.Done++
	}
}

func variantNamed(variants []results.Variant, name string) results.Variant {
	for _, v := range variants {
		if v.Name == name {
			return v
		}
	}
	panic("runner: the order names a variant that the plan doesn't have: " + name)
}
