package recording

import (
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/scenarios"
)

// An interval has the p99 of the replies that came in it, of each thread that got a thousand: 15 of 1000 are late here, and in
// the next interval one too few came.
func TestIntervalsHaveThePercentileOfTheirReplies(t *testing.T) {
	plan := &clients.Plan{Agents: 1, StartWhenOpen: true, Scenario: scenarios.Scenario{Connections: scenarios.Connections{Count: 1}, Phases: []scenarios.Phase{
		{Name: "steady", Load: "steady", For: scenarios.Duration(300 * time.Millisecond), Arrivals: scenarios.Arrivals{Constant: 10_000}, Measure: true},
	}}}
	rec, err := NewRecording(plan, 2)
	if err != nil {
		t.Fatal(err)
	}
	const t0 = int64(1e15)
	rec.Begin(t0)
	reply := func(r *Recorder, at, took time.Duration) {
		done := t0 + int64(at)
		due := done - int64(took)
		c := r.Due(due)
		r.Sent(c, due, due, due)
		r.Finish(c, clients.OK, due, due, due, done)
	}
	for i := range 2 {
		r := rec.Shard(i)
		r.Begin(t0)
		for n := range 1000 {
			took := 100 * time.Microsecond
			if n%64 == 63 {
				took = time.Duration(i+1) * time.Millisecond
			}
			reply(r, 5*time.Millisecond+time.Duration(n)*90*time.Microsecond, took)
		}
		r.Tick(t0+100e6, Status{Horizon: t0 + 100e6})
		for n := range 999 {
			reply(r, 101*time.Millisecond+time.Duration(n)*90*time.Microsecond, 5*time.Millisecond)
		}
		r.Tick(t0+200e6, Status{Horizon: t0 + 200e6})
		r.Close()
	}
	report, err := rec.Report(Facts{Engine: "epoll", EndNs: t0 + 300e6})
	if err != nil {
		t.Fatal(err)
	}
	near := func(got int64, want time.Duration) bool { return got >= int64(want) && got <= int64(want)*1002/1000 }
	first := report.Intervals[0].P99Ns
	slices.Sort(first)
	if len(first) != 2 || !near(first[0], time.Millisecond) || !near(first[1], 2*time.Millisecond) {
		t.Errorf("p99 of the first interval %v: want 1 ms and 2 ms of two threads", first)
	}
	if p := report.Intervals[1].P99Ns; p != nil {
		t.Errorf("p99 of 999 replies: %v", p)
	}
}
