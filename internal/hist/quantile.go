package hist

import (
	"math"
	"math/bits"
)

// perUnit is the resolution of quantiles: they are handled as integers of 10⁻⁹, so that ranks are exact.
const perUnit = 1_000_000_000

// minBeyond is how many requests must lie beyond a percentile for it to be printed: 100 ÷ (1−q) in all, those without an
// answer among them.
const minBeyond = 100

// Quantile is the nearest-rank quantile q of the values recorded: the largest value of the bucket that holds the
// ⌈q·n⌉-th smallest one, but at most Max. q is rounded to 10⁻⁹ and held in [0, 1]. Zero without values. It says nothing
// about whether there are enough values; Summary does.
func (h *Histogram) Quantile(q float64) int64 {
	if h.count == 0 {
		return 0
	}
	return h.valueAt(rank(parts(q), h.count))
}

// Summary returns the histogram in a few numbers. unanswered is how many requests belong to it without a latency:
// failed, timed out or unfinished. They, and values Outside, count as infinite: a percentile q is
//
//	the ⌈q·(n+u)⌉-th smallest of n values and u infinite ones
//
// Where:
//
//	n = Count
//	u = unanswered + Outside
//
// which is the "never" end of the interval that the unfinished ones leave open. It is nil where n+u < 100 ÷ (1−q), or
// where u ÷ (n+u) > 1−q, so that it would be infinite. For the same reason Max is nil where u > 0.
func (h *Histogram) Summary(unanswered int64) Summary {
	s := Summary{Count: h.Count(), Mean: h.Mean(), Outside: h.Outside()}
	if h.count > 0 && h.beyond(unanswered) == 0 {
		m := h.max
		s.Max = &m
	}
	for _, p := range []struct {
		to *(*int64)
		q  uint64 // parts of perUnit
	}{{&s.P50, 500e6}, {&s.P90, 900e6}, {&s.P95, 950e6}, {&s.P99, 990e6}, {&s.P999, 999e6}} {
		if v, ok := h.supported(p.q, unanswered); ok {
			*p.to = &v
		}
	}
	return s
}

// Point is a point of a percentile curve: Ns is the Quantile of the values.
type Point struct {
	Quantile float64 `json:"quantile"`
	Ns       int64   `json:"ns"`
}

// ticksPerHalf is the number of curve points in every halving of 1−q, HdrHistogram's default for plots.
const ticksPerHalf = 5

// Curve returns the percentile curve for an axis by nines: as in HdrHistogram's percentile distribution five points in
// every halving of 1−q, beginning at q = 0, the same for every histogram. It follows the rule of Summary for too few
// values and for unanswered requests, and ends with the last point that the rule allows.
func (h *Histogram) Curve(unanswered int64) []Point {
	var points []Point
	for half, q := uint64(perUnit/2), uint64(0); half >= ticksPerHalf; half /= 2 {
		for tick := range uint64(ticksPerHalf) {
			v, ok := h.supported(q+tick*half/ticksPerHalf, unanswered)
			if !ok {
				return points
			}
			points = append(points, Point{float64(q+tick*half/ticksPerHalf) / perUnit, v})
		}
		q += half
	}
	return points
}

// supported returns the quantile of q parts of perUnit by the rule that Summary documents.
func (h *Histogram) supported(q uint64, unanswered int64) (ns int64, ok bool) {
	all := h.count + h.beyond(unanswered)
	hi, lo := bits.Mul64(all, perUnit-q)
	if hi == 0 && lo < minBeyond*perUnit {
		return 0, false
	}
	r := rank(q, all)
	if r > h.count {
		return 0, false
	}
	return h.valueAt(r), true
}

// beyond is how many requests count as infinite: the unanswered and the values Outside.
func (h *Histogram) beyond(unanswered int64) uint64 { return uint64(max(unanswered, 0)) + h.outside }

// valueAt is the largest value of the bucket that holds the r-th smallest value, r from 1 to count, but at most max.
func (h *Histogram) valueAt(r uint64) (ns int64) {
	var seen uint64
	h.each(func(i int, n uint64) bool {
		seen += n
		ns = highOf(i)
		return seen < r
	})
	return min(ns, h.max)
}

// rank is ⌈q·n⌉ for q in parts of perUnit, at least 1.
func rank(q, n uint64) uint64 {
	hi, lo := bits.Mul64(q, n)
	quo, rem := bits.Div64(hi, lo, perUnit)
	if rem > 0 {
		quo++
	}
	return max(quo, 1)
}

func parts(q float64) uint64 { return uint64(math.Round(min(max(q, 0), 1) * perUnit)) }
