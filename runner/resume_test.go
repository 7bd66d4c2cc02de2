package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

// begunRun is a run of two variants and c.Rounds rounds, changed before it was written, with trials that have these statuses,
// in its order.
func begunRun(t *testing.T, c Config, change func(*results.Run), statuses ...string) string {
	t.Helper()
	plan, err := MakePlan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(plan)
	}
	d, err := results.Create(t.TempDir(), plan)
	if err != nil {
		t.Fatal(err)
	}
	for i, status := range statuses {
		round, name := i/2+1, plan.Order[i/2][i%2]
		err := d.Append(&results.Trial{
			Schema: results.Schema, ID: results.TrialID(round, plan.Scenario.Name, name, 0), Round: round, Position: i%2 + 1,
			Scenario: plan.Scenario.Name, Variant: name, Status: status, Verdict: validity.Valid,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return d.Path()
}

// pair is planned with two variants.
func pair(t *testing.T) Config {
	c := planned(t)
	c.Set = append(c.Set, "protocol=frame")
	c.Servers = []string{"goroutine", "gnet"}
	return c
}

func TestReopen(t *testing.T) {
	const done, broken = results.StatusDone, results.StatusInterrupted
	check := func(path string, c Config, rounds, left int) {
		t.Helper()
		c, plan, err := Reopen(t.Context(), c, path)
		if err != nil {
			t.Error(err)
			return
		}
		if plan.Rounds != rounds || c.Before.Left(plan) != left || plan.Reference != "goroutine" {
			t.Errorf("%d rounds, %d trials left, reference %q: want %d and %d", plan.Rounds, c.Before.Left(plan), plan.Reference, rounds, left)
		}
		if err := c.Before.Close(); err != nil {
			t.Error(err)
		}
	}
	c := pair(t)
	path := begunRun(t, c, nil, done, broken)
	again := Config{ServersDir: c.ServersDir}
	check(path, again, 2, 3)
	again.Rounds = 5
	check(path, again, 5, 9)
	again.Rounds = 1
	check(path, again, 1, 1)
	again.Rounds, again.Until = 0, &results.Until{Width: 0.02}
	check(path, again, MinUntilRounds, 2*MinUntilRounds-1)

	// A sitting that went on until intervals were narrow is gone on with alike.
	d, _, err := results.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s := results.Session{Schema: results.Schema, Sitting: 1, Rounds: 6, Most: 77, Until: &results.Until{Width: 0.03}, BudgetSeconds: 90}
	if err := errors.Join(d.AppendSession(&s), d.Close()); err != nil {
		t.Fatal(err)
	}
	again.Until = nil
	got, _, err := Reopen(t.Context(), again, path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Until == nil || got.Until.Width != 0.03 || got.Rounds != 77 || got.Budget != 90*time.Second {
		t.Errorf("until %+v, rounds %d, budget %v", got.Until, got.Rounds, got.Budget)
	}
	if err := got.Before.Close(); err != nil {
		t.Error(err)
	}
}

// Half a round of duets is run again with its other half.
func TestReopenOfDuets(t *testing.T) {
	const done, broken = results.StatusDone, results.StatusInterrupted
	c := pair(t)
	for _, x := range []struct {
		statuses []string
		left     int
	}{
		{nil, 4}, {[]string{done}, 4}, {[]string{done, broken}, 4}, {[]string{broken, done}, 4}, {[]string{done, results.StatusFailed}, 2},
		{[]string{done, done, done}, 2}, {[]string{done, done, broken, broken}, 2},
	} {
		path := begunRun(t, c, func(r *results.Run) { r.Duet = true }, x.statuses...)
		again, plan, err := Reopen(t.Context(), Config{ServersDir: c.ServersDir}, path)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Before.Left(plan); got != x.left {
			t.Errorf("%v: %d trials are left, want %d", x.statuses, got, x.left)
		}
		if err := again.Before.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The time to wait for a quiet host grows with the rounds beyond those planned.
func TestQuietWaitGrows(t *testing.T) {
	plan := aPlan()
	r := &run{plan: plan, quiet: newQuiet(plan, time.Second), live: newLive(nil, plan, 4, time.Time{}, true)}
	round := 2 * PerTrial(plan) / 10
	if r.grow(2); r.quiet.Left != 2*round {
		t.Errorf("%v for two rounds, want a tenth of them, %v", r.quiet.Left, 2*round)
	}
	r.grow(3)
	if r.grow(4); r.quiet.Left != 4*round {
		t.Errorf("%v for four rounds, want %v", r.quiet.Left, 4*round)
	}
}

func TestReopenRefuses(t *testing.T) {
	const done = results.StatusDone
	c := pair(t)
	check := func(change func(*results.Run), ask func(*Config), words ...string) {
		t.Helper()
		path := begunRun(t, c, change, done, done, done, done)
		again := Config{ServersDir: c.ServersDir, Rounds: 3}
		if ask != nil {
			ask(&again)
		}
		_, _, err := Reopen(t.Context(), again, path)
		var asked *UsageError
		if !errors.As(err, &asked) {
			t.Errorf("error %v: want a UsageError with %q", err, words)
			return
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("error %v: want %q in it", err, w)
			}
		}
		if d, _, err := results.Open(path); err != nil { // the lock is given up
			t.Error(err)
		} else if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	check(func(r *results.Run) { r.Env.Kernel = "Plan 9" }, nil, `kernel was "Plan 9" and is "Linux`, "start a new run")
	check(func(r *results.Run) { r.Env.Host = "other" }, nil, `host was "other"`)
	check(func(r *results.Run) { r.Env.CPU = "Z80" }, nil, `CPU was "Z80"`)
	check(func(r *results.Run) { r.Method--; r.Env.Host = "other" }, nil, "method was", `host was "other"`)
	check(func(r *results.Run) { r.Split.Server = []int{77} }, nil, "the split of CPUs was [77]")
	check(func(r *results.Run) { r.Variants[1].SHA256 = "0" }, nil, "the program of gnet is not the one that was measured")
	check(func(r *results.Run) { r.Variants[1].Args = []string{"--fast"} }, nil, `the flags of gnet were ["--fast"]`)
	check(func(r *results.Run) { r.Order[0], r.Order[1] = r.Order[1], r.Order[0] }, nil, "drawn by another design")
	check(func(r *results.Run) { r.Purpose = results.PurposeAA }, nil, "it compares a server with itself: start millrace aa again: its rounds accumulate")
	check(func(r *results.Run) { r.Purpose, r.Explains = results.PurposeExplain, "ID" }, nil, "it was made to explain ID and measures nothing: start millrace explain again")
	check(func(r *results.Run) { r.Purpose = results.PurposePilot }, nil, "it only found out what a request costs")
	check(func(r *results.Run) { r.Purpose = "fun" }, nil, `it was made for "fun", which this millrace doesn't know`)
	check(nil, func(c *Config) { c.Rounds = 0 }, "all its 2 rounds are there: ask for more")
	check(nil, func(c *Config) { c.Rounds = 1 }, "rounds 1: round 2 was begun already")
	check(nil, func(c *Config) { c.Rounds = MaxRounds + 1 }, "rounds 1001")
	check(nil, func(c *Config) { c.Budget = time.Second }, "budget 1s: one round takes about")

	path := begunRun(t, c, nil, done)
	err := os.WriteFile(filepath.Join(path, "sessions.jsonl"), []byte(`{"schema":9}`+"\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Reopen(context.Background(), Config{ServersDir: c.ServersDir}, path); err == nil || !strings.Contains(err.Error(), "schema 9: want 1") {
		t.Errorf("error %v: want the schema", err)
	}
}

// A round takes two trials of 10 s and their overhead.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := false
		var looks []int
		sitting := func(most int, budget time.Duration, until bool) *run {
			c := Config{Budget: budget}
			if until {
				c.Enough = func(_ *results.Run, trials []*results.Trial) (bool, string) {
					looks = append(looks, len(trials))
					return enough, "seen"
				}
			}
			r := &run{config: c, plan: aPlan(), ran: 1, session: results.Session{Most: most}}
			if budget > 0 {
				r.deadline = time.Now().Add(budget)
			}
			r.live = newLive(nil, r.plan, 0, r.deadline, until)
			return r
		}
		check := func(what string, r *run, round int, reason, why string) {
			t.Helper()
			if got, said := r.stop(round); got != reason || !strings.Contains(said, why) {
				t.Errorf("%s: %q %q, want %q with %q", what, got, said, reason, why)
			}
		}
		check("not the last", sitting(10, 0, false), 10, "", "")
		check("the last", sitting(10, 0, false), 11, results.EndedDone, "")
		check("in time", sitting(10, 22*time.Second, false), 2, "", "")
		check("no time for a round", sitting(10, 21*time.Second, false), 2, results.EndedBudget, "of the budget of 21s 21s are left, and a round takes about 21s")
		first := sitting(10, time.Second, false)
		first.ran = 0
		check("the first of a sitting", first, 5, "", "")
		check("too early to look", sitting(10, 0, true), 3, "", "")
		if len(looks) > 0 {
			t.Errorf("looked at %v trials", looks)
		}
		enough = true
		check("narrow, but too few rounds", sitting(10, 0, true), MinUntilRounds, "", "")
		check("narrow", sitting(10, 0, true), MinUntilRounds+1, results.EndedEnough, "seen")
		enough = false
		check("wide", sitting(10, 0, true), 9, "", "")
		check("wide at the end", sitting(10, 0, true), 11, results.EndedDone, "seen")
		check("wide, and no time", sitting(10, time.Second, true), 8, results.EndedBudget, "; seen")
	})
}
