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
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/judge"
	"github.com/millrace/millrace/scenarios"
)

// A duet has two loads that take turns of this length: short against what disturbs a shared host, long against the time that
// a server takes to fall asleep and to wake up (Bulej et al., ICPE 2020, run both at once instead).
const duetSlot = 100 * time.Millisecond

// duetGuard is the end of a slot in which nothing becomes due: a reply that a server still owed at the end found the client's CPU
// with the other client, which spins there, and waited for the kernel's tick of 4 ms to take it away.
const duetGuard = 2 * time.Millisecond

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

// partnerFailed is why a trial is ended when the other one of its duet has failed: alone it would measure nothing.
type partnerFailed struct {
	id  string
	why *results.Failure
}

func (p *partnerFailed) Error() string {
	text := fmt.Sprintf("trial %s, the other one of this duet, failed", p.id)
	if p.why != nil {
		text += ": " + p.why.Reason
	}
	return text
}

// broken reports whether a trial's context was ended by somebody else than its partner.
func broken(ctx context.Context) bool {
	var partner *partnerFailed
	return ctx.Err() != nil && !errors.As(context.Cause(ctx), &partner)
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

// makeDuets makes the rounds of a planned run duets: both variants at the same time, on the same CPUs.
func makeDuets(run *results.Run) error {
	for _, s := range run.Workloads() {
		if err := checkDuet(s, len(run.Variants)); err != nil {
			return &UsageError{err}
		}
	}
	run.Duet = true
	return nil
}

func slotOf(index int) arrivals.Slot {
	return arrivals.Slot{Index: index, Of: duetSlots, LengthNs: int64(duetSlot), GuardNs: int64(duetGuard)}
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
// even slots: let variants take turns in that. When one fails the other is ended, and has failed for that. Where one is
// interrupted both are: half a duet measures nothing, and the round is to be run again.
func (d *duet) trials(ctx context.Context, a, b spec) (*results.Trial, *results.Trial) {
	pair, end := context.WithCancelCause(ctx)
	defer end(nil)
	together := meeting.New(duetSlots, duetSlots*duetSlot)
	specs, runs := [duetSlots]*spec{&a, &b}, [duetSlots]*run{d.first, d.second}
	var ids [duetSlots]string
	for i, s := range specs {
		ids[i] = d.first.trialID(*s)
	}
	var out [duetSlots]*results.Trial
	var wg sync.WaitGroup
	for i, s := range specs {
		s.duet = &side{partner: ids[1-i], slot: slotOf(i), meeting: together}
		wg.Go(func() {
			out[i] = runs[i].trial(pair, *s)
			if out[i].Status == results.StatusFailed {
				end(&partnerFailed{ids[i], out[i].Failure})
			}
			together.Miss(fmt.Errorf("trial %s ended before it began", ids[i]))
		})
	}
	wg.Wait()
	settle(out, ctx.Err() != nil)
	return out[0], out[1]
}

// settle judges both records of a duet: interrupted is neither or both. Where the run was ended, so is what failed: it may have
// failed of that.
func settle(both [duetSlots]*results.Trial, ended bool) {
	if slices.ContainsFunc(both[:], func(t *results.Trial) bool {
		return t.Status == results.StatusInterrupted || ended && t.Status == results.StatusFailed
	}) {
		for _, t := range both {
			t.Status = results.StatusInterrupted
		}
	}
	for i, t := range both {
		judge.Together(t, both[1-i])
	}
}
