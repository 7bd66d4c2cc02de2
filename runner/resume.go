package runner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/design"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/runner/sut"
)

// Before is what a run that goes on has already.
type Before struct {
	dir      *results.Dir
	trials   []*results.Trial
	sittings int
	differs  []string
}

// Left is how many trials of the plan are still to be run.
func (b *Before) Left(plan *results.Run) int {
	return len((&run{plan: plan, trials: b.trials}).missing())
}

// Differs says what of the environment is not as the run began with, a sentence each.
func (b *Before) Differs() []string { return b.differs }

// Close gives up the run's directory. Run does it by itself.
func (b *Before) Close() error { return b.dir.Close() }

// Reopen takes the run in the directory path to go on with it. It returns c with Before set and, where c asks for
// neither Rounds nor Until, with those and the Budget of the run's last sitting; and the plan for Run. A run of another
// purpose than to measure is refused, and by name what would make the new trials another measurement than the old ones: other
// programs, host, kernel, CPUs, split or method. What may differ, and does, is recorded in the sitting.
func Reopen(ctx context.Context, c Config, path string) (Config, *results.Run, error) {
	dir, res, err := results.Open(path)
	if err != nil {
		return c, nil, &UsageError{fmt.Errorf("resuming: %w", err)}
	}
	plan := res.Run
	env := host.CaptureEnv(ctx, nil, c.Version, c.Commit)
	c.Before = &Before{dir: dir, trials: res.Trials, sittings: len(res.Sessions), differs: host.Differences(plan.Env, env)}
	if err = measures(plan); err == nil {
		err = c.sameMeasurement(ctx, plan, env)
	}
	if err == nil {
		err = c.extend(res)
	}
	if err != nil {
		return c, nil, errors.Join(fmt.Errorf("resuming run %s: %w", plan.ID, err), dir.Close())
	}
	return c, plan, nil
}

// measures refuses a run that was not made by `millrace run`, with what to do instead.
func measures(plan *results.Run) error {
	switch plan.Purpose {
	case "":
		return nil
	case results.PurposeAA:
		return &UsageError{errors.New("it compares a server with itself: start millrace aa again: its rounds accumulate")}
	case results.PurposeExplain:
		return &UsageError{fmt.Errorf("it was made to explain %s and measures nothing: start millrace explain again", plan.Explains)}
	case results.PurposePilot:
		return &UsageError{errors.New("it only found out what a request costs: start millrace aa --inject again")}
	}
	return &UsageError{fmt.Errorf("it was made for %q, which this millrace doesn't know", plan.Purpose)}
}

// sameMeasurement refuses what must not have changed, all of it at once.
func (c *Config) sameMeasurement(ctx context.Context, plan *results.Run, env results.Env) error {
	var changed []string
	note := func(what, was, is string) {
		if was != is {
			changed = append(changed, fmt.Sprintf("%s was %q and is %q", what, was, is))
		}
	}
	note("method", fmt.Sprint(plan.Method), fmt.Sprint(Method))
	note("host", plan.Env.Host, env.Host)
	note("CPU", plan.Env.CPU, env.CPU)
	note("kernel", plan.Env.Kernel, env.Kernel)
	split, err := host.AllowedCPUs(plan.Split.Shared)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(split, plan.Split) {
		changed = append(changed, fmt.Sprintf("the split of CPUs was %v for the server and %v for the client and is %v and %v",
			plan.Split.Server, plan.Split.Client, split.Server, split.Client))
	}
	cat, err := sut.ReadCatalogue(ctx, c.ServersDir)
	if err != nil {
		return err
	}
	for _, v := range plan.Variants {
		now, err := cat.Again(v)
		switch {
		case err != nil:
			changed = append(changed, err.Error())
		case now.SHA256 != v.SHA256:
			changed = append(changed, fmt.Sprintf("the program of %s is not the one that was measured (%s)", v.Name, filepath.Base(now.Binary)))
		case !slices.Equal(now.Settings(), v.Settings()):
			changed = append(changed, fmt.Sprintf("the flags of %s were %q and are %q", v.Name, v.Settings(), now.Settings()))
		}
	}
	for _, s := range plan.Workloads() {
		if most, why := fits(s); s.Connections.Count > most {
			changed = append(changed, fmt.Sprintf("%d connections don't fit any more: %s", s.Connections.Count, why))
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return &UsageError{fmt.Errorf("%s: start a new run", strings.Join(changed, "; "))}
}

// extend settles how far the run goes now.
func (c *Config) extend(res *results.Result) error {
	plan, last := res.Run, lastRound(res.Trials)
	switch {
	case c.Rounds > 0:
	case c.Until != nil:
		c.Rounds = MaxRounds
	default:
		c.Rounds = plan.Rounds
		if n := len(res.Sessions); n > 0 && res.Sessions[n-1].Until != nil {
			s := res.Sessions[n-1]
			c.Until, c.Rounds = s.Until, s.Most
			if c.Budget == 0 {
				c.Budget = time.Duration(s.BudgetSeconds * float64(time.Second))
			}
		}
	}
	if c.Rounds < last {
		return &UsageError{fmt.Errorf("rounds %d: round %d was begun already: want that or more", c.Rounds, last)}
	}
	if err := c.checkRounds(); err != nil {
		return err
	}
	c.Reference = plan.Reference
	plan.Rounds = c.Rounds
	if err := c.settle(plan); err != nil {
		return err
	}
	plan.Rounds = max(plan.Rounds, last)
	recorded := min(len(plan.Order), c.Rounds)
	if steps, order := orderOf(plan, len(plan.Order)); c.Rounds > recorded && !(reflect.DeepEqual(order, plan.Order) && slices.EqualFunc(steps, plan.StepOrder, slices.Equal)) {
		return &UsageError{fmt.Errorf("its order was drawn by another design than %q, and has %d rounds: it can't be extended beyond these; start a new run", design.Williams, recorded)}
	}
	if c.Until != nil || c.Before.Left(plan) > 0 {
		return nil
	}
	return &UsageError{fmt.Errorf("all its %d rounds are there: ask for more of them, or for a width (--rounds %d, --until 2%%)", plan.Rounds, 2*plan.Rounds)}
}
