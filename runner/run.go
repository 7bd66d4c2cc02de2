// Package runner plans a run and carries it out: rounds of trials, each one scenario against one fresh server process,
// conducted over the fleet. It is also the executor of the role "sut", which starts and samples servers.
package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/millrace/millrace/clients/fleet"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/design"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/runner/judge"
)

// Summary is how a run ended.
type Summary struct {
	// Dir is the run's directory.
	Dir string
	// Reason is why it ended, one of the Ended constants of results; Why says more where there is more to say.
	Reason, Why string
	// Trials that ended done, failed and interrupted, those of earlier sittings included.
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
	duet   *duet // nil where trials run one after the other
	live   *live
	quiet  *host.Quiet
	// trials are those that count, of earlier sittings too. Ran is how many are of this one.
	trials  []*results.Trial
	ran     int
	session results.Session
	// deadline is the end of the budget; zero for none.
	deadline time.Time
}

// loadNice is the priority of the load agent: a neighbour must not delay it. Never SCHED_FIFO, under which a spinning
// thread can lock the machine.
const loadNice = -20

// Run carries out a plan made by MakePlan, or goes on with one from Reopen. A failed trial is recorded and the run goes on.
// When ctx ends, the trial under way is ended and recorded as interrupted, and Run returns the summary with ctx's error.
// Every trial is on disk before the next one starts.
func Run(ctx context.Context, c Config, plan *results.Run) (*Summary, error) {
	r, err := begin(c, plan)
	if err != nil {
		return nil, err
	}
	reason, why, err := r.sit(ctx)
	switch {
	case ctx.Err() != nil:
		reason = results.EndedInterrupted
	case err != nil:
		reason, why = results.EndedFailed, err.Error()
	}
	err = errors.Join(err, r.endSession(reason, why), r.dir.Close())
	return r.summary(), err
}

// quietShare of a run's estimate may be spent with waiting for a quiet host, but no less than one trial's.
const quietShare = 0.1

// quietFor is how long trials that take so long together may wait for a quiet host.
func quietFor(d time.Duration) time.Duration { return time.Duration(quietShare * float64(d)) }

// newQuiet listens to the CPUs of the run, by the limits by which a trial is judged afterwards. Each is Config.QuietWait.
func newQuiet(plan *results.Run, each time.Duration) *host.Quiet {
	cpus := slices.Concat(plan.Split.Server, plan.Split.Client)
	slices.Sort(cpus)
	cpus = slices.Compact(cpus)
	return &host.Quiet{
		Listen: func(ctx context.Context, window time.Duration) (host.Noise, error) {
			return host.Listen(ctx, cpus, window)
		},
		Limits: host.Noise{Steal: judge.MaxStealShare, Foreign: judge.MaxForeignShare},
		Each:   each, Left: max(each, quietFor(Estimate(plan))),
	}
}

// begin takes the run's directory and records that a sitting begins.
func begin(c Config, plan *results.Run) (*run, error) {
	r := &run{config: c, plan: plan, quiet: newQuiet(plan, c.QuietWait)}
	now := time.Now()
	r.session = results.Session{
		Schema: results.Schema, Sitting: 1, Started: now.UTC(), Rounds: plan.Rounds, Most: max(c.Rounds, plan.Rounds), Until: c.Until,
		BudgetSeconds: c.Budget.Seconds(), BootID: host.BootID(),
	}
	if b := c.Before; b != nil {
		r.dir, r.trials = b.dir, b.trials
		r.session.Sitting, r.session.Differs = b.sittings+1, b.differs
	} else {
		dir, err := results.Create(c.Root, plan)
		if err != nil {
			return nil, err
		}
		r.dir = dir
	}
	if c.Budget > 0 {
		r.deadline = now.Add(c.Budget)
	}
	r.live = newLive(c.Progress, plan, len(r.missing()), r.deadline, c.Enough != nil)
	if err := r.dir.AppendSession(&r.session); err != nil {
		return nil, errors.Join(err, r.dir.Close())
	}
	return r, nil
}

// sit starts the fleet and runs the rounds.
func (r *run) sit(ctx context.Context) (reason, why string, err error) {
	allowed, err := procfs.Affinity()
	if err != nil {
		return "", "", err
	}
	if err := host.PinSelf(r.plan.Split.Server); err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, host.PinSelf(allowed)) }() // another run may follow, and split all of them again
	if r.fleet, err = fleet.Start(ctx, fleet.Options{}); err != nil {
		return "", "", fmt.Errorf("starting the fleet: %w", err)
	}
	defer r.fleet.Close()
	if err := r.enlist(ctx); err != nil {
		return "", "", err
	}
	if r.plan.Duet {
		if r.duet, err = r.newDuet(ctx); err != nil {
			return "", "", err
		}
		defer r.duet.close()
	}
	if reason, why, err = r.rounds(ctx); err != nil {
		return "", "", err
	}
	if r.duet != nil {
		err = r.duet.close()
	}
	return reason, why, errors.Join(err, r.fleet.Close())
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

// rounds runs what is missing, round by round, until there is a reason to end.
func (r *run) rounds(ctx context.Context) (reason, why string, err error) {
	for round := 1; ; round++ {
		if round > r.begun() { // one that was broken off is completed first
			if reason, why := r.stop(round); reason != "" {
				return reason, why, nil
			}
		}
		r.grow(round)
		if err := r.complete(ctx, r.missingOf(round)); err != nil {
			return "", "", err
		}
	}
}

