package runner

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/clients/fleet"
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

// duetRun plans a run of goroutine beside itself, the second one with --inject, and starts its fleet of real agents.
func duetRun(t *testing.T, connections, rate int, length string, inject time.Duration) *run {
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
	c := Config{
		Scenario: sc, Servers: []string{"goroutine"}, Rounds: 1, Engine: "epoll", Root: t.TempDir(), ServersDir: filepath.Join(bin, "servers"),
		CacheDir: t.TempDir(), Agent: []string{filepath.Join(bin, "millrace"), "agent"}, Measure: analysis.Measure,
	}
	plan, err := MakePlan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := Twin(plan, inject, 0); err != nil {
		t.Fatal(err)
	}
	if err := checkDuet(&plan.Scenario, len(plan.Variants)); err != nil {
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
	b.variant = a.variant
	ta, tb = d.trials(t.Context(), a, b)
	for _, x := range []*results.Trial{ta, tb} {
		if x.Status != results.StatusFailed || !strings.Contains(x.Failure.Reason, "variants of two names") {
			t.Errorf("%s: %+v: want that two names are wanted", x.Status, x.Failure)
		}
	}
}

// checkDuetFigures holds the two records against what was injected into the second, unless others had the server's CPU.
func checkDuetFigures(t *testing.T, a, b *results.Trial, inject time.Duration) {
	t.Helper()
	for _, x := range []*results.Trial{a, b} {
		_, why := validity.Judge(x.Checks)
		t.Logf("%s: %s: %s", x.ID, x.Verdict, strings.Join(why, "; "))
		i := slices.IndexFunc(x.Checks, func(c validity.Check) bool { return c.Name == "quiet host" })
		if i >= 0 && x.Checks[i].Value > 0.25 {
			t.Logf("not judged: other programs took %.0f %% of a CPU", 100*x.Checks[i].Value)
			return
		}
	}
	for _, x := range []*results.Trial{a, b} {
		for _, name := range []string{"two-sided requests", "two-sided connections", "two-sided bytes", "outcome identity", "duet partner", "agents"} {
			i := slices.IndexFunc(x.Checks, func(c validity.Check) bool { return c.Name == name })
			if i < 0 || x.Checks[i].State != validity.OK {
				t.Errorf("%s: %s is not ok: %+v", x.ID, name, x.Checks)
			}
		}
	}
	const cost = "cpu-per-req-ns"
	if more := b.Metrics[cost] - a.Metrics[cost]; a.Metrics[cost] <= 0 || more < 0.5*float64(inject) {
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
