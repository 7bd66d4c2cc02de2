package arrivals

import (
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/scenarios"
)

// anyRamp draws rates that differ by nothing, by little, by much, or of which one is zero.
func anyRamp(t *rapid.T) scenarios.Ramp {
	from := scenarios.Rate(rapid.Float64Range(0.1, 2000).Draw(t, "from"))
	switch rapid.SampledFrom([]string{"same", "near", "far", "up", "down"}).Draw(t, "ramp") {
	case "same":
		return scenarios.Ramp{From: from, To: from}
	case "near":
		return scenarios.Ramp{From: from, To: from * (1 + scenarios.Rate(rapid.SampledFrom([]float64{-1e-15, 1e-15, -1e-9, 1e-9}).Draw(t, "by")))}
	case "up":
		return scenarios.Ramp{To: from}
	case "down":
		return scenarios.Ramp{From: from}
	}
	return scenarios.Ramp{From: from, To: scenarios.Rate(rapid.Float64Range(0.1, 2000).Draw(t, "to"))}
}

// slowRamp is when arrival k of a ramp is due, in ns, found by halving the phase with 200 bits: the slow truth.
func slowRamp(r scenarios.Ramp, d time.Duration, k int64) float64 {
	number := func(v float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(v) }
	op := func() *big.Float { return new(big.Float).SetPrec(200) }
	r0, r1, length, want := number(float64(r.From)), number(float64(r.To)), number(float64(d)), number(float64(k)*1e9)
	by := func(t *big.Float) *big.Float { // Λ(t)·1e9
		square := op().Quo(op().Mul(t, t), op().Mul(number(2), length))
		return op().Add(op().Mul(r0, t), op().Mul(op().Sub(r1, r0), square))
	}
	low, high := number(0), op().Copy(length)
	for range 150 {
		mid := op().Quo(op().Add(low, high), number(2))
		if by(mid).Cmp(want) < 0 {
			low = mid
		} else {
			high = mid
		}
	}
	at, _ := high.Float64()
	return at
}

func TestRampIsDueWhenTheRateHasAddedUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRamp(t)
		scale := scenarios.Rate(rapid.SampledFrom([]float64{1, 1000, 10_000}).Draw(t, "scale"))
		r.From, r.To = r.From*scale, r.To*scale
		d := time.Duration(rapid.Int64Range(int64(10*time.Millisecond), int64(time.Hour)).Draw(t, "for"))
		a := newSpan(0, int64(d), scenarios.Arrivals{Ramp: r})
		if a.count == 0 {
			return
		}
		for _, k := range []int64{0, a.count - 1, rapid.Int64Range(0, a.count-1).Draw(t, "k")} {
			got, want := float64(a.due(k)), slowRamp(r, d, k)
			// Cut to a whole ns, and what a rounding of Λ is worth at the rate of that time, which may be next to nothing.
			rate := float64(r.From) + float64(r.To-r.From)*want/float64(d)
			slack := 0.001 + 4e-16*float64(a.count)*1e9/max(rate, 1e-3)
			if want-got > 1+slack || got-want > slack {
				t.Fatalf("%+v over %v: arrival %d of %d at %.0f ns, want %.3f", r, d, k, a.count, got, want)
			}
		}
	})
}

// The estimate of a ramp's dueBy is off by rounding only, so that no search follows it.
func TestDueByIsEstimatedToTheLastArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := int64(rapid.Int64Range(int64(10*time.Millisecond), int64(24*time.Hour)).Draw(t, "for"))
		r := anyRamp(t)
		scale := scenarios.Rate(rapid.SampledFrom([]float64{1, 1000, 10_000}).Draw(t, "scale"))
		r.From, r.To = r.From*scale, r.To*scale
		a := newSpan(0, d, scenarios.Arrivals{Ramp: r})
		at := rapid.Int64Range(0, d+10).Draw(t, "at")
		if got, want := a.estimate(at), a.dueBy(at); got < want-2 || got > want+2 {
			t.Fatalf("%+v over %v: estimate %d, truth %d", r, time.Duration(d), got, want)
		}
	})
}

