package crossover

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

const metric = "cpu-per-req-ns"

// swept is a run of a and b over values, in which ln a ÷ b is ratio(step, round).
func swept(values []float64, rounds int, ratio func(step, round int) float64) *results.Result {
	run := &results.Run{ID: "r", Rounds: rounds, Seed: 7, Variants: []results.Variant{{Name: "a"}, {Name: "b"}}}
	res := &results.Result{Run: run}
	for k, v := range values {
		name := fmt.Sprint(v)
		run.Steps = append(run.Steps, results.Step{Name: name, Value: &v})
		run.Scenario.Sweep = append(run.Scenario.Sweep, scenarios.Step{Name: name, Value: &v, Set: map[string]any{"connections.count": v}})
		for r := range rounds {
			for _, variant := range []string{"a", "b"} {
				value := 2e4
				if variant == "a" {
					value *= math.Exp(ratio(k, r))
				}
				res.Trials = append(res.Trials, &results.Trial{
					Round: r + 1, Variant: variant, Step: name, Status: results.StatusDone, Verdict: validity.Valid, Metrics: map[string]float64{metric: value},
				})
			}
		}
	}
	return res
}

var decades = []float64{100, 300, 1000, 3000, 10000}

func of(t *testing.T, res *results.Result) *Pair {
	t.Helper()
	list := Pairs(res, metric)
	if len(list) != 1 {
		t.Fatalf("%d pairs, want one", len(list))
	}
	return list[0]
}

// What is seen by eye: constant ratios with no scatter.
func TestVerdicts(t *testing.T) {
	check := func(what string, ratios []float64, verdict Verdict, sentence string) {
		t.Helper()
		p := of(t, swept(decades, 10, func(k, r int) float64 { return ratios[k] + 1e-4*float64(r%3) }))
		if got := p.Sentence(AxisOf(swept(decades, 1, func(int, int) float64 { return 0 }).Run)); p.Verdict != verdict || !strings.Contains(got, sentence) {
			t.Errorf("%s: %s, %q: want %s, %q", what, p.Verdict, got, verdict, sentence)
		}
	}
	check("a cheaper", []float64{-0.2, -0.2, -0.3, -0.2, -0.2}, Everywhere, "no crossing: a is better than b at every step (100–10 k connections)")
	check("b cheaper", []float64{0.2, 0.2, 0.3, 0.2, 0.2}, Everywhere, "b is better than a at every step")
	check("alike", []float64{0.01, -0.01, 0.01, 0.02, 0}, Alike, "a and b are alike within ±5 % at every step")
	check("some", []float64{0.01, -0.01, -0.2, -0.2, -0.3}, Somewhere, "a is better than b at 1 k, 3 k and 10 k; alike at 100 and 300")
	check("crossing", []float64{-0.3, -0.2, -0.1, 0.1, 0.2}, Once, "a is better below 1.73 k connections (1.73 k–1.73 k), b above")
	check("through a tie", []float64{-0.3, -0.2, 0, 0.2, 0.3}, Once, "a is better below 999 connections") // 1e-4 above 0 in the median round
	check("two crossings", []float64{-0.3, 0.2, 0.2, 0.2, -0.3}, Several, "2 crossings: a is better below 193 connections (193–193); b is better below ")
}

