package inference

import (
	"math"
	"math/rand/v2"
	"slices"
)

// BlockBootstrap returns a percentile interval of a statistic over rounds: rounds are drawn with replacement, as many as there are, stat is
// computed of each of resamples such draws, and lo and hi are the quantiles (1−confidence)/2 and (1+confidence)/2 of what it returned.
// Whole rounds are drawn since what is measured in one belongs together.
//
// blocks is the number of rounds. stat gets their indexes, blocks of them in [0, blocks), which are valid until it returns.
// The same seed gives the same draws. Nothing is allocated per draw. One round, or a draw whose statistic is NaN, gives NaN.
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
	return quantile(values, (1-confidence)/2), quantile(values, (1+confidence)/2)
}

// quantile of sorted values: between those of rank ⌊(n+1)q⌋ and the next, so that n equally likely values cut the line into n+1 equally likely parts.
func quantile(sorted []float64, q float64) float64 {
	at := min(max(float64(len(sorted)+1)*q-1, 0), float64(len(sorted)-1))
	i := int(at)
	a, b := sorted[i], sorted[min(i+1, len(sorted)-1)]
	if a == b {
		return a
	}
	return a + (at-float64(i))*(b-a)
}
