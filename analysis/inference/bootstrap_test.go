package inference

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// population is something to draw from whose mean and median are known.
type population struct {
	name         string
	draw         func(*rand.Rand) float64
	mean, median float64
}

var populations = []population{
	{"normal", (*rand.Rand).NormFloat64, 0, 0},
	{"exponential", (*rand.Rand).ExpFloat64, 1, math.Ln2},
	{"Student, 3 degrees of freedom", func(r *rand.Rand) float64 {
		squares := 0.0
		for range 3 {
			v := r.NormFloat64()
			squares += v * v
		}
		return r.NormFloat64() / math.Sqrt(squares/3)
	}, 0, 0},
	{"lognormal", func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64()) }, math.Exp(0.5), 1},
}

// bca returns the levels of Efron's bias-corrected and accelerated 95 % interval from sorted bootstrap values, the estimate, and
// the estimates without one value each (Efron, JASA 82, 1987, 171–185).
func bca(sorted []float64, estimate float64, without []float64) (lo, hi float64) {
	n, below := float64(len(sorted)), 0.0
	for _, v := range sorted {
		switch {
		case v < estimate:
			below++
		case v == estimate:
			below += 0.5
		}
	}
	bias := distuv.UnitNormal.Quantile(min(max(below/n, 1/n), 1-1/n))
	center, squares, cubes := stat.Mean(without, nil), 0.0, 0.0
	for _, v := range without {
		squares += (center - v) * (center - v)
		cubes += (center - v) * (center - v) * (center - v)
	}
	acceleration := 0.0
	if squares > 0 {
		acceleration = cubes / (6 * math.Pow(squares, 1.5))
	}
	at := func(z float64) float64 { return distuv.UnitNormal.CDF(bias + (bias+z)/(1-acceleration*(bias+z))) }
	return at(-1.959964), at(1.959964)
}

// The interval of BlockBootstrap holds the truth at least as well as its rivals. With -v it prints the table of docs/METHOD.md.
func TestBootstrapIntervalsCompared(t *testing.T) {
	const n, trials, resamples = 10, 1500, 500
	mean := func(x []float64) float64 { return stat.Mean(x, nil) }
	for _, p := range populations {
		for i, of := range []func([]float64) float64{mean, Median} {
			truth, name := [2]float64{p.mean, p.median}[i], [2]string{"mean", "median"}[i]
			random := rand.New(rand.NewPCG(1, uint64(i)))
			var plain, accelerated, expanded float64
			x, scratch, drawn, without := make([]float64, n), make([]float64, n), make([]float64, 0, resamples), make([]float64, n)
			for trial := range trials {
				for k := range x {
					x[k] = p.draw(random)
				}
				drawn = drawn[:0]
				lo, hi := BlockBootstrap(n, resamples, 0.95, uint64(trial), func(index []int) float64 {
					for k, r := range index {
						scratch[k] = x[r]
					}
					drawn = append(drawn, of(scratch))
					return drawn[len(drawn)-1]
				})
				slices.Sort(drawn)
				for k := range without {
					without[k] = of(slices.Concat(x[:k], x[k+1:]))
				}
				a, b := bca(drawn, of(slices.Clone(x)), without)
				for _, c := range []struct {
					lo, hi float64
					held   *float64
				}{
					{lo, hi, &expanded},
					{quantile(drawn, 0.025), quantile(drawn, 0.975), &plain},
					{quantile(drawn, a), quantile(drawn, b), &accelerated},
				} {
					if c.lo <= truth && truth <= c.hi {
						*c.held += 1.0 / trials
					}
				}
			}
			t.Logf("%-30s %-6s plain %.3f, BCa %.3f, expanded %.3f", p.name, name, plain, accelerated, expanded)
			if expanded < max(plain, accelerated) {
				t.Errorf("%s, %s: expanded %v, plain %v, BCa %v", p.name, name, expanded, plain, accelerated)
			}
		}
	}
}