func TestWhatCannotBeSaid(t *testing.T) {
	p := of(t, swept(decades, 3, func(k, r int) float64 { return float64(k) - 2 }))
	if got := p.Sentence(Axis{Label: "connections", Factor: 1}); p.Verdict != Undecided || !strings.Contains(got, "3 rounds, an interval needs 6") {
		t.Errorf("three rounds: %s, %q", p.Verdict, got)
	}
	res := swept(decades, 8, func(k, r int) float64 { return float64(k) - 2.4 })
	for _, tr := range res.Trials { // each round lacks one step of the bracket
		if tr.Step == decadesName(2+tr.Round%2) && tr.Round <= 4 {
			delete(tr.Metrics, metric)
		}
	}
	p = of(t, res)
	if p.Verdict != Once || !math.IsNaN(p.Crossings[0].Value) || p.Crossings[0].Rounds != 4 {
		t.Errorf("four whole rounds: %+v", p)
	}
	if got := p.Sentence(Axis{Label: "connections", Factor: 1}); !strings.Contains(got, "some connections between 1 k and 3 k (no interval: 4 rounds count at all steps, it needs 6)") {
		t.Errorf("got %q", got)
	}
	for _, tr := range res.Trials {
		if tr.Variant == "a" && tr.Step == decadesName(0) {
			tr.Metrics[metric] = 0
		}
	}
	if p = of(t, res); !math.IsNaN(p.Steps[0].Ratio.Value) || p.Steps[0].Better != "" {
		t.Errorf("a value of 0 has a ratio: %+v", p.Steps[0])
	}
	res.Run.Steps[0].Value = nil
	if list := Pairs(res, metric); list != nil {
		t.Errorf("steps without a number have crossings: %v", list)
	}
	if list := Pairs(swept(decades, 8, func(int, int) float64 { return 0 }), "lag-p99-ns"); list != nil {
		t.Errorf("a metric without a better has crossings: %v", list)
	}
}

func decadesName(k int) string { return fmt.Sprint(decades[k]) }

// A sweep that begins with nothing is taken as straight in the value up to its first positive step.
func TestZeroAmongTheValues(t *testing.T) {
	p := of(t, swept([]float64{0, 1, 10}, 10, func(k, r int) float64 { return []float64{-0.3, 0.1, 0.3}[k] }))
	if c := p.Crossings; len(c) != 1 || math.Abs(c[0].Value-0.75) > 1e-9 {
		t.Errorf("got %+v, want a crossing at 0.75", c)
	}
}

// simulated draws runs whose ratio is a straight line over ln value through 0 at cross, with noise that the steps of a round share
// and noise of each trial's own.
func simulated(random *rand.Rand, rounds int, cross, slope, sd float64) *results.Result {
	shared := make([]float64, rounds)
	for r := range shared {
		shared[r] = sd / 2 * random.NormFloat64()
	}
	return swept(decades, rounds, func(k, r int) float64 {
		return slope*math.Log(decades[k]/cross) + shared[r] + sd*random.NormFloat64()
	})
}

func TestIntervalsHoldTheCrossing(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates 1200 sweeps")
	}
	const runs = 300
	random := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		rounds    int
		cross, sd float64
	}{{8, 700, 0.05}, {10, 1700, 0.1}, {20, 3000, 0.1}, {10, 500, 0.2}} {
		found, held, wrong := 0, 0, 0
		for range runs {
			p := of(t, simulated(random, c.rounds, c.cross, 0.15, c.sd))
			switch p.Verdict {
			case Once:
				found++
				if k := p.Crossings[0]; k.Lo <= c.cross && c.cross <= k.Hi {
					held++
				}
				if p.Crossings[0].Below != "a" {
					wrong++
				}
			case Several, Everywhere, Alike:
				wrong++
			}
		}
		share := float64(held) / float64(max(found, 1))
		t.Logf("%d rounds, sd %v, crossing at %v: found in %d of %d, held by %.1f %% of the intervals", c.rounds, c.sd, c.cross, found, runs, 100*share)
		if found < runs/3 || share < 0.92 || wrong > runs/50 {
			t.Errorf("%d rounds, sd %v: found %d of %d, held %.3f, wrong %d: want most, 0.95 and none", c.rounds, c.sd, found, runs, share, wrong)
		}
	}
}

// Two variants that are the same: at most 5 % of the sweeps support a difference at any step, and none a crossing.
func TestNoWinnerWhereThereIsNone(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates 1000 sweeps")
	}
	const runs = 1000
	random := rand.New(rand.NewPCG(5, 6))
	somewhere, crossings := 0, 0
	for range runs {
		switch p := of(t, simulated(random, 10, 1000, 0, 0.2)); p.Verdict {
		case Somewhere, Everywhere:
			somewhere++
		case Once, Several:
			crossings++
		}
	}
	t.Logf("of %d sweeps %d support a difference, %d a crossing", runs, somewhere, crossings)
	if somewhere > runs*65/1000 || crossings > runs/200 {
		t.Errorf("of %d sweeps of the same %d support a difference and %d a crossing: want at most 5 %% and hardly any", runs, somewhere, crossings)
	}
}
