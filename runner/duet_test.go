package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/clients/fleet"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// duetScenario is a steady load; %s is how long the measured phase is, %d the rate.
const duetScenario = `
name: duet
why: to test
protocol: http1
connections: {count: %d}
phases:
  - {name: warmup, load: steady, for: 1s, arrivals: {constant: %d/s}}
  - {name: steady, load: steady, for: %s, arrivals: {constant: %d/s}, measure: true}
`

// duetConfig asks for a run of goroutine beside itself, the second one with --inject.
func duetConfig(t *testing.T, connections, rate int, length string, inject time.Duration) Config {
	t.Helper()
	bin := t.TempDir()
	for program, at := range map[string]string{"../cmd/millrace": "millrace", "../servers/goroutine": "servers/goroutine"} {
		if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(bin, at), program).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v: %s", program, err, out)
		}
	}
	sc, err := scenarios.Decode("duet.yaml", []byte(fmt.Sprintf(duetScenario, connections, rate, length, rate)))
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Scenario: sc, Servers: []string{"goroutine"}, Rounds: 1, Engine: "epoll", Root: t.TempDir(), ServersDir: filepath.Join(bin, "servers"),
		CacheDir: t.TempDir(), Agent: []string{filepath.Join(bin, "millrace"), "agent"}, Measure: analysis.Measure,
		Twin: &Twin{Inject: inject}, Duet: true,
	}
}

