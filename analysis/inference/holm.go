package inference

import (
	"cmp"
	"math"
	"slices"
)

// Holm adjusts p values of several tests, so that rejecting where the adjusted one is at most α makes a false rejection
// among all of them in at most a share α of cases: the i-th smallest becomes the largest of (m−j+1)·p₍ⱼ₎, j ≤ i, at most 1.
// Source: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65–70.
//
// NaN is a test that was not made: it stays, and m does not count it. A value outside [0, 1] is not a p and becomes NaN.
func Holm(p []float64) []float64 {
	adjusted := make([]float64, len(p))
	var order []int
	for i, v := range p {
		adjusted[i] = math.NaN()
		if v >= 0 && v <= 1 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	largest := 0.0
	for rank, i := range order {
		largest = max(largest, min(1, float64(len(order)-rank)*p[i]))
		adjusted[i] = largest
	}
	return adjusted
}
