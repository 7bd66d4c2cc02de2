package arrivals

import (
	"fmt"
	"math"
	"time"

	"github.com/millrace/millrace/scenarios"
)

// Slot gives a load every Of-th slot of time for its own, so that loads of several servers take turns (a duet). Time is cut
// into slots of LengthNs from the start of the first phase on; slot n is this load's where n ≡ Index (mod Of). What was due
// in a period of Of slots is due in the own one of them, Density times as dense, so that the mean rate over a period and the
// number of arrivals stay as planned. The zero value gives the load all of the time.
type Slot struct {
	Index int `json:"index"`
	// Of is how many loads take turns, 2 to 16, or 0 for none.
	Of int `json:"of"`
	// LengthNs is that of one slot, at least a millisecond. A whole number of periods makes a second, so that rates over
	// seconds stay what they are.
	LengthNs int64 `json:"length_ns"`
	// GuardNs at the end of each slot nothing is due, so that replies come before the next load's slot; up to half of it.
	GuardNs int64 `json:"guard_ns,omitempty"`
}

// Limits of a Slot. A duet has two; each more makes the rate inside a slot higher.
const (
	maxSlots      = 16
	leastSlotNs   = int64(time.Millisecond)
	slotsSecondNs = int64(time.Second)
)

// PeriodNs is the length of a turn of all loads, zero without slots.
func (s Slot) PeriodNs() int64 { return int64(s.Of) * s.LengthNs }

// Density is how many times the rate inside a slot, its guard apart, is the mean rate: 1 without slots.
func (s Slot) Density() float64 {
	if s.Of == 0 {
		return 1
	}
	return float64(s.PeriodNs()) / float64(s.openNs())
}

// openNs is the part of a slot in which requests are due.
func (s *Slot) openNs() int64 { return s.LengthNs - s.GuardNs }

// Own reports whether a time after the start of the first phase lies in one of this load's slots; always without slots.
func (s Slot) Own(at int64) bool { return s.Of == 0 || at/s.LengthNs%int64(s.Of) == int64(s.Index) }

// End is when the slot ends that a time lies in, the last time of all without slots.
func (s Slot) End(at int64) int64 {
	if s.Of == 0 {
		return math.MaxInt64
	}
	return (at/s.LengthNs + 1) * s.LengthNs
}

// Check says why a resolved scenario can't be offered in slots, nil if it can.
func (s Slot) Check(sc *scenarios.Scenario) error {
	if s == (Slot{}) {
		return nil
	}
	switch {
	case s.Of < 2 || s.Of > maxSlots:
		return fmt.Errorf("slot.of %d: want 2 to %d, or no slot at all", s.Of, maxSlots)
	case s.Index < 0 || s.Index >= s.Of:
		return fmt.Errorf("slot.index %d: want 0 to %d", s.Index, s.Of-1)
	case s.LengthNs < leastSlotNs || s.LengthNs > slotsSecondNs || slotsSecondNs%s.PeriodNs() != 0:
		return fmt.Errorf("slot.length_ns %d: want %d or more, and a second to be a whole number of turns of %d slots",
			s.LengthNs, leastSlotNs, s.Of)
	case s.GuardNs < 0 || s.GuardNs > s.LengthNs/2:
		return fmt.Errorf("slot.guard_ns %d: want 0 to half of the slot, %d", s.GuardNs, s.LengthNs/2)
	case sc.Protocol == scenarios.Push:
		return fmt.Errorf("slots with protocol %s: the server sends when it likes: want http1 or frame", sc.Protocol)
	case sc.Connections.Trickle > 0:
		return fmt.Errorf("slots with connections.trickle %v: idle connections send at any time: want none", sc.Connections.Trickle)
	case len(sc.Connections.Steps) > 0:
		return fmt.Errorf("slots with connections.steps %v: connections are opened in all slots, and the kernel's memory for them is that of all loads: want connections.count", sc.Connections.Steps)
	}
	for _, p := range sc.Phases {
		if p.Open > 0 || p.Each != "" {
			return fmt.Errorf("slots with phases.%s.open %d: connections are opened in all slots, and the kernel's memory for them is that of all loads: want connections.count", p.Name, p.Open)
		}
		if kind := unslotted(p.Arrivals); kind != "" {
			return fmt.Errorf("slots with phases.%s.arrivals.%s: want constant or poisson", p.Name, kind)
		}
		if int64(p.For)%s.PeriodNs() != 0 {
			return fmt.Errorf("slots with phases.%s.for %v: want a multiple of %v, the %d slots together", p.Name, time.Duration(p.For), time.Duration(s.PeriodNs()), s.Of)
		}
	}
	return nil
}

// unslotted names arrivals that have no mean rate to keep in a period, or are triggered by replies.
func unslotted(a scenarios.Arrivals) string {
	switch {
	case a.Closed:
		return "closed"
	case a.Burst > 0:
		return "burst"
	case a.Trace != nil:
		return "trace"
	case a.Ramp != scenarios.Ramp{}:
		return "ramp"
	}
	return ""
}

// into is when something is due that would be due at a time without slots:
//
//	into(p·P + r) = p·P + Index·L + ⌊r·(L − G) ÷ P⌋
//
// Where: P = Of·L is the period, L the length of a slot, G its guard, 0 ≤ r < P. It never goes back and stays in the period.
func (s *Slot) into(at int64) int64 {
	if s.Of == 0 {
		return at
	}
	r := at % s.PeriodNs()
	return at - r + int64(s.Index)*s.LengthNs + r*s.openNs()/s.PeriodNs()
}

// outOf is the last time without slots that into puts at or before a time; it may be negative.
func (s *Slot) outOf(at int64) int64 {
	if s.Of == 0 {
		return at
	}
	period := s.PeriodNs()
	r := at % period
	open := s.openNs()
	in := min(max(r-int64(s.Index)*s.LengthNs+1, 0), open) // how far into the own slot, and one
	return at - r + (in*period+open-1)/open - 1
}
