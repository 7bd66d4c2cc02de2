package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// serversDir holds server programs that only describe themselves: by name, what each answers.
func serversDir(t *testing.T, answers map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, answer := range answers {
		script := "#!/bin/sh\n[ \"$1\" = describe ] || exit 2\ncat <<'END'\n" + answer + "\nEND\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	goroutineDescribes = `{"schema":1,"name":"goroutine","doc":"one each","framework":{"module":"net","version":"go1.26"},"protocols":["http1","frame"]}`
	gnetDescribes      = `{"schema":1,"name":"gnet","doc":"a loop","framework":{"module":"example.org/gnet","version":"v2"},"protocols":["frame"],
		"missing":{"http1":"no parser"},"variants":[{"name":"ants","doc":"a pool","flags":["--pool"]}]}`
)

// planned is a Config that MakePlan accepts, on two servers of which one speaks http1.
func planned(t *testing.T) Config {
	t.Helper()
	s, err := scenarios.Named("burst")
	if err != nil {
		t.Fatal(err)
	}
	s.Servers = nil // all that are here
	return Config{
		Scenario: s, Quick: true, Set: []string{"connections.count=10"}, Rounds: 2, Engine: "epoll",
		ServersDir: serversDir(t, map[string]string{"goroutine": goroutineDescribes, "gnet": gnetDescribes}),
	}
}

func TestMakePlan(t *testing.T) {
	c := planned(t)
	c.Seed = 11
	run, err := MakePlan(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if run.Seed != 11 || run.Scenario.Connections.Count != 10 || run.Given.Connections.Count != 10000 || !run.Quick {
		t.Errorf("seed %d, %d connections of %d", run.Seed, run.Scenario.Connections.Count, run.Given.Connections.Count)
	}
	if diff := cmp.Diff([][]string{{"goroutine"}, {"goroutine"}}, run.Order); diff != "" {
		t.Error(diff)
	}
	if why := run.NotApplicable["gnet"]; why != "does not speak http1: no parser" {
		t.Errorf("gnet is not applicable: %q", why)
	}
	if _, ours := run.NotApplicable["gnet/ants"]; ours {
		t.Error("a variant that was not asked for is not applicable")
	}
	c.Seed, c.Set, c.Servers = 0, []string{"protocol=frame", "connections.count=10"}, []string{"gnet/ants", "goroutine"}
	if run, err = MakePlan(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if v := run.Variants; len(v) != 2 || v[0].Name != "gnet/ants" || !slices.Equal(v[0].Args, []string{"--pool"}) || v[0].SHA256 == "" {
		t.Errorf("variants %+v", v)
	}
	if run.Seed == 0 {
		t.Error("no seed was drawn")
	}
	if run.Reference != "gnet/ants" || run.Design != "williams" {
		t.Errorf("reference %q, design %q", run.Reference, run.Design)
	}
	c.Reference, c.Until, c.Rounds = "goroutine", &results.Until{Width: 0.02}, 40
	if run, err = MakePlan(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if run.Reference != "goroutine" || run.Rounds != MinUntilRounds || len(run.Order) != MinUntilRounds {
		t.Errorf("reference %q, %d rounds, %d ordered: want those that every run has", run.Reference, run.Rounds, len(run.Order))
	}
}

func TestMakePlanRefuses(t *testing.T) {
	check := func(change func(*Config), usage bool, words ...string) {
		t.Helper()
		c := planned(t)
		change(&c)
		run, err := MakePlan(context.Background(), c)
		if err == nil {
			t.Errorf("planned %v: want an error with %q", run.Order, words)
			return
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("error %v: want %q in it", err, w)
			}
		}
		var asked *UsageError
		if errors.As(err, &asked) != usage {
			t.Errorf("error %v: a UsageError %v, want %v", err, !usage, usage)
		}
	}
	check(func(c *Config) { c.Rounds = 0 }, true, "rounds 0", "1 to 1000")
	check(func(c *Config) { c.Rounds = MaxRounds + 1 }, true, "rounds 1001")
	check(func(c *Config) { c.Until, c.Rounds = &results.Until{Width: 0.02}, 5 }, true, "rounds 5", "6 to 1000")
	check(func(c *Config) { c.Until, c.Rounds = &results.Until{Width: 0.02}, 50 }, true, "until ±2 %: goroutine has nothing to be compared with")
	check(func(c *Config) { c.Budget = -time.Second }, true, "budget -1s")
	check(func(c *Config) { c.Budget = time.Second }, true, "budget 1s: one round takes about")
	check(func(c *Config) { c.Reference = "gnet" }, true, `reference "gnet": want one of the run's servers goroutine`)
	check(func(c *Config) { c.Set = []string{"connections.cuont=1"} }, true, `"cuont"`)
	check(func(c *Config) { c.Set = []string{"connections.count=0"} }, true, "connections.count 0")
	check(func(c *Config) { c.Servers = []string{"gnat"} }, true, `unknown server "gnat"`, "goroutine, gnet, gnet/ants")
	check(func(c *Config) { c.Servers = []string{"gnet/pool"} }, true, `"gnet/pool"`)
	check(func(c *Config) { c.Servers = []string{"goroutine", "goroutine"} }, true, "goroutine is named twice")
	check(func(c *Config) { c.Servers = []string{"gnet"} }, true, "none of the servers gnet speaks http1: gnet does not speak http1: no parser")
	check(func(c *Config) {
		quiet := *c.Scenario
		quiet.Protocol, quiet.Quick = scenarios.Push, nil
		quiet.Phases = []scenarios.Phase{{Name: "hold", For: scenarios.Duration(time.Second), Measure: true}}
		c.Scenario, c.Quick, c.Servers = &quiet, false, []string{"goroutine"}
	}, true, "none of the servers goroutine speaks push")
	check(func(c *Config) { c.ServersDir = t.TempDir() }, false, "no server program in", "make build")
	check(func(c *Config) { c.ServersDir = serversDir(t, map[string]string{"gnet": "no json"}) }, false, "describing", "gnet")
}

// The shape of a round is known before a budget is held against it.
func TestMakePlanOfTwinsAndDuets(t *testing.T) {
	c := planned(t)
	c.Twin = &Twin{Inject: 2 * time.Microsecond, Share: 0.08}
	run, err := MakePlan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	a, b := run.Variants[0], run.Variants[1]
	if a.Name != "goroutine:A" || b.Name != "goroutine:B" || len(a.Args) != 0 || !slices.Equal(b.Args, []string{"--inject", "2µs"}) ||
		run.Purpose != results.PurposeAA || run.Injected != 0.08 || run.Reference != a.Name || len(run.Order[0]) != 2 {
		t.Errorf("%+v", run)
	}
	refused := func(words string) {
		t.Helper()
		var asked *UsageError
		if _, err := MakePlan(t.Context(), c); !errors.As(err, &asked) || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v: want a UsageError with %q", err, words)
		}
	}
	c.Budget = 3 * PerTrial(run) / 2
	refused("one round takes about " + (2 * PerTrial(run)).Round(time.Second).String())
	c.Budget, c.Twin.Inject = 0, MaxInject+1
	refused("want 0s to 1ms")
	c.Twin.Inject, c.Duet = 0, true
	refused("duets with scenario burst: slots with phases.burst.arrivals.burst")
	c.Set = append(c.Set, "protocol=frame")
	c.Servers = []string{"goroutine", "gnet"}
	refused("2 servers: want one")

	steady, err := scenarios.Named("steady")
	if err != nil {
		t.Fatal(err)
	}
	c.Scenario, c.Twin = steady, nil
	if run, err = MakePlan(t.Context(), c); err != nil || !run.Duet {
		t.Fatalf("%+v, %v", run, err)
	}
	// Both trials at the same time: a budget for one by itself is enough.
	c.Budget = run.Scenario.Duration() + TrialOverhead
	if _, err := MakePlan(t.Context(), c); err != nil {
		t.Error(err)
	}
	c.Budget--
	refused("one round takes about")
}

func TestPlanExplainRefusesDuets(t *testing.T) {
	run, err := MakePlan(t.Context(), pair(t))
	if err != nil {
		t.Fatal(err)
	}
	run.Duet = true
	var asked *UsageError
	if _, err = PlanExplain(t.Context(), Config{}, run, []string{"goroutine", "gnet"}); !errors.As(err, &asked) || !strings.Contains(err.Error(), "run burst without --duet") {
		t.Errorf("error %v: want a UsageError that says what to do", err)
	}
}

func TestEstimate(t *testing.T) {
	run, err := MakePlan(context.Background(), planned(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Estimate(run), 2*(run.Scenario.Duration()+TrialOverhead); got != want {
		t.Errorf("two trials are estimated at %v, want %v", got, want)
	}
}
