package inference

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Friedman tests whether any of k treatments differs from the others in n complete blocks, blocks[i][j] that of treatment j
// in block i. f is Iman and Davenport's statistic and p its upper tail under F with df1 = k−1 and df2 = (k−1)(n−1) degrees of
// freedom:
//
//	Q = (k−1) Σⱼ(Rⱼ − n(k+1)/2)² ÷ (ΣᵢΣⱼ r²ᵢⱼ − nk(k+1)²/4),  f = (n−1)Q ÷ (n(k−1) − Q)
//
// Where: rᵢⱼ is the rank of treatment j in block i, equal values sharing the mean of theirs, and Rⱼ = Σᵢ rᵢⱼ. Source:
// Conover, Practical Nonparametric Statistics, 3rd ed., section 5.8; Iman & Davenport, Communications in Statistics A9 (1980)
// 571–595.
//
// Where all blocks rank alike f is infinite and p the probability of that, (1 ÷ arrangements of one block's ranks)ⁿ⁻¹. Where
// all values of every block are equal f = 0 and p = 1. Fewer than two blocks or treatments, blocks of different lengths and
// values that are not finite give NaN.
func Friedman(blocks [][]float64) (f, df1, df2, p float64) {
	nan := math.NaN()
	if len(blocks) < 2 || len(blocks[0]) < 2 {
		return nan, nan, nan, nan
	}
	n, k := float64(len(blocks)), float64(len(blocks[0]))
	df1, df2 = k-1, (k-1)*(n-1)
	sums := make([]float64, len(blocks[0])) // of doubled ranks: all integers, so that equality is exact
	squares := 0.0
	for _, block := range blocks {
		if len(block) != len(sums) || !usable(block) {
			return nan, nan, nan, nan
		}
		ranks, _ := doubledRanks(block)
		for j, r := range ranks {
			sums[j] += float64(r)
			squares += (float64(r) - (k + 1)) * (float64(r) - (k + 1))
		}
	}
	between := 0.0
	for _, r := range sums {
		between += (r - n*(k+1)) * (r - n*(k+1))
	}
	switch {
	case squares == 0:
		return 0, df1, df2, 1
	case between == n*squares:
		return math.Inf(1), df1, df2, math.Exp(-(n - 1) * logArrangements(blocks[0]))
	}
	q := (k - 1) * between / squares
	f = (n - 1) * q / (n*(k-1) - q)
	return f, df1, df2, mathext.RegIncBeta(df2/2, df1/2, df2/(df2+df1*f))
}

// logArrangements is the logarithm of the number of different orders of the values, k! ÷ Π t! over groups of t equal ones.
func logArrangements(block []float64) float64 {
	all, _ := math.Lgamma(float64(len(block) + 1))
	equal := map[float64]int{}
	for _, v := range block {
		equal[v]++
	}
	for _, t := range equal {
		group, _ := math.Lgamma(float64(t + 1))
		all -= group
	}
	return all
}
