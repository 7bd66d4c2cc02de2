package reactor

import (
	"math"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/scenarios"
)

// With Spin a shard spins until any reply and before an arrival, but in another client's turn it does neither.
func TestLeadToSpinsInItsOwnTurn(t *testing.T) {
	duet := arrivals.Slot{Index: 1, Of: 2, LengthNs: 100e6}
	for _, c := range []struct {
		name       string
		slot       arrivals.Slot
		start      int64
		into       int64 // the phases
		spin, owed bool
		arrival    bool
		want       int64 // of 5 ms
	}{
		{"no spinning", arrivals.Slot{}, 0, 0, false, true, true, 7_000},
		{"a reply to come", arrivals.Slot{}, 0, 0, true, true, false, 5e6},
		{"an arrival to come", arrivals.Slot{}, 0, 0, true, false, true, spinNs},
		{"nothing to come", arrivals.Slot{}, 0, 0, true, false, false, 0},
		{"own turn, a reply", duet, 0, 150e6, true, true, true, 5e6},
		{"own turn, an arrival", duet, 0, 199e6, true, false, true, spinNs},
		{"the other's turn, a reply", duet, 0, 50e6, true, true, false, 0},
		{"the other's turn, an arrival", duet, 0, 99e6, true, false, true, 7_000},
		{"the other's turn again", duet, 0, 200e6, true, true, true, 7_000},
		{"before the phases", duet, math.MaxInt64, 0, true, true, false, 5e6},
	} {
		plan := &clients.Plan{Spin: c.spin, Slot: c.slot, Agents: 1, URL: "http://127.0.0.1:1/", StartWhenOpen: true, Scenario: scenarios.Scenario{
			Phases: []scenarios.Phase{{Name: "steady", Load: "steady", For: 1e9}}}}
		rec, err := recording.NewRecording(plan, 1)
		if err != nil {
			t.Fatal(err)
		}
		s := &shard{e: &Engine{plan: plan}, rec: rec.Shard(0), start: c.start, now: c.into}
		s.lead = 7_000
		if c.owed {
			s.rec.Begin(0)
			s.rec.Sent(s.rec.Due(0), 0, 0, 0)
		}
		if got := s.leadTo(s.now+5e6, c.arrival); got != c.want {
			t.Errorf("%s: %d ns, want %d", c.name, got, c.want)
		}
	}
}

// What a shard did not look for is a stall in its own turn, and in another client's only while a reply is owed.
func TestLookedSince(t *testing.T) {
	for _, c := range []struct {
		name              string
		looked, now, want int64 // ms
		slotted, owed     bool
	}{
		{"no slots", 10, 90, 10, false, false},
		{"in the own turn", 110, 150, 110, true, false},
		{"in the other's", 10, 90, 90, true, false},
		{"from the other's into the own", 10, 130, 100, true, false},
		{"from the own into the other's", 150, 250, 150, true, false},
		{"a reply is owed", 10, 90, 10, true, true},
	} {
		plan := &clients.Plan{Agents: 1, URL: "http://127.0.0.1:1/", StartWhenOpen: true, Scenario: scenarios.Scenario{
			Phases: []scenarios.Phase{{Name: "steady", Load: "steady", For: 1e9}}}}
		if c.slotted {
			plan.Slot = arrivals.Slot{Index: 1, Of: 2, LengthNs: 100e6}
		}
		rec, err := recording.NewRecording(plan, 1)
		if err != nil {
			t.Fatal(err)
		}
		s := &shard{e: &Engine{plan: plan}, rec: rec.Shard(0), looked: c.looked * 1e6, now: c.now * 1e6}
		if c.owed {
			s.rec.Begin(0)
			s.rec.Sent(s.rec.Due(0), 0, 0, 0)
		}
		if got := s.lookedSince(); got != c.want*1e6 {
			t.Errorf("%s: since %d ms, want %d", c.name, got/1e6, c.want)
		}
	}
}

// Short waits are spun through, long ones only up to what waking up takes and within the budget for it.
func TestLeadTo(t *testing.T) {
	for _, c := range []struct {
		wait    int64
		arrival bool
		led     int64 // of 1 s
		want    int64
	}{
		{10_000, true, 0, 10_000},
		{10_000, true, 900_000_000, 10_000}, // whatever was spent: sleeping would cost as much
		{10_000, false, 0, 0},               // nothing is due
		{20_000, true, 0, 7_000},
		{20_000, true, 900_000_000, 0},
	} {
		s := &shard{e: &Engine{plan: &clients.Plan{}}, now: 1_000_000_000}
		s.lead, s.led = 7_000, c.led
		if got := s.leadTo(s.now+c.wait, c.arrival); got != c.want {
			t.Errorf("%+v: %d ns", c, got)
		}
	}
}
