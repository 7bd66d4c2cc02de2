// Package inference says what a few rounds of measurements support: estimates with exact intervals, tests, corrections for many of
// them, and how small a difference could have been seen. It knows numbers only: pure functions over []float64, no I/O. Values are
// usually logarithms, so that a difference is a ratio.
//
// A value that is NaN or infinite is refused: what depends on it is NaN. Input is never changed unless a comment says so.
package inference

import (
	"math"
	"slices"
)

// Estimate is a point with an interval and a test of "no difference".
type Estimate struct {
	// Value is the estimate, in the unit of the input; NaN where there is none.
	Value float64
	// Lo and Hi bound it; NaN where there is no interval.
	Lo, Hi float64
	// Confidence is what [Lo, Hi] reaches. An exact procedure has steps: it is the smallest at or above the one asked for, or where so
	// few values can't give that, the most that they can, which is less: look at it before calling an interval by what was asked for.
	Confidence float64
	// P is the two-sided p of "no difference".
	P float64
	// N is the number of values, of both samples together where there are two.
	N int
	// Method is one of SignedRankMethod, PairedTMethod and MannWhitneyMethod.
	Method string
}

// The values of Estimate.Method.
const (
	SignedRankMethod  = "signed-rank"
	PairedTMethod     = "paired-t"
	MannWhitneyMethod = "mann-whitney"
)

// noEstimate is what is known without usable values: their number.
func noEstimate(n int, method string) Estimate {
	nan := math.NaN()
	return Estimate{Value: nan, Lo: nan, Hi: nan, Confidence: nan, P: nan, N: n, Method: method}
}

// usable tells whether there are values, and all of them finite.
func usable(x []float64) bool {
	return len(x) > 0 && !slices.ContainsFunc(x, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

// level tells whether a confidence, an alpha or a power is one: above 0 and below 1.
func level(c float64) bool { return c > 0 && c < 1 }

// midpoint of two finite values, without overflow.
func midpoint(a, b float64) float64 {
	if sum := a + b; !math.IsInf(sum, 0) {
		return sum / 2
	}
	return a/2 + b/2
}

// scaled returns x by a power of two that brings its largest magnitude below 1, and its exponent: squares and sums of extreme
// values then neither overflow nor vanish. The scaling itself is exact but for what is 2⁻¹⁰⁷⁴ of the largest.
func scaled(x []float64) (y []float64, exponent int) {
	largest := 0.0
	for _, v := range x {
		largest = max(largest, math.Abs(v))
	}
	_, exponent = math.Frexp(largest)
	y = make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Ldexp(v, -exponent)
	}
	return y, exponent
}
