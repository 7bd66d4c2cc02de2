// Package arrivals says when requests are due: seeded schedules that agents and shards share without talking.
package arrivals

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/scenarios"
)

// Schedule is when requests are due: the arrivals of a resolved scenario's phases as one numbered stream. The same
// scenario and seed give the same stream on every host. A Schedule does not change and may be shared.
//
// Arrival k of a phase of length d is due, after the start of the phase, at
//
//	k ÷ R                    constant rate R, ⌊R·d⌋ arrivals
//	k · d ÷ N                burst of N, N arrivals
//	Λ⁻¹(k)                   ramp from R₀ to R₁, ⌊Λ(d)⌋ arrivals
//	tₖ                       trace, as many as it has
//	(E₀ + … + Eₖ) ÷ R        Poisson with mean rate R, as many as fall before d
//	Λ⁻¹(E₀ + … + Eₖ)         Poisson on a ramp, as many as fall before d
//
// Where: k counts from 0; Λ(t) = R₀·t + (R₁ − R₀)·t²/2d is how many are due by t on a ramp; and the E are exponential with
// mean 1, from a PCG seeded with the seed and the phase's index. That Λ⁻¹ turns a Poisson stream of rate 1 into one of
// rate Λ′ is the time change of Çinlar, Introduction to Stochastic Processes (1975), chapter 4. A closed phase has no
// arrivals.
type Schedule struct {
	spans []span
	seed  uint64
	slot  Slot
}

// rateRounding keeps ⌊R·d⌋ from losing an arrival to binary fractions, as in 0.1/s over 30 s.
const rateRounding = 1e-6

// NewSchedule returns the stream of a resolved scenario.
func NewSchedule(s *scenarios.Scenario, seed uint64) *Schedule {
	out := &Schedule{seed: seed}
	var from int64
	for _, p := range s.Phases {
		out.spans = append(out.spans, newSpan(from, from+int64(p.For), p.Arrivals))
		from += int64(p.For)
	}
	return out
}

// In returns the same stream offered in slots, which must have passed Slot.Check with its scenario.
func (s *Schedule) In(slot Slot) *Schedule {
	return &Schedule{spans: s.spans, seed: s.seed, slot: slot}
}

// beyond is more than all arrivals of all phases may be.
const beyond = 1 << 40

// Beyond is the first number for requests outside the schedule, such as those of a closed loop, that no arrival has.
func (s *Schedule) Beyond() int64 {
	for i := range s.spans {
		if s.spans[i].count != 0 {
			return beyond
		}
	}
	return 0
}

// Cursor returns a cursor over every arrival n ≡ index (mod stride): over all of them with (0, 1). So agents and shards
// share the stream without talking.
func (s *Schedule) Cursor(index, stride int) *Cursor {
	c := &Cursor{s: s, index: int64(index), stride: int64(stride), phase: -1}
	c.enter(0)
	c.load()
	return c
}

// Cursor goes through a Schedule in order of time. It is the whole queue of what is due: a request that has to wait is
// one that was not yet taken from the cursor. It has one user at a time. No method allocates.
type Cursor struct {
	s             *Schedule
	index, stride int64

	// The arrival that Next will return.
	at     int64
	phase  int
	number int64
	ok     bool

	base int64 // arrivals of the phases before this one
	k    int64 // in a counted phase: the arrival to look at next; in a Poisson phase: the one drawn next
	rng  rand.PCG
	sum  float64 // Poisson: E₀ + … + Eₖ in units of the span
}

// Next takes the next arrival: when it is due after the start of the first phase, and the index of its phase. ok is
// false after the last one.
func (c *Cursor) Next() (at time.Duration, phase int, ok bool) {
	at, phase, ok = time.Duration(c.at), c.phase, c.ok
	if ok {
		c.load()
	}
	return at, phase, ok
}

// Peek returns what Next would, and takes nothing.
func (c *Cursor) Peek() (at time.Duration, phase int, ok bool) {
	return time.Duration(c.at), c.phase, c.ok
}

// Number is the number in the whole stream of the arrival that Next would take.
func (c *Cursor) Number() int64 { return c.number }

// SkipTo takes all arrivals due at or before a time and returns how many. Unless they are random it takes the same time
// however many there are, and in a trace of n arrivals log n.
func (c *Cursor) SkipTo(at time.Duration) (taken int64) {
	for c.ok && c.at <= int64(at) {
		a := &c.s.spans[c.phase]
		if a.count > 0 {
			// c.k is one stride beyond the loaded arrival; jump to the first one that is not due.
			if due := a.dueBy(c.s.slot.outOf(int64(at))); due > c.k {
				n := (due - c.k + c.stride - 1) / c.stride
				c.k += n * c.stride
				taken += n
			}
		}
		taken++
		c.load()
	}
	return taken
}

// load finds the next arrival of this cursor.
func (c *Cursor) load() {
	for c.phase < len(c.s.spans) {
		a := &c.s.spans[c.phase]
		if a.count >= 0 {
			if c.k < a.count {
				c.at, c.number = c.s.slot.into(a.due(c.k)), c.base+c.k
				c.k += c.stride
				return
			}
			c.enter(c.base + a.count)
			continue
		}
		c.sum += c.exponential() * a.unit()
		if at := a.random(c.sum); at < a.to {
			n := c.base + c.k
			c.k++
			if n%c.stride == c.index {
				c.at, c.number = c.s.slot.into(at), n
				return
			}
			continue
		}
		c.enter(c.base + c.k)
	}
	c.ok = false
}

// enter goes to the next phase, whose first arrival has the number base.
func (c *Cursor) enter(base int64) {
	c.phase++
	c.base, c.k, c.sum = base, 0, 0
	c.ok = c.phase < len(c.s.spans)
	if !c.ok {
		return
	}
	if c.s.spans[c.phase].count >= 0 {
		c.k = ((c.index-base)%c.stride + c.stride) % c.stride
		return
	}
	c.rng.Seed(c.s.seed, uint64(c.phase))
}

// exponential draws from the exponential distribution with mean 1 by inversion: −ln(1−U), U uniform in [0, 1).
func (c *Cursor) exponential() float64 {
	return -math.Log1p(-float64(c.rng.Uint64()>>11) / (1 << 53))
}

// Divided reports whether a share of work leaves both requests that ask for it and bystanders.
func Divided(share scenarios.Percent) bool { return share > 0 && share < 100 }

// AsksForWork reports whether arrival n of a stream asks the server for work, so that a share of all do. It depends on
// the seed and n only (SplitMix64 of both).
func AsksForWork(seed uint64, n int64, share scenarios.Percent) bool {
	if share <= 0 {
		return false
	}
	z := seed + uint64(n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11)/(1<<53) < float64(share)/100
}
