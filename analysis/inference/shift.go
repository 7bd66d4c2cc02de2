package inference

import (
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat/combin"
	"gonum.org/v1/gonum/stat/distuv"
)

// shiftExact is the largest product of two samples' sizes whose null distribution is enumerated (50 and 50: some 20 ms with ties).
const shiftExact = 2500

// Shift estimates how far x lies above y where their values are not paired, and tests whether it does.
//
// Value is the Hodges–Lehmann estimate, the median of all differences x[i] − y[j]. The interval runs from the (c+1)-th
// smallest to the (c+1)-th largest of them, where c is the largest number with P(U ≤ c) ≤ (1−confidence)/2, and U is the
// Mann–Whitney statistic of samples of these sizes without ties. Source: Hollander, Wolfe & Chicken, Nonparametric
// Statistical Methods, 3rd ed., sections 4.2 and 4.3.
//
// P is that of the Mann–Whitney test, twice the smaller tail of the distribution of the sum of x's midranks over all choices
// of len(x) of these very ranks: exact with ties as well, where that distribution may be skewed. (go-moremath doubles the
// lower tail there, which may pass 1 and depends on which sample comes first.) Above len(x)·len(y) = 2500 both come from the
// normal approximation. An empty sample gives NaN; one value on each side no interval; all values equal [0, 0] and P = 1.
func Shift(x, y []float64, confidence float64) Estimate {
	e := noEstimate(len(x)+len(y), MannWhitneyMethod)
	if !usable(x) || !usable(y) {
		return e
	}
	apart := make([]float64, 0, len(x)*len(y))
	for _, a := range x {
		for _, b := range y {
			apart = append(apart, a-b)
		}
	}
	slices.Sort(apart)
	m := len(apart)
	e.Value = midpoint(apart[(m-1)/2], apart[m/2])
	if m > 1 && level(confidence) {
		c, tail := mannWhitneyTail(len(x), len(y)).critical((1 - confidence) / 2)
		e.Lo, e.Hi, e.Confidence = apart[c], apart[m-1-c], 1-2*tail
	}
	e.P = mannWhitneyP(x, y)
	return e
}

// mannWhitneyP is the two-sided p of the rank sum of the smaller sample, with midranks.
func mannWhitneyP(x, y []float64) float64 {
	if len(x) > len(y) {
		x, y = y, x
	}
	ranks, tied := doubledRanks(slices.Concat(x, y))
	sum, total := 0, 0
	for i, r := range ranks {
		if i < len(x) {
			sum += r
		}
		total += r
	}
	n, k := len(ranks), len(x)
	twiceU := sum - k*(k+1)
	switch {
	case !tied:
		u := twiceU / 2
		return min(1, 2*mannWhitneyTail(k, n-k).at(min(u, k*(n-k)-u)))
	case k*(n-k) > shiftExact:
		squares, mean := 0.0, float64(total)/float64(n)
		for _, r := range ranks {
			squares += (float64(r) - mean) * (float64(r) - mean)
		}
		if squares == 0 {
			return 1
		}
		sd := math.Sqrt(float64(k) * float64(n-k) / float64(n) / float64(n-1) * squares)
		return min(1, 2*distuv.UnitNormal.CDF((1-math.Abs(float64(sum)-float64(k)*mean))/sd))
	}
	largest := 0
	for _, r := range slices.Sorted(slices.Values(ranks))[n-k:] {
		largest += r
	}
	counts := rankSums(ranks, k, largest)
	below, above := 0.0, 0.0
	for s, v := range counts {
		if s <= sum {
			below += v
		}
		if s >= sum {
			above += v
		}
	}
	return min(1, 2*min(below, above)/combin.GeneralizedBinomial(float64(n), float64(k)))
}

// rankSums counts the choices of k of the ranks by their sum, up to most.
func rankSums(ranks []int, k, most int) []float64 {
	counts := make([][]float64, k+1) // counts[size][sum]
	for size := range counts {
		counts[size] = make([]float64, most+1)
	}
	counts[0][0] = 1
	reached := 0
	for i, r := range ranks {
		reached = min(reached+r, most)
		for size := min(i+1, k); size > 0; size-- {
			from, to := counts[size-1], counts[size]
			for s := reached; s >= r; s-- {
				to[s] += from[s-r]
			}
		}
	}
	return counts[k]
}

// mannWhitneyTails keeps distributions by their sizes, [2]int{smaller, larger} → tail.
var mannWhitneyTails sync.Map

// mannWhitneyTail is the distribution of the Mann–Whitney statistic of samples of m and n values without ties.
func mannWhitneyTail(m, n int) tail {
	m, n = min(m, n), max(m, n)
	half := m * n / 2
	if m*n > shiftExact {
		t := make(tail, half+1)
		mean, sd := float64(m)*float64(n)/2, math.Sqrt(float64(m)*float64(n)*float64(m+n+1)/12)
		for c := range t {
			t[c] = distuv.UnitNormal.CDF((float64(c) + 0.5 - mean) / sd)
		}
		return t
	}
	if t, ok := mannWhitneyTails.Load([2]int{m, n}); ok {
		return t.(tail)
	}
	ranks := make([]int, m+n)
	for i := range ranks {
		ranks[i] = i + 1
	}
	least := m * (m + 1) / 2
	t := tail(rankSums(ranks, m, least+half)[least:])
	all, sum := combin.GeneralizedBinomial(float64(m+n), float64(m)), 0.0
	for c, count := range t {
		sum += count
		t[c] = sum / all
	}
	mannWhitneyTails.Store([2]int{m, n}, t)
	return t
}
