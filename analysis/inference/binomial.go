package inference

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// ClopperPearson bounds a probability of which k cases in n were seen: lo is the probability for which k or more, hi that for
// which k or fewer are seen with (1−confidence)/2. Source: Clopper & Pearson, Biometrika 26 (1934) 404–413, by quantiles of
// the beta distribution. k outside [0, n], n below 1 and a confidence outside (0, 1) give NaN.
func ClopperPearson(k, n int, confidence float64) (lo, hi float64) {
	if n < 1 || k < 0 || k > n || !level(confidence) {
		return math.NaN(), math.NaN()
	}
	tail := (1 - confidence) / 2
	return 1 - binomialUpper(n-k, n, tail), binomialUpper(k, n, tail)
}

// ClopperPearsonUpper bounds the same probability from above alone, with all of 1−confidence on that side: 0 of 59 is below 5
// % with 95 %.
func ClopperPearsonUpper(k, n int, confidence float64) float64 {
	if n < 1 || k < 0 || k > n || !level(confidence) {
		return math.NaN()
	}
	return binomialUpper(k, n, 1-confidence)
}

// binomialUpper is the probability for which k or fewer in n are seen with probability alpha.
func binomialUpper(k, n int, alpha float64) float64 {
	switch k {
	case n:
		return 1
	case 0:
		return -math.Expm1(math.Log(alpha) / float64(n))
	}
	return distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(1 - alpha)
}
