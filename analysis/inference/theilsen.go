package inference

import (
	"math"
	"slices"
)

// Line is a straight line through points, y = Intercept + Slope·x, with an interval of the slope.
type Line struct {
	Slope, Intercept float64
	// Lo and Hi bound the slope with the confidence Confidence, the smallest at or above the one asked for that the
	// number of points can give, or the most that it can give.
	Lo, Hi, Confidence float64
	// N is the number of points.
	N int
}

// TheilSen fits a line to points (x[i], y[i]) whose x all differ: the slope is the median of the slopes of all pairs,
// the intercept the median of y − slope·x. The interval is Sen's: with K = n(n−1)/2 pair slopes in order, it runs from
// the (M+1)-th smallest to the (M+1)-th largest, where M is the largest number with P(T ≤ M) ≤ (1−confidence)/2.
//
// Where: T is the number of discordant pairs among n independent points, whose exact distribution is that of the
// inversions of a random permutation (the one of Kendall's tau). Source: P. K. Sen, JASA 63 (1968) 1379–1389.
//
// Four points can't give more than 1 − 2/4! = 91.7 %: then M = 0, the interval runs from the smallest to the largest
// pair slope, and Confidence says so. Fewer than two points, equal x, and values that are not finite give NaN.
func TheilSen(x, y []float64, confidence float64) Line {
	n := len(x)
	nan := math.NaN()
	line := Line{Slope: nan, Intercept: nan, Lo: nan, Hi: nan, Confidence: nan, N: n}
	if n < 2 || len(y) != n || !usable(x) || !usable(y) {
		return line
	}
	var slopes []float64
	for i := range x {
		for j := range i {
			if x[i] == x[j] {
				return line
			}
			slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
		}
	}
	slices.Sort(slopes)
	k := len(slopes)
	line.Slope = midpoint(slopes[(k-1)/2], slopes[k/2])
	rest := make([]float64, n)
	for i := range x {
		rest[i] = y[i] - line.Slope*x[i]
	}
	line.Intercept = Median(rest)

	if level(confidence) {
		m, p := senRank(n, (1-confidence)/2)
		line.Lo, line.Hi, line.Confidence = slopes[m], slopes[k-1-m], 1-2*p
	}
	return line
}

// senRank returns the largest M with P(T ≤ M) ≤ alpha and that probability; M = 0 with P(T ≤ 0) where none is so small.
func senRank(n int, alpha float64) (m int, p float64) {
	t := tail(inversions(n))
	for k := 1; k < len(t); k++ {
		t[k] += t[k-1]
	}
	return t[:(len(t)+1)/2].critical(alpha)
}

// inversions returns p with p[k] the probability that a random permutation of n has k inversions, k in [0, n(n−1)/2].
func inversions(n int) []float64 {
	p := []float64{1}
	for size := 2; size <= n; size++ {
		next := make([]float64, len(p)+size-1)
		sum := 0.0 // of the last size values of p: the next element adds 0 to size−1 inversions, each as likely
		for k := range next {
			if k < len(p) {
				sum += p[k]
			}
			if k >= size {
				sum -= p[k-size]
			}
			next[k] = max(sum, 0) / float64(size)
		}
		p = next
	}
	return p
}
