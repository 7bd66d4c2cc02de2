package compare

import (
	"math"
	"sort"

	"github.com/millrace/millrace/analysis/inference"
)

// Smallest is the smallest ratio, 0.05 for 5 %, that so many pairs of rounds would have shown with Power, in one of so many
// comparisons of a metric, where their ln ratios scatter with the standard deviation sd: by the very test whose interval
// stands beside it, at its level. Not a number below IntervalRounds.
func Smallest(sd float64, rounds, comparisons int) float64 {
	return math.Expm1(smallest(sd, rounds, confidenceOf(rounds, comparisons)))
}

// smallest is the logarithm of that, of an interval of which confidence was asked.
func smallest(sd float64, rounds int, confidence float64) float64 {
	switch {
	case rounds < IntervalRounds:
		return math.NaN()
	case reaches(rounds, confidence):
		return inference.SignedRankMDE(sd, rounds, 1-confidence, Power)
	}
	return inference.PairedTMDE(sd, rounds, 1-confidence, Power)
}

// mostRounds bounds what RoundsFor answers: more is no plan.
const mostRounds = 1_000_000

// RoundsFor is the smallest number of pairs of rounds whose Smallest is at most ratio; 0 where no number below a million
// is enough, or sd isn't known. From TierRounds on each of the comparisons is at its share of Alpha, whatever the level of
// the rounds was that sd is from.
func RoundsFor(sd, ratio float64, comparisons int) int {
	effect := math.Log1p(ratio)
	enough := func(n int) bool {
		confidence := confidenceOf(n, comparisons)
		// No test of normal values finds less than the formula of the paired t says, which takes no time to ask.
		return inference.MDE(sd, n, 1-confidence, Power) <= 1.02*effect && smallest(sd, n, confidence) <= effect
	}
	if !(effect > 0) || !enough(mostRounds) {
		return 0
	}
	// Few rounds are asked one by one: what they show doesn't shrink at every step, for both level and test may change.
	const few = 32
	for n := IntervalRounds; n < few; n++ {
		if enough(n) {
			return n
		}
	}
	return few + sort.Search(mostRounds-few, func(i int) bool { return enough(few + i) })
}

// Beyond tells whether the interval of a ratio lies wholly beyond ±Tau.
func Beyond(e inference.Estimate) bool { return e.Lo > 1+Tau || e.Hi < 1/(1+Tau) }

// Alike tells whether the interval of a ratio lies wholly within ±Tau.
func Alike(e inference.Estimate) bool { return e.Lo >= 1/(1+Tau) && e.Hi <= 1+Tau }
