package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/fleet"
	"github.com/millrace/millrace/clients/fleet/meeting"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/judge"
	"github.com/millrace/millrace/scenarios"
)

// A duet has two loads that take turns of this length: short against what disturbs a shared host, long against the time that
// a server takes to fall asleep and to wake up (Bulej et al., ICPE 2020, run both at once instead).
const duetSlot = 100 * time.Millisecond

// duetSlots are those of the two loads together.
const duetSlots = 2

// duet runs two trials at a time: both servers live on the server's CPUs, each with a load agent and a sampler of its own,
// and the load goes from one to the other every 100 ms. What happens to the host happens to both. It has one user at a time.
type duet struct {
	first, second *run
}

// side is a trial's part in a duet.
type side struct {
	partner string // the other trial's ID
	slot    arrivals.Slot
	meeting *meeting.Meeting
}

// checkDuet says why a resolved scenario with so many variants can't be run as duets, nil if it can.
func checkDuet(sc *scenarios.Scenario, variants int) error {
	if variants != duetSlots {
		return fmt.Errorf("duets of %d variants: want exactly %d: name them with --servers", variants, duetSlots)
	}
	if err := slotOf(0).Check(sc); err != nil {
		return fmt.Errorf("duets with scenario %s: %w", sc.Name, err)
	}
	return nil
}

// Duets makes the rounds of a planned run duets: both variants at the same time, on the same CPUs.
func Duets(run *results.Run) error {
	if err := checkDuet(&run.Scenario, len(run.Variants)); err != nil {
		return &UsageError{err}
	}
	run.Duet = true
	return nil
}

func slotOf(index int) arrivals.Slot {
	return arrivals.Slot{Index: index, Of: duetSlots, LengthNs: int64(duetSlot)}
}

// newDuet starts the agents of the second trial beside those that r has. Close ends them.
func (r *run) newDuet(ctx context.Context) (*duet, error) {
	second := &run{config: r.config, plan: r.plan, dir: r.dir, live: r.live}
	var err error
	if second.fleet, err = fleet.Start(ctx, fleet.Options{}); err != nil {
		return nil, fmt.Errorf("starting the second fleet of duets: %w", err)
	}
	if err := second.enlist(ctx); err != nil {
		return nil, errors.Join(err, second.fleet.Close())
	}
	return &duet{first: r, second: second}, nil
}

// close ends the second trial's agents.
func (d *duet) close() error { return d.second.fleet.Close() }

// respawn replaces the second trial's agents that were lost.
func (d *duet) respawn(ctx context.Context) error { return d.second.fleet.Respawn(ctx) }

// trials runs the trials a and b of one round together, and returns their records as run.trial does. The load of a has the
// even slots: let variants take turns in that. Either is INVALID where the other did not run to its end.
func (d *duet) trials(ctx context.Context, a, b spec) (*results.Trial, *results.Trial) {
	together := meeting.New(duetSlots, duetSlots*duetSlot)
	specs, runs := [duetSlots]*spec{&a, &b}, [duetSlots]*run{d.first, d.second}
	var ids [duetSlots]string
	for i, s := range specs {
		ids[i] = d.first.trialID(*s)
	}
	if ids[0] == ids[1] {
		together.Miss(fmt.Errorf("both trials of the duet are named %s: want variants of two names", ids[0]))
		runs[1] = d.first // the same directory, one after the other: neither starts
	}
	var out [duetSlots]*results.Trial
	var wg sync.WaitGroup
	for i, s := range specs {
		s.duet = &side{partner: ids[1-i], slot: slotOf(i), meeting: together}
		trial := func() {
			out[i] = runs[i].trial(ctx, *s)
			together.Miss(fmt.Errorf("trial %s ended before it began", ids[i]))
		}
		if runs[0] == runs[1] {
			trial()
			continue
		}
		wg.Go(trial)
	}
	wg.Wait()
	own := [duetSlots][]validity.Check{slices.Clone(out[0].Checks), slices.Clone(out[1].Checks)}
	for i, t := range out {
		judge.Together(t, out[1-i], own[1-i])
	}
	return out[0], out[1]
}
