package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
)

// Simulated truth: rounds are drawn from a world whose ratios are known, go through the whole procedure, and what it says is
// counted. Seeds are fixed, so that a failure means that the procedure has changed.

// world is how a host disturbs trials. Standard deviations are of logarithms.
type world struct {
	name string
	// own is each trial's own noise, shared that of all trials of a round, and drift the trend over a whole run.
	own, shared, drift float64
	// outliers is the share of trials that take half as long again, skew whether own noise is exponential instead of normal.
	outliers float64
	skew     bool
}

var worlds = []world{
	{name: "quiet", own: 0.02},
	{name: "drift", own: 0.02, drift: 0.3},
	{name: "outliers", own: 0.02, outliers: 0.05},
	{name: "skew", own: 0.04, skew: true},
	{name: "shared", own: 0.02, shared: 0.06},
	{name: "all", own: 0.03, shared: 0.09, drift: 0.2, outliers: 0.05, skew: true},
}

// run draws the values of variants with these true logarithms, in random order in every round.
func (w world) run(rnd *rand.Rand, truth []float64, rounds int) [][]float64 {
	values := make([][]float64, len(truth))
	for i := range values {
		values[i] = make([]float64, rounds)
	}
	n := 0.0
	for r := range rounds {
		shared := w.shared * rnd.NormFloat64()
		for _, i := range rnd.Perm(len(truth)) {
			own := w.own * rnd.NormFloat64()
			if w.skew {
				own = w.own * (rnd.ExpFloat64() - 1)
			}
			if rnd.Float64() < w.outliers {
				own += math.Log(1.5)
			}
			values[i][r] = math.Exp(truth[i] + shared + own + w.drift*n/float64(rounds*len(truth)))
			n++
		}
	}
	return values
}

// cost is a metric of which less is better.
var cost = results.Info{Name: "cpu-per-req-ns", Unit: "ns", Better: results.BetterLower}

func compared(values [][]float64) *Comparison {
	names, placed := make([]string, len(values)), make([]bool, len(values))
	for i := range names {
		names[i], placed[i] = string(rune('a'+i)), true
	}
	return Values(cost, names, values, placed, 0)
}

// share counts in how many of n simulations something is true.
func share(t *testing.T, n int, seed uint64, f func(rnd *rand.Rand) bool) float64 {
	t.Helper()
	if testing.Short() {
		t.Skip("simulations take some seconds")
	}
	hits := 0
	for i := range n {
		if f(rand.New(rand.NewPCG(seed, uint64(i)))) {
			hits++
		}
	}
	return float64(hits) / float64(n)
}

// simulations make the standard error of a share of 95 % half a point.
const simulations = 2000

func between(t *testing.T, what string, got, lo, hi float64) {
	t.Helper()
	t.Logf("%s: %.4f", what, got)
	if !(got >= lo && got <= hi) {
		t.Errorf("%s: %.4f, want %.4f to %.4f", what, got, lo, hi)
	}
}

// The interval of one ratio holds the truth as often as it says, within two points, whatever the host does.
func TestSimulatedCoverageOfOneRatio(t *testing.T) {
	for _, w := range worlds {
		for _, rounds := range []int{6, 8, 10, 20} {
			var said float64
			covered := share(t, simulations, 1, func(rnd *rand.Rand) bool {
				e := compared(w.run(rnd, []float64{0, 0.1}, rounds)).Rows[1].Ratio
				said = e.Confidence
				return e.Lo <= math.Exp(0.1) && math.Exp(0.1) <= e.Hi
			})
			between(t, w.name, covered, said-0.02, said+0.02)
			between(t, w.name+": what the interval says of itself", said, 0.95, 0.97)
		}
	}
}

