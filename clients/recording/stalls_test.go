package recording

import (
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/scenarios"
)

// Stalls that follow one another too closely to recover are one, and one that reaches over a phase's edge is cut there.
func TestStallsAreJoinedAndCut(t *testing.T) {
	second := scenarios.Duration(time.Second)
	plan := &clients.Plan{Agents: 1, StartWhenOpen: true, Scenario: scenarios.Scenario{Connections: scenarios.Connections{Count: 1}, Phases: []scenarios.Phase{
		{Name: "a", Load: "steady", For: second}, {Name: "b", Load: "steady", For: second},
	}}}
	rec, err := NewRecording(plan, 1)
	if err != nil {
		t.Fatal(err)
	}
	t0 := int64(simulated)
	rec.Begin(t0)
	r := rec.Shard(0)
	r.Begin(t0)
	gap := func(from, to time.Duration) { r.Gap(t0+int64(from), t0+int64(to)) }
	const ms = time.Millisecond
	gap(100*ms, 160*ms)
	gap(161*ms, 220*ms)  // goes on: 120 ms in all
	gap(300*ms, 301*ms)  // a batch of work
	gap(400*ms, 450*ms)  // another one
	gap(470*ms, 520*ms)  // and a third, after a rest
	gap(900*ms, 1100*ms) // 100 ms in each phase
	r.Tick(t0+11e8, Status{})
	r.Tick(t0+2e9, Status{Horizon: t0 + 2e9})
	r.Close()
	if _, err := rec.Report(Facts{EndNs: t0 + 2e9}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Duration{320 * ms, 100 * ms} {
		if got := r.flow[i].stalls.Share(1, 1e9); got != want.Seconds() {
			t.Errorf("phase %d: stalls for %v of a second, want %v", i, got, want.Seconds())
		}
	}
	// (120 − x) + (100 − x) = 10 ms: x = 105 ms, by classes of lengths about the same.
	if got := time.Duration(r.flow[0].stalls.DelayNs(0.99, 1e9)); got != 105*ms {
		t.Errorf("p99 of the delay %v, want 105 ms", got)
	}
}