// duetRun plans such a run and starts its fleet of real agents.
func duetRun(t *testing.T, connections, rate int, length string, inject time.Duration) *run {
	t.Helper()
	c := duetConfig(t, connections, rate, length, inject)
	plan, err := MakePlan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := results.Create(c.Root, plan)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{config: c, plan: plan, dir: dir, live: newLive(nil, plan, 2, time.Time{}, false)}
	if r.fleet, err = fleet.Start(t.Context(), fleet.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := r.enlist(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func duetOf(t *testing.T, r *run) *duet {
	t.Helper()
	d, err := r.newDuet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Both servers live at once, get the same load in slots of their own, and the one with --inject takes more CPU a request.
func TestDuetTakesTurns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs and runs 3 s of load twice")
	}
	const inject = 100 * time.Microsecond
	r := duetRun(t, 16, 1000, "2s", inject)
	d := duetOf(t, r)
	a := spec{round: 1, position: 1, variant: r.plan.Variants[0]}
	b := spec{round: 1, position: 2, variant: r.plan.Variants[1]}
	ta, tb := d.trials(t.Context(), a, b)
	if ta.Duet != tb.ID || tb.Duet != ta.ID || ta.DuetSlot != 0 || tb.DuetSlot != 1 {
		t.Errorf("partners %q and %q in slots %d and %d", ta.Duet, tb.Duet, ta.DuetSlot, tb.DuetSlot)
	}
	if ta.Planned != tb.Planned || ta.Planned != 3*1000 {
		t.Errorf("%d and %d planned, want 3000 each", ta.Planned, tb.Planned)
	}
	for slot, x := range []*results.Trial{ta, tb} {
		for i, in := range x.Intervals {
			if in.Planned > 0 && i%2 != slot {
				t.Errorf("%s: %d requests in interval %d, not its own", x.ID, in.Planned, i)
			}
		}
	}
	checkDuetFigures(t, ta, tb, inject)

	if err := d.respawn(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.round, a.round, b.variant.Args = 2, 2, []string{"--inject", "1h"}
	ta, tb = d.trials(t.Context(), a, b)
	if tb.Status != results.StatusFailed || ta.Status != results.StatusFailed || !strings.Contains(ta.Failure.Reason, tb.ID) {
		t.Errorf("%s: %+v; %s: %+v: want both failed", ta.Status, ta.Failure, tb.Status, tb.Failure)
	}
}

// When the server of one trial dies, the other trial ends at once and says why.
func TestDuetEndsWhenOneTrialFails(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs and runs a second of load")
	}
	r := duetRun(t, 4, 100, "60s", time.Microsecond)
	killed := false
	r.live.emit = func(e Event) {
		if e.Load.Phase != "steady" || killed {
			return
		}
		for _, pid := range serversOf(t, filepath.Join(r.config.ServersDir, "goroutine"), "--inject") {
			killed = syscall.Kill(pid, syscall.SIGKILL) == nil
		}
	}
	d := duetOf(t, r)
	ta, tb := d.trials(t.Context(), spec{round: 1, position: 1, variant: r.plan.Variants[0]}, spec{round: 1, position: 2, variant: r.plan.Variants[1]})
	if !killed || tb.Status != results.StatusFailed || strings.Contains(tb.Failure.Reason, ta.ID) {
		t.Errorf("killed %v; %s: %s, %+v: want it failed by itself", killed, tb.ID, tb.Status, tb.Failure)
	}
	if ta.Status != results.StatusFailed || !strings.Contains(ta.Failure.Reason, "trial "+tb.ID+", the other one of this duet, failed: ") || ta.Seconds > 30 {
		t.Errorf("%s: %s after %.1f s, %+v: want that it ended with %s", ta.ID, ta.Status, ta.Seconds, ta.Failure, tb.ID)
	}
}

// serversOf are the processes of a program that have an argument.
func serversOf(t *testing.T, program, arg string) (pids []int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		line, _ := os.ReadFile(path) // it may have ended
		if args := strings.Split(string(line), "\x00"); args[0] == program && slices.Contains(args, arg) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestHalfADuetIsInterruptedWhole(t *testing.T) {
	trial := func(id, status string) *results.Trial {
		return &results.Trial{ID: id, Status: status, Checks: []validity.Check{{Name: "generator CPU", State: validity.OK}}}
	}
	ended := false
	check := func(a, b, wantA, wantB string, verdict validity.Verdict) {
		t.Helper()
		both := [duetSlots]*results.Trial{trial("a", a), trial("b", b)}
		settle(both, ended)
		if both[0].Status != wantA || both[1].Status != wantB || both[0].Verdict != verdict || both[1].Verdict != verdict {
			t.Errorf("%s and %s: %s %s and %s %s, want %s and %s, %s", a, b, both[0].Status, both[0].Verdict, both[1].Status, both[1].Verdict, wantA, wantB, verdict)
		}
	}
	const done, failed, broken = results.StatusDone, results.StatusFailed, results.StatusInterrupted
	check(done, done, done, done, validity.Valid)
	check(done, failed, done, failed, validity.Invalid)
	check(done, broken, broken, broken, validity.Invalid)
	check(broken, done, broken, broken, validity.Invalid)
	check(broken, failed, broken, broken, validity.Invalid)
	ended = true
	check(done, done, done, done, validity.Valid)
	check(failed, failed, broken, broken, validity.Invalid)
}

// Rounds of duets are run two trials at a time, and both are on disk before the next; half a round is run again whole.
func TestRunOfDuets(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs and runs 4 s of load")
	}
	all, err := procfs.Affinity()
	if err != nil {
		t.Fatal(err)
	}
	c := duetConfig(t, 4, 100, "1s", 0)
	c.Rounds = 2
	plan, err := MakePlan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Progress = func(e Event) {
		if e.Kind == "progress" && e.Round == 2 {
			cancel()
		}
	}
	sum, err := Run(ctx, c, plan)
	if !errors.Is(err, context.Canceled) || sum.Done+sum.Failed != 2 || sum.Interrupted != 2 {
		t.Fatalf("%+v, %v: want one round, and the other interrupted", sum, err)
	}
	if now, err := procfs.Affinity(); err != nil || !slices.Equal(now, all) {
		t.Errorf("this process may run on CPUs %v after the run, %v: want %v again", now, err, all)
	}
	// As a process that was killed between two lines left it, before they were written at once.
	file := filepath.Join(sum.Dir, "trials.jsonl")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	if err := os.WriteFile(file, []byte(lines[0]+lines[2]+lines[3]), 0o644); err != nil {
		t.Fatal(err)
	}
	dir, res, err := results.Open(sum.Dir)
	if err != nil {
		t.Fatal(err)
	}
	c.Progress, c.Before = nil, &Before{dir: dir, trials: res.Trials, sittings: 1} // Reopen refuses a server against itself
	if n := c.Before.Left(res.Run); n != 4 {
		t.Errorf("%d trials are left, want all 4", n)
	}
	if sum, err = Run(t.Context(), c, res.Run); err != nil || sum.Done+sum.Failed != 4 || sum.Interrupted != 0 || sum.Reason != results.EndedDone {
		t.Fatalf("%+v, %v: want all rounds", sum, err)
	}
	if res, err = results.Load(sum.Dir); err != nil || len(res.Trials) != 4 {
		t.Fatalf("%v, %v", res, err)
	}
	for _, x := range res.Trials {
		if other, err := res.Trial(x.Duet); err != nil || other.Duet != x.ID || other.Round != x.Round || other.Sitting != 2 {
			t.Errorf("%s of %s: %v", x.Duet, x.ID, err)
		}
	}
}

// checkDuetFigures holds the books of the two records together, and their CPU time against what was injected into the second,
// unless others had the server's CPU.
func checkDuetFigures(t *testing.T, a, b *results.Trial, inject time.Duration) {
	t.Helper()
	quiet := true
	for _, x := range []*results.Trial{a, b} {
		_, why := validity.Judge(x.Checks)
		t.Logf("%s: %s: %s", x.ID, x.Verdict, strings.Join(why, "; "))
		i := slices.IndexFunc(x.Checks, func(c validity.Check) bool { return c.Name == "quiet host" })
		if i >= 0 && x.Checks[i].Value > 0.25 {
			t.Logf("CPU time is not judged: other programs took %.0f %% of a CPU", 100*x.Checks[i].Value)
			quiet = false
		}
		for _, name := range []string{"two-sided requests", "two-sided connections", "two-sided bytes", "outcome identity", "duet partner", "agents"} {
			i := slices.IndexFunc(x.Checks, func(c validity.Check) bool { return c.Name == name })
			if i < 0 || x.Checks[i].State != validity.OK {
				t.Errorf("%s: %s is not ok: %+v", x.ID, name, x.Checks)
			}
		}
	}
	const cost = "cpu-per-req-ns"
	if more := b.Metrics[cost] - a.Metrics[cost]; quiet && (a.Metrics[cost] <= 0 || more < 0.5*float64(inject)) {
		t.Errorf("a request costs %v ns and, with %v injected, %v ns", a.Metrics[cost], inject, b.Metrics[cost])
	}
}

func TestDuetWantsTwoVariantsAndSteadyArrivals(t *testing.T) {
	steady := &scenarios.Scenario{Name: "s", Phases: []scenarios.Phase{{Name: "p", For: 1e9, Arrivals: scenarios.Arrivals{Constant: 1}}}}
	burst := &scenarios.Scenario{Name: "b", Phases: []scenarios.Phase{{Name: "p", For: 1e9, Arrivals: scenarios.Arrivals{Burst: 1}}}}
	check := func(sc *scenarios.Scenario, variants int, want string) {
		t.Helper()
		if err := checkDuet(sc, variants); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s, %d variants: %v, want %q", sc.Name, variants, err, want)
		}
	}
	check(steady, 2, "")
	check(steady, 3, "duets of 3 variants: want exactly 2")
	check(burst, 2, "duets with scenario b: slots with phases.p.arrivals.burst: want constant or poisson")
}
