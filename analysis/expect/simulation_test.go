package expect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/scenarios"
)

// Simulated truth: of statements that are neither more nor less than true at their edge, decided together, runs with any verdict that
// could be false are at most Alpha, whatever the noise; and what is clearly true is found.
func TestFalseVerdictsAreRare(t *testing.T) {
	runs := 2000
	if testing.Short() {
		runs = 400
	}
	list := []scenarios.Expectation{
		{Name: "equal", That: "p99(a) < p99(b)"}, {Name: "edge", That: "cpu(a) > 1us"}, {Name: "within", That: "within(cpu(b), 1.05us, 5%)"},
		{Name: "and", That: "p99(b) <= 1ms and cpu(a) <= cpu(b) / 1.1025"},
	}
	for _, noise := range []struct {
		name string
		draw func(*rand.Rand) float64
	}{
		{"normal", func(r *rand.Rand) float64 { return 0.1 * r.NormFloat64() }},
		{"heavy tails", func(r *rand.Rand) float64 { return 0.1 * r.NormFloat64() / math.Sqrt(r.ExpFloat64()+0.05) }},
		{"two states", func(r *rand.Rand) float64 { return 0.5 * math.Copysign(1, r.Float64()-0.5) * (1 + 0.1*r.Float64()) }},
	} {
		for _, rounds := range []int{6, 8, 10, 20} {
			rng := rand.New(rand.NewPCG(11, uint64(rounds)))
			wrong := 0
			for range runs {
				d := runOf(rounds, []string{"a", "b"}, func(_ int, v string) map[string]float64 {
					cpu := 1e3
					if v == "b" {
						cpu *= 1.1025 // the very edge of within, and of the ratio
					}
					return metrics(1e6*math.Exp(noise.draw(rng)), cpu*math.Exp(noise.draw(rng)))
				})
				for _, dec := range Decide(list, d, Alpha) {
					if dec.Verdict != Undecided {
						wrong++
						break
					}
				}
			}
			// Three standard errors above Alpha.
			limit := Alpha + 3*math.Sqrt(Alpha*(1-Alpha)/float64(runs))
			if share := float64(wrong) / float64(runs); share > limit {
				t.Errorf("%s, %d rounds: %.3f of the runs have a false verdict, want at most %.3f", noise.name, rounds, share, limit)
			}
		}
	}
}

// A positive control: with a scatter of 5 % ten rounds find 10 % in most runs, four statements together.
func TestClearTruthIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 1))
	found, runs := 0, 300
	var list []scenarios.Expectation
	for i := range 4 {
		list = append(list, scenarios.Expectation{Name: fmt.Sprint("e", i), That: "p99(a) * 1.1 > p99(b)"})
	}
	for range runs {
		d := runOf(10, []string{"a", "b"}, func(int, string) map[string]float64 {
			return metrics(1e6*math.Exp(0.035*rng.NormFloat64()), 1)
		})
		out := Decide(list, d, Alpha)
		if out[0].Verdict == Refuted {
			t.Error("REFUTED what is true")
		}
		if out[0].Verdict == Confirmed {
			found++
		}
	}
	if share := float64(found) / float64(runs); share < 0.9 {
		t.Errorf("found in %.2f of the runs, want 0.9", share)
	}
}
