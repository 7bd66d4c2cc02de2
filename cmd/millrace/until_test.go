package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
	"github.com/millrace/millrace/scenarios"
)

// drawn are the trials of a run of a and the reference b, whose ln ratios are d.
func drawn(d ...float64) (*results.Run, []*results.Trial) {
	run := &results.Run{Reference: "b", Variants: []results.Variant{{Name: "a"}, {Name: "b"}}}
	var trials []*results.Trial
	for i, x := range d {
		for name, v := range map[string]float64{"a": 5e4 * math.Exp(x), "b": 5e4} {
			trials = append(trials, &results.Trial{Round: i + 1, Variant: name, Status: results.StatusDone, Verdict: validity.Valid,
				Metrics: map[string]float64{cpuMetric: v}})
		}
	}
	return run, trials
}

func TestUntilEnough(t *testing.T) {
	u := &results.Until{Width: 0.02, Metrics: []string{cpuMetric}}
	check := func(what string, run *results.Run, trials []*results.Trial, want bool, words ...string) {
		t.Helper()
		enough, why := untilEnough(u)(run, trials)
		if enough != want {
			t.Errorf("%s: enough %v, want %v (%s)", what, enough, want, why)
		}
		for _, w := range words {
			if !strings.Contains(why, w) {
				t.Errorf("%s: %q: want %q in it", what, why, w)
			}
		}
	}
	run, trials := drawn(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
	check("no scatter", run, trials, true, "is ±0 %, wanted ±2 %")
	// sd 0.0548, t(5) 2.571: ±0.0575 in ln, so 6·(0.0575²/0.0198²) − 6 + 1 more rounds.
	run, trials = drawn(0.05, -0.05, 0.05, -0.05, 0.05, -0.05)
	check("wide", run, trials, false, "cpu-per-req-ns of a, is ±5.9 %", "about 46 more rounds")
	run, trials = drawn(0.05, -0.05)
	check("two rounds", run, trials, false, "is ±8")
	run, trials = drawn(0.05)
	check("one round", run, trials, false, "more rounds than a run may have")
	// Just narrow enough, and a round before it was not.
	run, trials = drawn(0.02, -0.02, 0.02, -0.02, 0.02, -0.02, 0)
	check("the first look that is narrow", run, trials, false, "one more round to confirm it")
	run, trials = drawn(0.02, -0.02, 0.02, -0.02, 0.02, -0.02, 0, 0)
	check("the second", run, trials, true)

	run, trials = drawn(0.05, -0.05, 0.05, -0.05, 0.05, -0.05, 0.05, -0.05)
	for _, tr := range trials {
		if tr.Variant == "a" && tr.Round > 3 {
			tr.Verdict = validity.Invalid
		}
	}
	check("a counts in 3 of 8", run, trials, false, "no variant counts in half of the rounds; not waited for: cpu-per-req-ns of a (it and b count together in 3 of 8 rounds)")
	run.Variants = append(run.Variants, results.Variant{Name: "c"})
	for round := range 8 {
		trials = append(trials, &results.Trial{Round: round + 1, Variant: "c", Status: results.StatusDone, Metrics: map[string]float64{cpuMetric: 7}})
	}
	check("c is narrow", run, trials, true, "cpu-per-req-ns of c, is ±0 %", "not waited for: cpu-per-req-ns of a")
	_, none := drawn(0.1, 0.1, 0.1)
	for _, tr := range none {
		tr.Metrics = nil
	}
	check("never measured", run, none, false, "∞")
	run, none = drawn(0, 0, 0, 0, 0, 0)
	for _, tr := range none {
		if tr.Variant == "b" { // the reference
			tr.Verdict = validity.Invalid
		}
	}
	check("the reference never counts", run, none, true, "nothing to wait for; not waited for: cpu-per-req-ns of a (it and b count together in 0 of 6 rounds)")
}

func TestUntilMetrics(t *testing.T) {
	for scenario, want := range map[string][]string{
		"burst": {"drain-time-ns", cpuMetric}, "idle": {"user-bytes-per-conn"}, "steady": {"p50-latency-ns", cpuMetric},
	} {
		s, err := scenarios.Named(scenario)
		if err != nil {
			t.Fatal(err)
		}
		if got := untilMetrics(&results.Run{Scenario: *s}); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", scenario, got, want)
		}
	}
}

// What stopping at the right moment costs: how often the interval at the end holds the truth, by scatter. docs/METHOD.md
// has these figures.
func TestUntilCoverage(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates 16000 runs")
	}
	const runs, most = 4000, 100
	until := untilEnough(&results.Until{Width: 0.02, Metrics: []string{cpuMetric}})
	for _, sd := range []float64{0.02, 0.03, 0.04, 0.06} {
		rnd := rand.New(rand.NewPCG(4, uint64(sd*1000)))
		once, twice, rounds := 0, 0, 0
		for range runs {
			d := make([]float64, most)
			for i := range d {
				d[i] = rnd.NormFloat64() * sd
			}
			n1, n2 := stopsAt(d, until)
			once += holdsZero(d[:n1])
			twice += holdsZero(d[:n2])
			rounds += n2
		}
		one, two := float64(once)/runs, float64(twice)/runs
		t.Logf("sd %.2f: stopped at the first narrow look %.3f, at the second %.3f, after %.1f rounds", sd, one, two, float64(rounds)/runs)
		if two < 0.92 || two > 0.96 {
			t.Errorf("sd %.2f: coverage %.3f (%.3f at the first look): want 0.92 to 0.96 of nominally 0.95", sd, two, one)
		}
	}
}

func holdsZero(d []float64) int {
	if math.Abs(stat.Mean(d, nil)) <= halfWidth(d) {
		return 1
	}
	return 0
}

// stopsAt is after how many rounds the first narrow look comes, and the one at which the run ends; all where none does.
func stopsAt(d []float64, enough func(*results.Run, []*results.Trial) (bool, string)) (first, last int) {
	run, trials := drawn(d...)
	first = len(d)
	for n := runner.MinUntilRounds; n <= len(d); n++ {
		ends, why := enough(run, trials[:2*n])
		if ends || strings.Contains(why, "one more round to confirm it") {
			first = min(first, n)
		}
		if ends {
			return first, n
		}
	}
	return first, len(d)
}