// Over two billion arrivals one SkipTo must not go through them: that would take a minute and more.
func TestSkipToJumps(t *testing.T) {
	s := phases(phase(40*time.Second, scenarios.Arrivals{Ramp: scenarios.Ramp{To: 1e8}}))
	for i := range 3 {
		c := NewSchedule(s, 1).Cursor(i, 3)
		if got, want := c.SkipTo(20*time.Second), int64(500_000_000); got < want/3 || got > want/3+1 {
			t.Errorf("cursor %d of 3: %d by half time, want a third of %d", i, got, want)
		}
		if got, want := c.SkipTo(time.Minute), int64(1_500_000_000); got < want/3-1 || got > want/3+1 {
			t.Errorf("cursor %d of 3: %d after, want a third of %d", i, got, want)
		}
	}
}

// Poisson arrivals on a ramp fall into twenty equal spans as often as the rate adds up there, with the scatter of a
// Poisson count: Σ (n − Λ)²/Λ is χ² with 20 degrees of freedom, mean 20, standard deviation √40.
func TestRandomRampFollowsTheRate(t *testing.T) {
	const bins, d = 20, 10 * time.Second
	for _, r := range []scenarios.Ramp{{From: 1000, To: 20_000}, {From: 20_000}, {To: 20_000}, {From: 10_000, To: 10_000}} {
		r.Poisson = true
		var counts [bins]float64
		got := all(NewSchedule(phases(phase(d, scenarios.Arrivals{Ramp: r})), 11).Cursor(0, 1))
		for _, a := range got {
			counts[int(a.at)*bins/int(d)]++
		}
		chi := 0.0
		for i, n := range counts {
			middle := float64(r.From) + float64(r.To-r.From)*(float64(i)+0.5)/bins
			want := middle * d.Seconds() / bins
			chi += (n - want) * (n - want) / want
		}
		if math.Abs(chi-bins) > 5*math.Sqrt(2*bins) {
			t.Errorf("%+v: χ² %.1f of %d arrivals in %d spans, want %d ± %.1f", r, chi, len(got), bins, bins, math.Sqrt(2*bins))
		}
		if again := all(NewSchedule(phases(phase(d, scenarios.Arrivals{Ramp: r})), 11).Cursor(0, 1)); !slices.Equal(got, again) {
			t.Errorf("%+v: one seed, two streams", r)
		}
	}
}

// A random ramp between equal rates is the Poisson stream of that rate.
func TestLevelRandomRampIsPoisson(t *testing.T) {
	level := all(NewSchedule(phases(phase(time.Second, scenarios.Arrivals{Ramp: scenarios.Ramp{From: 5000, To: 5000, Poisson: true}})), 3).Cursor(0, 1))
	poisson := all(NewSchedule(phases(phase(time.Second, scenarios.Arrivals{Poisson: 5000})), 3).Cursor(0, 1))
	if len(level) != len(poisson) {
		t.Fatalf("%d arrivals, want %d", len(level), len(poisson))
	}
	for i := range level {
		if d := level[i].at - poisson[i].at; d < -1 || d > 1 {
			t.Fatalf("arrival %d at %v, want %v", i, level[i].at, poisson[i].at)
		}
	}
}

func TestTrace(t *testing.T) {
	s := phases(phase(time.Second, scenarios.Arrivals{Constant: 3}),
		phase(time.Second, scenarios.Arrivals{Trace: &scenarios.Trace{TimesNs: []int64{0, 5, 5, 999_999_999}}}))
	got := all(NewSchedule(s, 1).Cursor(0, 1))
	want := []arrival{{0, 0, 0}, {333_333_333, 0, 1}, {666_666_666, 0, 2}, {1e9, 1, 3}, {1e9 + 5, 1, 4}, {1e9 + 5, 1, 5}, {1_999_999_999, 1, 6}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestCursorAllocatesNothing(t *testing.T) {
	ramp := scenarios.Ramp{From: 1e6, To: 1e5}
	random := ramp
	random.Poisson = true
	s := NewSchedule(phases(phase(time.Hour, scenarios.Arrivals{Ramp: ramp}), phase(time.Hour, scenarios.Arrivals{Ramp: random})), 1)
	c := s.Cursor(0, 2)
	n := testing.AllocsPerRun(100, func() {
		_, _, _ = c.Next()
		at, _, _ := c.Peek()
		c.SkipTo(at + time.Millisecond)
	})
	c.SkipTo(time.Hour)
	if n += testing.AllocsPerRun(100, func() { _, _, _ = c.Next() }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
