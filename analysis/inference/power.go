package inference

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// MDE is the smallest difference that n rounds would have shown: a two-sided test at level alpha finds it with probability power.
//
//	MDE = (t₁₋α/₂ + t_power) · sd ÷ √n
//
// Where: sd is the standard deviation of the paired differences, whose unit the result has, and t are quantiles of Student's
// distribution with n−1 degrees of freedom. Source: Bloom, Evaluation Review 19 (1995) 547–556. Fewer than two rounds, a
// negative sd, and alpha or power outside (0, 1) give NaN.
func MDE(sd float64, n int, alpha, power float64) float64 {
	if !(sd >= 0) || math.IsInf(sd, 0) || n < 2 || !level(alpha) || !level(power) {
		return math.NaN()
	}
	student := distuv.StudentsT{Sigma: 1, Nu: float64(n - 1)}
	return (student.Quantile(1-alpha/2) + student.Quantile(power)) * sd / math.Sqrt(float64(n))
}

// mostRounds bounds what RoundsFor answers: more is no plan.
const mostRounds = 1_000_000

// RoundsFor is the smallest number of rounds, at least 2, whose MDE is at most effect; 0 where a million are too few, or where
// effect is not above 0 or MDE is NaN.
func RoundsFor(sd, effect, alpha, power float64) int {
	if !(effect > 0) || !(MDE(sd, mostRounds, alpha, power) <= effect) {
		return 0
	}
	return 2 + sort.Search(mostRounds-2, func(i int) bool { return MDE(sd, 2+i, alpha, power) <= effect })
}
