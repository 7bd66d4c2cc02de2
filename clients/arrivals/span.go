package arrivals

import (
	"math"
	"sort"

	"github.com/millrace/millrace/scenarios"
)

// span is the arrivals of one phase. Times are ns after the first phase's start, rates per ns.
type span struct {
	from, to int64
	count    int64   // -1: random
	periodNs float64 // mean distance of constant, burst and Poisson; zero otherwise
	ramp     *ramp
	times    []int64 // of a trace, after from; shared with the scenario
}

func newSpan(from, to int64, v scenarios.Arrivals) span {
	a := span{from: from, to: to}
	length := float64(to - from)
	switch {
	case v.Constant > 0:
		a.periodNs = 1e9 / float64(v.Constant)
		a.count = int64(math.Floor(float64(v.Constant)*length/1e9 + rateRounding))
	case v.Burst > 0:
		a.periodNs, a.count = length/float64(v.Burst), int64(v.Burst)
	case v.Poisson > 0:
		a.periodNs, a.count = 1e9/float64(v.Poisson), -1
	case v.Ramp != scenarios.Ramp{}:
		a.ramp = newRamp(float64(v.Ramp.From)/1e9, float64(v.Ramp.To)/1e9, length)
		if a.count = -1; !v.Ramp.Poisson {
			a.count = int64(math.Floor(a.ramp.total + rateRounding))
		}
	case v.Trace != nil:
		a.times, a.count = v.Trace.TimesNs, int64(len(v.Trace.TimesNs))
	}
	return a
}

// due is when arrival k of a counted span is.
func (a *span) due(k int64) int64 {
	switch {
	case a.times != nil:
		return a.from + a.times[k]
	case a.ramp != nil:
		return a.from + int64(a.ramp.inverse(float64(k)))
	}
	return a.from + int64(float64(k)*a.periodNs)
}

// dueBy is how many arrivals of a counted span are due at or before a time.
func (a *span) dueBy(at int64) int64 {
	if at < a.from {
		return 0
	}
	if a.times != nil {
		return int64(sort.Search(len(a.times), func(k int) bool { return a.from+a.times[k] > at }))
	}
	n := a.estimate(at)
	for n < a.count && a.due(n) <= at {
		n++
	}
	for n > 0 && a.due(n-1) > at {
		n--
	}
	return n
}

// estimate is dueBy but for rounding, at a time not before the span.
func (a *span) estimate(at int64) int64 {
	if a.ramp == nil {
		return min(int64(float64(at-a.from)/a.periodNs)+1, a.count)
	}
	return min(int64(a.ramp.by(float64(at-a.from)))+1, a.count)
}

// unit is the mean distance of random arrivals in what random sums up: ns, or arrivals of rate 1 on a ramp.
func (a *span) unit() float64 {
	if a.ramp != nil {
		return 1
	}
	return a.periodNs
}

// random is when the arrival of a Poisson span is whose distances from its start on add up to a sum. It is not before the
// span's end if that arrival falls beyond it.
func (a *span) random(sum float64) int64 {
	if a.ramp == nil {
		return a.from + int64(sum)
	}
	if sum >= a.ramp.total {
		return a.to
	}
	return min(a.from+int64(a.ramp.inverse(sum)), a.to-1)
}

// ramp is a rate that goes evenly from r0 to r1 over a length. Rates are per ns, times are ns after its start.
type ramp struct {
	r0, r1, length float64
	total          float64 // Λ(length)
}

func newRamp(r0, r1, length float64) *ramp {
	return &ramp{r0: r0, r1: r1, length: length, total: (r0 + r1) / 2 * length}
}

// by is Λ(t): how many arrivals are due by a time.
func (r *ramp) by(t float64) float64 {
	if t >= r.length {
		return r.total
	}
	return t * (r.r0 + (r.r1-r.r0)*t/(2*r.length))
}

// inverse is Λ⁻¹: when so many are due. It solves (R₁−R₀)/2d·t² + R₀·t − k = 0 in the form that has neither a division by
// R₁ − R₀ nor a difference of near numbers,
//
//	t = 2k ÷ (R₀ + √(R₀² + 2k·(R₁−R₀)/d))
//
// and, where the rate falls, the same from the end on. k ÷ R comes out for R₀ = R₁ = R.
func (r *ramp) inverse(k float64) float64 {
	if k <= 0 {
		return 0
	}
	if r.r1 >= r.r0 {
		return 2 * k / (r.r0 + math.Sqrt(r.r0*r.r0+2*k*(r.r1-r.r0)/r.length))
	}
	left := r.total - k
	if left <= 0 {
		return r.length
	}
	return r.length - 2*left/(r.r1+math.Sqrt(r.r1*r.r1+2*left*(r.r0-r.r1)/r.length))
}
