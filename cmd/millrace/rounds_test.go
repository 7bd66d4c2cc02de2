package main

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
	"github.com/millrace/millrace/scenarios"
)

// awaitFiles is "await N GLOB": it waits until at least N files match, 30 s at most.
func awaitFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await N GLOB")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(30 * time.Second); ; {
		found, err := filepath.Glob(ts.MkAbs(args[1]))
		ts.Check(err)
		if len(found) >= want {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("waited 30 s for %d of %s: there are %v", want, args[1], found)
		}
	}
}

func TestDurationOf(t *testing.T) {
	plan := &results.Run{
		Rounds: 6, Variants: make([]results.Variant, 2),
		Scenario: scenarios.Scenario{Phases: []scenarios.Phase{{For: scenarios.Duration(time.Minute)}}},
	}
	whole := 12 * runner.PerTrial(plan)
	check := func(what string, c runner.Config, words string, d time.Duration) {
		t.Helper()
		before := time.Now()
		got, at := durationOf(c, plan)
		for _, end := range []time.Time{before.Add(d), time.Now().Add(d)} { // the minute may turn in between
			if got == words && at == end.Format("15:04") {
				return
			}
		}
		t.Errorf("%s: %q, over at %s: want %q and the time in %v", what, got, at, words, d)
	}
	check("rounds", runner.Config{}, "about "+whole.Round(time.Second).String(), whole)
	check("an ample budget", runner.Config{Budget: time.Hour}, "about "+whole.Round(time.Second).String(), whole)
	check("a small one", runner.Config{Budget: time.Minute}, "at most 1m0s", time.Minute)
	check("until", runner.Config{Budget: time.Hour, Until: &results.Until{}}, "at most 1h0m0s", time.Hour)
}