// All intervals of a table hold together. At eight rounds those of six variants are exact ones, those of eight the paired t's,
// which lean on the shape of the noise: they too hold what they say within two points in every world.
func TestSimulatedCoverageOfAllRatiosTogether(t *testing.T) {
	truth := []float64{0, 0.02, -0.1, 0.3, 0, 0.05, 0.01, -0.3}
	for _, w := range worlds {
		for _, c := range []struct {
			rounds, variants int
			method           string
		}{{8, 6, inference.SignedRankMethod}, {8, 8, inference.PairedTMethod}, {10, 6, inference.SignedRankMethod}, {20, 6, inference.SignedRankMethod}} {
			all := share(t, simulations, 2, func(rnd *rand.Rand) bool {
				got := compared(w.run(rnd, truth[:c.variants], c.rounds))
				if m := got.Rows[1].Ratio.Method; m != c.method {
					t.Fatalf("%d rounds of %d variants by %s, want %s", c.rounds, c.variants, m, c.method)
				}
				return !slices.ContainsFunc(got.Rows[1:], func(r Row) bool {
					ratio := math.Exp(truth[r.Variant[0]-'a'])
					return r.Ratio.Lo > ratio || r.Ratio.Hi < ratio
				})
			})
			between(t, fmt.Sprintf("%s, %d rounds of %d", w.name, c.rounds, c.variants), all, 0.93, 1)
		}
	}
}

// Among six variants that are all the same no two are told apart, but in one run of twenty.
func TestSimulatedFalsePositives(t *testing.T) {
	for _, w := range worlds {
		for _, rounds := range []int{8, 9, 10, 20} {
			apart := share(t, simulations, 3, func(rnd *rand.Rand) bool {
				return slices.ContainsFunc(compared(w.run(rnd, make([]float64, 6), rounds)).Pairs, func(p Pair) bool { return p.Apart })
			})
			between(t, w.name, apart, 0, Alpha+0.01)
		}
		friedman := share(t, simulations, 4, func(rnd *rand.Rand) bool { return compared(w.run(rnd, make([]float64, 6), 10)).Friedman <= Alpha })
		between(t, w.name+" by Friedman", friedman, Alpha-0.02, Alpha+0.02)
	}
}

// A verdict beyond ±5 % of six rounds of the same server is false. Where the rounds scatter by much more than 5 % it is as frequent
// as the interval misses, 2 ÷ 2⁶; where they scatter less hardly ever.
func TestSimulatedVerdictsBeyondTau(t *testing.T) {
	for _, c := range []struct {
		own, lo, hi float64
	}{{0.02, 0, 0.0005}, {0.1, 0.0005, 0.006}, {0.5, 0.014, 0.032}} {
		w := world{own: c.own, shared: 0.06, drift: 0.2}
		beyond := share(t, simulations, 5, func(rnd *rand.Rand) bool { return Beyond(compared(w.run(rnd, []float64{0, 0}, 6)).Rows[1].Ratio) })
		between(t, fmt.Sprintf("beyond ±5 %%, own noise %g", c.own), beyond, c.lo, c.hi)
	}
}

// What the method promises: with a drift of the rounds three times the own noise and a shift of 1.5 standard deviations, twenty
// rounds in pairs find it nearly always, and the unpaired test hardly ever.
func TestSimulatedPowerOfPairs(t *testing.T) {
	w := world{own: 0.02, shared: 0.06}
	truth := []float64{0, 0.03}
	paired := share(t, simulations, 6, func(rnd *rand.Rand) bool { return compared(w.run(rnd, truth, 20)).Rows[1].Ratio.P <= Alpha })
	between(t, "in pairs", paired, 0.97, 1)
	unpaired := share(t, simulations, 6, func(rnd *rand.Rand) bool {
		v := w.run(rnd, truth, 20)
		return inference.Shift(logs(v[1]), logs(v[0]), 0.95).P <= Alpha
	})
	between(t, "unpaired", unpaired, 0.05, 0.30)
}

