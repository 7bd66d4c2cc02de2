package inference

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// BlockBootstrap returns a percentile interval of a statistic over rounds: rounds are drawn with replacement, as many as there
// are, stat is computed of each of resamples such draws, and lo and hi are the quantiles α' and 1 − α' of what it returned.
// Whole rounds are drawn since what is measured in one belongs together.
//
//	α' = Φ(−t)
//
// Where: t is the (1+confidence)/2 quantile of Student's distribution with one degree of freedom less than rounds, Φ the normal
// distribution. With α' = (1−confidence)/2 percentiles are too narrow for few rounds, as a normal interval is that takes a
// deviation from few values for the true one; Hesterberg's expanded ones, α' = Φ(−√(n/(n−1)) · t) (The American Statistician 69
// (2015) 371–386), are made for means. This α' was chosen for medians, by how far coverage is from 95 % at worst: in
// simulations of 6 to 20 rounds of four distributions it is 2.0 points, of the expanded ones 3.3, of plain ones and BCa 8.7
// (TestBootstrapIntervalsCompared). Means of skewed values are held less often than it says, whatever the interval.
//
// blocks is the number of rounds. stat gets their indexes, blocks of them in [0, blocks), which are valid until it returns.
// The same seed gives the same draws. Nothing is allocated per draw. One round, or a draw whose statistic is NaN, gives NaN.
// Few resamples reach as far as their smallest and largest: 95 % of 6 rounds takes the quantile 0.0051, so at least 196.
func BlockBootstrap(blocks, resamples int, confidence float64, seed uint64, stat func(index []int) float64) (lo, hi float64) {
	if blocks < 2 || resamples < 1 || !level(confidence) {
		return math.NaN(), math.NaN()
	}
	random := rand.New(rand.NewPCG(seed, uint64(blocks)))
	index, values := make([]int, blocks), make([]float64, resamples)
	for r := range values {
		for i := range index {
			index[i] = int(random.Uint32N(uint32(blocks)))
		}
		values[r] = stat(index)
		if math.IsNaN(values[r]) {
			return math.NaN(), math.NaN()
		}
	}
	slices.Sort(values)
	t := distuv.StudentsT{Sigma: 1, Nu: float64(blocks - 1)}.Quantile((1 + confidence) / 2)
	alpha := distuv.UnitNormal.CDF(-t)
	return quantile(values, alpha), quantile(values, 1-alpha)
}

// quantile of sorted values: between those of rank ⌊(n+1)q⌋ and the next, so that n equally likely values cut the line into
// n+1 equally likely parts.
func quantile(sorted []float64, q float64) float64 {
	at := min(max(float64(len(sorted)+1)*q-1, 0), float64(len(sorted)-1))
	i := int(at)
	a, b := sorted[i], sorted[min(i+1, len(sorted)-1)]
	if a == b {
		return a
	}
	return a + (at-float64(i))*(b-a)
}
