package arrivals

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/scenarios"
)

// anySlot draws slots of which whole periods make a second.
func anySlot(t *rapid.T) Slot {
	of := rapid.SampledFrom([]int{2, 4, 5, 10}).Draw(t, "of")
	length := rapid.SampledFrom([]time.Duration{time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond}).Draw(t, "length")
	if of == 4 && length == 100*time.Millisecond {
		length = 125 * time.Millisecond // a turn of 400 ms does not fit a second
	}
	guard := rapid.SampledFrom([]time.Duration{0, 1, length / 50, length / 2}).Draw(t, "guard")
	return Slot{Index: rapid.IntRange(0, of-1).Draw(t, "slot"), Of: of, LengthNs: int64(length), GuardNs: int64(guard)}
}

// slottable draws a few constant, Poisson and empty phases of whole periods.
func slottable(t *rapid.T, slot Slot) *scenarios.Scenario {
	s := &scenarios.Scenario{}
	for range rapid.IntRange(1, 4).Draw(t, "phases") {
		d := time.Duration(rapid.Int64Range(1, max(1, int64(3*time.Second)/slot.PeriodNs())).Draw(t, "periods") * slot.PeriodNs())
		rate := scenarios.Rate(rapid.Float64Range(0.1, 20_000).Draw(t, "rate"))
		var a scenarios.Arrivals
		switch rapid.SampledFrom([]string{"constant", "poisson", "none"}).Draw(t, "kind") {
		case "constant":
			a.Constant = rate
		case "poisson":
			a.Poisson = rate
		}
		s.Phases = append(s.Phases, phase(d, a))
	}
	return s
}

// Each arrival keeps its number, phase and period, lies in an own slot before its guard, and is as far into it as it was into the
// period.
func TestArrivalsLieInOwnSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slot := anySlot(t)
		sc := slottable(t, slot)
		if err := slot.Check(sc); err != nil {
			t.Fatal(err)
		}
		plain := NewSchedule(sc, rapid.Uint64().Draw(t, "seed"))
		got, want := all(plain.In(slot).Cursor(0, 1)), all(plain.Cursor(0, 1))
		if len(got) != len(want) {
			t.Fatalf("%d arrivals in slots, planned %d", len(got), len(want))
		}
		var last time.Duration
		for i, a := range got {
			period := time.Duration(slot.PeriodNs())
			open := time.Duration(slot.LengthNs - slot.GuardNs)
			into := want[i].at % period * open / period
			at := want[i].at.Truncate(period) + time.Duration(slot.Index)*time.Duration(slot.LengthNs) + into
			if a.at != at || a.phase != want[i].phase || a.number != want[i].number || a.at < last {
				t.Fatalf("arrival %d: %+v after %v, want it at %v; without slots %+v", i, a, last, at, want[i])
			}
			if n := int64(a.at) / slot.LengthNs; n%int64(slot.Of) != int64(slot.Index) || !slot.Own(int64(a.at)) {
				t.Fatalf("arrival %d at %v lies in slot %d, not in one ≡ %d mod %d", i, a.at, n, slot.Index, slot.Of)
			}
			if end := slot.End(int64(a.at)); end-slot.GuardNs <= int64(a.at) || end-int64(a.at) > slot.LengthNs || !slot.Own(end-1) || slot.Own(end) {
				t.Fatalf("the slot of arrival %d at %v ends at %v", i, a.at, time.Duration(end))
			}
			last = a.at
		}
	})
}

func TestSlotsTogetherHoldWhatIsPlanned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slot := anySlot(t)
		s := NewSchedule(slottable(t, slot), rapid.Uint64().Draw(t, "seed"))
		plain := len(all(s.Cursor(0, 1)))
		stride := rapid.IntRange(1, 4).Draw(t, "stride")
		total := 0
		taken := map[int64]int{} // by slot on the axis: whose it is
		for index := range slot.Of {
			slot.Index = index
			for shard := range stride {
				for _, a := range all(s.In(slot).Cursor(shard, stride)) {
					total++
					n := int64(a.at) / slot.LengthNs
					if whose, ok := taken[n]; ok && whose != index {
						t.Fatalf("slot %d is shared by the loads %d and %d", n, whose, index)
					}
					taken[n] = index
				}
			}
		}
		if total != slot.Of*plain {
			t.Fatalf("%d arrivals of %d loads, want %d each", total, slot.Of, plain)
		}
	})
}

func TestSkipToAgreesWithNextInSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slot := anySlot(t)
		s := NewSchedule(slottable(t, slot), rapid.Uint64().Draw(t, "seed")).In(slot)
		stride := rapid.IntRange(1, 5).Draw(t, "stride")
		index := rapid.IntRange(0, stride-1).Draw(t, "index")
		fast, slow := s.Cursor(index, stride), s.Cursor(index, stride)
		edge := rapid.Custom(func(t *rapid.T) int64 { // at the edges of slots, and anywhere
			at := rapid.Int64Range(0, int64(13*time.Second)).Draw(t, "at")
			if rapid.Bool().Draw(t, "edge") {
				at = at/slot.LengthNs*slot.LengthNs + rapid.Int64Range(-1, 1).Draw(t, "off")
			}
			return max(at, 0)
		})
		times := rapid.SliceOfN(edge, 1, 20).Draw(t, "times")
		slices.Sort(times)
		for _, at := range times {
			var want int64
			for {
				next, _, ok := slow.Peek()
				if !ok || next > time.Duration(at) {
					break
				}
				_, _, _ = slow.Next()
				want++
			}
			if got := fast.SkipTo(time.Duration(at)); got != want {
				t.Fatalf("SkipTo(%v) took %d, want %d", time.Duration(at), got, want)
			}
			fastAt, _, fastOK := fast.Peek()
			slowAt, _, slowOK := slow.Peek()
			if fastOK != slowOK || fastOK && (fastAt != slowAt || fast.Number() != slow.Number()) {
				t.Fatalf("after SkipTo(%v): next at %v, want %v", time.Duration(at), fastAt, slowAt)
			}
		}
	})
}

func TestNoSlotChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSchedule(anyScenario(t), rapid.Uint64().Draw(t, "seed"))
		if !slices.Equal(all(s.Cursor(0, 1)), all(s.In(Slot{}).Cursor(0, 1))) {
			t.Fatal("the zero slot moves arrivals")
		}
	})
}

// outOf is the largest time that into does not put beyond: found by looking at all times around it.
func TestOutOfSlotInvertsInto(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slot := Slot{Of: rapid.IntRange(2, 5).Draw(t, "of"), LengthNs: rapid.Int64Range(1, 7).Draw(t, "length")}
		slot.GuardNs = rapid.Int64Range(0, slot.LengthNs/2).Draw(t, "guard")
		slot.Index = rapid.IntRange(0, slot.Of-1).Draw(t, "index")
		at := rapid.Int64Range(0, 4*slot.PeriodNs()).Draw(t, "at")
		want := int64(-1)
		for x := int64(0); x < 6*slot.PeriodNs(); x++ {
			if slot.into(x) <= at {
				want = x
			}
		}
		if got := slot.outOf(at); got != want {
			t.Fatalf("%+v: outOf(%d) = %d, want %d", slot, at, got, want)
		}
	})
}

func TestSlotRefuses(t *testing.T) {
	ms := int64(time.Millisecond)
	steady := scenarios.Arrivals{Constant: 1000}
	check := func(slot Slot, sc *scenarios.Scenario, want string) {
		t.Helper()
		if err := slot.Check(sc); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error with %q", slot, err, want)
		}
	}
	duet := Slot{Index: 1, Of: 2, LengthNs: 100 * ms}
	second := phases(phase(time.Second, steady))
	if err := duet.Check(second); err != nil {
		t.Error(err)
	}
	check(Slot{Index: 0, Of: 1, LengthNs: 100 * ms}, second, "slot.of 1: want 2 to 16")
	check(Slot{Index: 2, Of: 2, LengthNs: 100 * ms}, second, "slot.index 2: want 0 to 1")
	check(Slot{Index: 1}, second, "slot.of 0")
	check(Slot{Of: 2, LengthNs: 150 * ms}, second, "slot.length_ns 150000000")
	check(Slot{Of: 2, LengthNs: ms / 10}, second, "slot.length_ns 100000")
	check(Slot{Of: 2, LengthNs: 100 * ms, GuardNs: 51 * ms}, second, "slot.guard_ns 51000000: want 0 to half of the slot, 50000000")
	check(Slot{Of: 2, LengthNs: 100 * ms, GuardNs: -1}, second, "slot.guard_ns -1")
	check(duet, phases(phase(1100*time.Millisecond, steady)), "phases.p.for 1.1s: want a multiple of 200ms")
	for kind, a := range map[string]scenarios.Arrivals{
		"closed": {Closed: true}, "burst": {Burst: 10}, "ramp": {Ramp: scenarios.Ramp{To: 10}}, "trace": {Trace: &scenarios.Trace{}},
	} {
		check(duet, phases(phase(time.Second, a)), "phases.p.arrivals."+kind+": want constant or poisson")
	}
	push, trickle := *second, *second
	push.Protocol = scenarios.Push
	check(duet, &push, "protocol push")
	trickle.Connections.Trickle = scenarios.Duration(time.Second)
	check(duet, &trickle, "connections.trickle 1s")
	steps, opens := *second, phases(phase(time.Second, steady), phase(time.Second, scenarios.Arrivals{}))
	steps.Connections.Steps = []int{100, 200}
	check(duet, &steps, "connections.steps [100 200]: connections are opened in all slots")
	opens.Phases[1].Open = 50
	check(duet, opens, "phases.p.open 50: connections are opened in all slots")
}

func TestCursorInSlotsDoesNotAllocate(t *testing.T) {
	for _, a := range []scenarios.Arrivals{{Constant: 1e6}, {Poisson: 1e6}} {
		c := NewSchedule(phases(phase(time.Hour, a)), 1).In(Slot{Index: 1, Of: 2, LengthNs: 100_000_000}).Cursor(0, 1)
		at := time.Duration(0)
		if n := testing.AllocsPerRun(100, func() {
			_, _, _ = c.Next()
			at += time.Millisecond
			c.SkipTo(at)
		}); n > 0 {
			t.Errorf("%+v: %v allocations", a, n)
		}
	}
}