// complete runs what is missing of a round: one by one, or as duets.
func (r *run) complete(ctx context.Context, missing []spec) error {
	if r.duet != nil {
		for pair := range slices.Chunk(missing, duetSlots) { // missingOf keeps both together
			if err := r.two(ctx, pair[0], pair[1]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, s := range missing {
		if err := r.one(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// grow tells of a round that may be beyond those planned, and lets all trials wait for a quiet host by its share more.
func (r *run) grow(round int) {
	if round > r.plan.Rounds {
		r.quiet.Left += quietFor(PerRound(r.plan))
	}
	r.live.grow(round, r.plan.TrialsPerRound())
}

// one runs one trial once the host is quiet, and keeps it.
func (r *run) one(ctx context.Context, s spec) error {
	if err := r.fleet.Respawn(ctx); err != nil { // those lost in the trial before
		return err
	}
	r.live.wait(s)
	wait, note := r.quiet.Wait(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.live.begin()
	if err := r.setAside(s); err != nil {
		return err
	}
	t := r.trial(ctx, s)
	t.Wait = wait
	return errors.Join(r.keep(note, t), ctx.Err())
}

// two runs the two trials of a round as a duet once the host is quiet, and keeps both.
func (r *run) two(ctx context.Context, a, b spec) error {
	if err := errors.Join(r.fleet.Respawn(ctx), r.duet.respawn(ctx)); err != nil {
		return err
	}
	r.live.wait(a)
	wait, note := r.quiet.Wait(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.live.begin()
	if err := errors.Join(r.setAside(a), r.setAside(b)); err != nil {
		return err
	}
	first, second := r.duet.trials(ctx, a, b)
	first.Wait = wait
	return errors.Join(r.keep(note, first, second), ctx.Err())
}

func (r *run) setAside(s spec) error {
	if err := r.dir.SetAside(r.trialID(s)); err != nil {
		return fmt.Errorf("setting aside what an interrupted trial left: %w", err)
	}
	return nil
}

// keep records trials that were run together, all or none, with a note about the wait before them unless that is empty.
func (r *run) keep(note string, trials ...*results.Trial) error {
	for i, t := range trials {
		t.Sitting = r.session.Sitting
		if note != "" {
			t.Notes = append(t.Notes, note)
		}
		if i > 0 { // the first was told of when it began
			r.live.wait(spec{round: t.Round, variant: results.Variant{Name: t.Variant}, step: t.Step})
		}
		r.live.end(t)
	}
	if err := r.dir.Append(trials...); err != nil {
		return err
	}
	for _, t := range trials {
		r.ran++
		r.trials = append(slices.DeleteFunc(r.trials, func(old *results.Trial) bool { return old.ID == t.ID }), t)
	}
	results.VoidRounds(r.trials)
	return nil
}

// turns are the trials of a round in their order, as recorded or, beyond that, as it goes on.
func (r *run) turns(round int) []spec {
	steps, order := r.plan.StepOrder, r.plan.Order
	if round > len(order) {
		steps, order = orderOf(r.plan, round)
	}
	var list []spec
	for i, name := range order[round-1] {
		s := spec{round: round, position: i + 1, variant: variantNamed(r.plan.Variants, name)}
		if len(steps) > 0 {
			s.step = steps[round-1][i/len(r.plan.Variants)]
		}
		list = append(list, s)
	}
	return list
}

// orderOf draws the order of a plan's steps and variants in so many rounds.
func orderOf(plan *results.Run, rounds int) (steps, variants [][]string) {
	var names []string
	if len(plan.Steps) > 0 {
		names = plan.StepNames()
	}
	return design.Sweep(names, namesOf(plan.Variants), rounds, plan.Seed)
}

// measured reports whether a trial was run to its end, failed or not.
func (r *run) measured(s spec) bool {
	return slices.ContainsFunc(r.trials, func(t *results.Trial) bool {
		return t.Round == s.round && t.Variant == s.variant.Name && t.Step == s.step && t.Status != results.StatusInterrupted
	})
}

// missing are the trials of the planned rounds that are still to be run.
func (r *run) missing() []spec {
	var list []spec
	for round := 1; round <= r.plan.Rounds; round++ {
		list = append(list, r.missingOf(round)...)
	}
	return list
}

// missingOf are those of one round, in its order. Of a duet neither or both are: half of one is run again with the other.
func (r *run) missingOf(round int) []spec {
	together := 1
	if r.plan.Duet {
		together = duetSlots
	}
	var list []spec
	for group := range slices.Chunk(r.turns(round), together) {
		if slices.ContainsFunc(group, func(s spec) bool { return !r.measured(s) }) {
			list = append(list, group...)
		}
	}
	return list
}

// begun is the last round of which there is a trial.
func (r *run) begun() int { return lastRound(r.trials) }

func lastRound(trials []*results.Trial) int {
	last := 0
	for _, t := range trials {
		last = max(last, t.Round)
	}
	return last
}

// summary counts all trials of the run.
func (r *run) summary() *Summary {
	s := &Summary{Dir: r.dir.Path(), Reason: r.session.Reason, Why: r.session.Why}
	for _, t := range r.trials {
		switch t.Status {
		case results.StatusFailed:
			s.Failed++
		case results.StatusInterrupted:
			s.Interrupted++
		default:
			s.Done++
		}
	}
	for _, v := range r.plan.Variants {
		if !slices.ContainsFunc(r.trials, func(t *results.Trial) bool { return t.Variant == v.Name && t.LeftOut() == "" }) {
			s.Unmeasured = append(s.Unmeasured, v.Name)
		}
	}
	return s
}

func namesOf(variants []results.Variant) (names []string) {
	for _, v := range variants {
		names = append(names, v.Name)
	}
	return names
}

func variantNamed(variants []results.Variant, name string) results.Variant {
	for _, v := range variants {
		if v.Name == name {
			return v
		}
	}
	panic("runner: the order names a variant that the plan doesn't have: " + name)
}
