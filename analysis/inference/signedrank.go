package inference

import (
	"math"
	"slices"
	"sync/atomic"

	"gonum.org/v1/gonum/stat/distuv"
)

// signedRankExact is the largest number of differences whose null distribution is enumerated: n²(n+1)/2 additions, some 50 ms
// at 400.
const signedRankExact = 400

// SignedRank estimates the centre of paired differences d, which are taken to be symmetric around it, and tests whether that is 0.
//
// Value is the Hodges–Lehmann estimate, the median of the n(n+1)/2 Walsh averages (d[i]+d[j])/2, i ≤ j. The interval runs from the
// (c+1)-th smallest to the (c+1)-th largest of them, where c is the largest number with P(T ≤ c) ≤ (1−confidence)/2, and T is
// the signed-rank statistic of n differences without ties. With ties it holds at least what it says: its ends belong to it.
// Source: Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 3rd ed., sections 3.2 and 3.3.
//
// P is that of Wilcoxon's test, W⁺ = sum of the ranks of |d| over d > 0. Equal |d| share the mean of their ranks. Zeros are
// ranked with the others and then left out of the sum; dropping them first can make p of positive differences fall when one
// is lowered (the paradox of J. W. Pratt, JASA 54, 1959, 655–667). The null distribution is that of these very ranks under
// all 2^(number that is not 0) signs, so it is exact with ties as well. P is at least 2¹⁻ⁿ: 0.03125 for six, 0.00195 for ten.
//
// Above 400 differences both come from the normal approximation (tie-corrected variance, continuity correction). No values
// give NaN; one gives no interval and P = 1; all zeros give [0, 0] and P = 1. Memory and time grow with n².
func SignedRank(d []float64, confidence float64) Estimate {
	e := noEstimate(len(d), SignedRankMethod)
	if !usable(d) {
		return e
	}
	walsh := walshAverages(d)
	m := len(walsh)
	e.Value = midpoint(walsh[(m-1)/2], walsh[m/2])
	if len(d) > 1 && level(confidence) {
		c, tail := signedRankTail(len(d)).critical((1 - confidence) / 2)
		e.Lo, e.Hi, e.Confidence = walsh[c], walsh[m-1-c], 1-2*tail
	}
	e.P = signedRankP(d)
	return e
}

// walshAverages returns the means of all pairs, each value with itself included, in order.
func walshAverages(d []float64) []float64 {
	walsh := make([]float64, 0, len(d)*(len(d)+1)/2)
	for i, a := range d {
		for _, b := range d[i:] {
			walsh = append(walsh, midpoint(a, b))
		}
	}
	slices.Sort(walsh)
	return walsh
}

// signedRankP is the two-sided p of d, with midranks and Pratt's zeros.
func signedRankP(d []float64) float64 {
	size := make([]float64, len(d))
	for i, v := range d {
		size[i] = math.Abs(v)
	}
	ranks, tied := doubledRanks(size)
	kept, plus, sum := ranks[:0], 0, 0
	for i, r := range ranks {
		if d[i] == 0 {
			continue
		}
		if d[i] > 0 {
			plus += r
		}
		sum += r
		kept = append(kept, r)
	}
	w := min(plus, sum-plus)
	switch {
	case 2*w == sum: // all zeros too
		return 1
	case !tied && len(kept) == len(d):
		return min(1, 2*signedRankTail(len(d)).at(w/2))
	case len(d) > signedRankExact:
		squares := 0.0
		for _, r := range kept {
			squares += float64(r) * float64(r)
		}
		// Doubled ranks lie 2 apart where none are equal, so a step's half is 1.
		return min(1, 2*distuv.UnitNormal.CDF((float64(w)-float64(sum)/2+1)/math.Sqrt(squares/4)))
	}
	return min(1, 2*subsetTail(kept, w))
}

// subsetTail is the share of the 2^len(ranks) subsets whose sum is at most w: the signed-rank distribution by dynamic programming.
func subsetTail(ranks []int, w int) float64 {
	counts := make([]float64, w+1)
	counts[0] = 1
	reached := 0
	for _, r := range ranks {
		reached = min(reached+r, w)
		for s := reached; s >= r; s-- {
			counts[s] += counts[s-r]
		}
	}
	total := 0.0
	for _, v := range counts {
		total += v
	}
	return math.Ldexp(total, -len(ranks))
}

// tail has P(T ≤ c) of a symmetric statistic for c from 0 on, up to its middle.
type tail []float64

// at returns P(T ≤ c).
func (t tail) at(c int) float64 { return t[min(c, len(t)-1)] }

// critical returns the largest c with P(T ≤ c) ≤ alpha and that probability; c = 0 and P(T ≤ 0) where none is so small.
func (t tail) critical(alpha float64) (c int, p float64) {
	c = max(0, len(t[:upperBound(t, alpha)])-1)
	return c, t[c]
}

// upperBound returns how many of the ascending values are at most v, give or take rounding.
func upperBound(t []float64, v float64) int {
	n, _ := slices.BinarySearchFunc(t, v*(1+1e-12), func(p, v float64) int {
		if p <= v {
			return -1
		}
		return 1
	})
	return n
}

// signedRankTails keeps the distributions of few differences, which every cell of a table asks for; written once, then only read.
var signedRankTails [65]atomic.Pointer[tail]

// signedRankTail is the distribution of the signed-rank statistic of n differences without ties or zeros.
func signedRankTail(n int) tail {
	if n < len(signedRankTails) {
		if t := signedRankTails[n].Load(); t != nil {
			return *t
		}
	}
	half := n * (n + 1) / 4
	t := make(tail, half+1)
	if n > signedRankExact {
		mean, sd := float64(n)*float64(n+1)/4, math.Sqrt(float64(n)*float64(n+1)*float64(2*n+1)/24)
		for c := range t {
			t[c] = distuv.UnitNormal.CDF((float64(c) + 0.5 - mean) / sd)
		}
		return t
	}
	t[0] = 1
	reached := 0
	for r := 1; r <= n; r++ {
		reached = min(reached+r, half)
		for s := reached; s >= r; s-- {
			t[s] += t[s-r]
		}
	}
	sum := 0.0
	for c, count := range t {
		sum += count
		t[c] = math.Ldexp(sum, -n)
	}
	if n < len(signedRankTails) {
		signedRankTails[n].Store(&t)
	}
	return t
}