// The smallest difference that a run says it could have seen is seen in four of five cases: its interval does not hold 1.
func TestSimulatedSmallestDifference(t *testing.T) {
	const own = 0.03
	w := world{own: own, shared: 0.05}
	for _, c := range []struct{ rounds, variants int }{{6, 2}, {6, 7}, {7, 2}, {8, 2}, {8, 7}, {8, 8}, {9, 3}, {10, 2}, {20, 2}, {20, 7}, {30, 3}} {
		name := fmt.Sprintf("%d rounds of %d variants", c.rounds, c.variants)
		truth := make([]float64, c.variants)
		truth[1] = math.Log1p(Smallest(own*math.Sqrt2, c.rounds, c.variants-1))
		seen := share(t, simulations, 7, func(rnd *rand.Rand) bool { return compared(w.run(rnd, truth, c.rounds)).Rows[1].Ratio.Lo > 1 })
		between(t, name+": seen", seen, Power-0.025, Power+0.025)
	}
	// What a run says rests on the deviation of its own rounds, which is the true one in the middle.
	for _, rounds := range []int{6, 10, 20} {
		var said []float64
		for i := range 400 {
			said = append(said, compared(w.run(rand.New(rand.NewPCG(8, uint64(i))), []float64{0, 0}, rounds)).Smallest)
		}
		slices.Sort(said)
		want := Smallest(own*math.Sqrt2, rounds, 1)
		between(t, fmt.Sprintf("%d rounds: said", rounds), middle(said), 0.90*want, 1.03*want)
	}
}

// Two groups of three that are 20 % apart are two tiers; the bad ones are never said to be as good as the good ones.
func TestSimulatedTiers(t *testing.T) {
	truth := []float64{0, 0, 0, math.Log(1.2), math.Log(1.2), math.Log(1.2)}
	for _, w := range worlds[:5] {
		whole := share(t, simulations/4, 9, func(rnd *rand.Rand) bool {
			c := compared(w.run(rnd, truth, 10))
			for i, r := range c.Rows {
				if want := 1 + i/3; len(r.Tiers) != 1 || r.Tiers[0] != want {
					return false
				}
			}
			return true
		})
		least, most := 0.9, 1.0
		if w.outliers > 0 { // one outlier in ten rounds is enough to keep the exact test from any of 15 pairs
			least, most = 0.15, 0.3
		}
		between(t, w.name, whole, least, most)
		wrong := share(t, simulations/4, 10, func(rnd *rand.Rand) bool {
			return slices.ContainsFunc(compared(w.run(rnd, truth, 10)).Pairs, func(p Pair) bool {
				return p.Apart && (p.A/3 == p.B/3 || p.Ratio.Value > 1)
			})
		})
		between(t, w.name+": told apart wrongly", wrong, 0, Alpha+0.01)
	}
}

// The checks above can fail: an interval that asks for less, tests without Holm, and requests pooled over rounds are found out.
func TestSimulationFindsBrokenProcedures(t *testing.T) {
	w := worlds[5]
	narrow := share(t, simulations, 1, func(rnd *rand.Rand) bool {
		v := w.run(rnd, []float64{0, 0.1}, 10)
		var d []float64
		for r := range v[0] {
			d = append(d, math.Log(v[1][r]/v[0][r]))
		}
		e := inference.SignedRank(d, 0.90)
		return e.Lo <= 0.1 && 0.1 <= e.Hi
	})
	between(t, "an interval of 90 % is below the limit of the first test", narrow, 0.85, 0.93)
	unadjusted := share(t, simulations/4, 3, func(rnd *rand.Rand) bool {
		v := w.run(rnd, make([]float64, 6), 10)
		c := compared(v)
		return slices.ContainsFunc(c.Pairs, func(p Pair) bool {
			var d []float64
			for r := range v[0] {
				d = append(d, math.Log(v[p.A][r]/v[p.B][r]))
			}
			return inference.SignedRank(d, 0.95).P <= Alpha
		})
	})
	between(t, "15 tests without Holm are far beyond the limit", unadjusted, 0.2, 0.6)
	pooled := share(t, simulations/4, 11, func(rnd *rand.Rand) bool {
		v := w.run(rnd, []float64{0, 0.1}, 10)
		var d [2][]float64
		for i := range v {
			for _, trial := range v[i] {
				for range 50 {
					d[i] = append(d[i], math.Log(trial)+0.1*rnd.NormFloat64())
				}
			}
		}
		difference := stat.Mean(d[1], nil) - stat.Mean(d[0], nil)
		reach := 1.96 * math.Sqrt((stat.Variance(d[0], nil)+stat.Variance(d[1], nil))/500)
		return math.Abs(difference-0.1) <= reach
	})
	between(t, "requests pooled over rounds hold the truth far less often", pooled, 0.3, 0.55)
}
