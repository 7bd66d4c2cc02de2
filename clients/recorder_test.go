package clients

import (
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// simulation drives recorders by a made-up clock: requests at a constant rate, answered after a fixed time, sent by a
// client that stalls from one time to another.
type simulation struct {
	shards             int
	stallFrom, stallTo time.Duration
	serve              time.Duration
	fail               func(n int64) bool
}

const simulated = 1000 * time.Hour // T0 of all simulations

func (s simulation) run(t *testing.T) (*Report, []time.Duration) {
	t.Helper()
	plan := &Plan{
		URL: "http://127.0.0.1:1/", StartWhenOpen: true, Scenario: scenarios.Scenario{Phases: []scenarios.Phase{
			{Name: "steady", Load: "steady", Measure: true, For: scenarios.Duration(2500 * time.Millisecond), Arrivals: scenarios.Arrivals{Constant: 5000}},
			{Name: "after", Load: "steady", For: scenarios.Duration(500 * time.Millisecond)},
		}},
	}
	rec, err := NewRecording(plan, s.shards)
	if err != nil {
		t.Fatal(err)
	}
	rec.Begin(int64(simulated))
	var responses []time.Duration
	schedule := NewSchedule(&plan.Scenario, 1)
	for i := range s.shards {
		r := rec.Shard(i)
		r.Begin(int64(simulated))
		responses = append(responses, s.shard(r, schedule.Cursor(i, s.shards))...)
		r.Close()
	}
	report, err := rec.Report(Facts{EndNs: int64(simulated + 3*time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	return report, responses
}

// shard plays one shard: events in the order of time, as an engine meets them.
func (s simulation) shard(r *Recorder, c *Cursor) (responses []time.Duration) {
	type event struct {
		at, intended, sent time.Duration
		number             int64
	}
	var events []event
	for {
		number := c.Number()
		at, _, ok := c.Next()
		if !ok {
			break
		}
		sent := at
		if at >= s.stallFrom && at < s.stallTo {
			sent = s.stallTo
		}
		events = append(events, event{sent, at, sent, number}, event{sent + s.serve, at, sent, -1 - number})
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(a.at - b.at) })
	cells := map[int64]int32{}
	abs := func(d time.Duration) int64 { return int64(simulated + d) }
	tick := time.Duration(0)
	for _, e := range events {
		for ; tick <= e.at; tick += 50 * time.Millisecond {
			r.Tick(abs(tick), Status{Horizon: abs(min(e.intended, e.at))})
		}
		if e.number >= 0 {
			cells[e.number] = r.Due(abs(e.intended))
			r.Sent(cells[e.number], abs(e.intended), abs(0), abs(e.sent))
			continue
		}
		o := OK
		if n := -1 - e.number; s.fail != nil && s.fail(n) {
			o = Reset
		} else {
			responses = append(responses, e.at-e.intended)
		}
		r.Finish(cells[-1-e.number], o, abs(e.intended), abs(e.sent), abs(e.sent), abs(e.at))
	}
	for ; tick <= 3*time.Second; tick += 50 * time.Millisecond {
		r.Tick(abs(tick), Status{Horizon: abs(tick)})
	}
	return responses
}

func states(r *Report) map[string]validity.State {
	m := map[string]validity.State{}
	for _, c := range r.Checks {
		m[c.Name] = c.State
	}
	return m
}

func TestRecordersAddUp(t *testing.T) {
	for _, shards := range []int{1, 3} {
		r, responses := simulation{shards: shards, serve: time.Millisecond, fail: func(n int64) bool { return n%100 == 7 }}.run(t)
		if r.Planned != 12_500 || r.Outcomes["ok"] != 12_375 || r.Outcomes["reset"] != 125 || int(r.ResponseNs.Count) != len(responses) {
			t.Errorf("planned %d, outcomes %v, %d latencies", r.Planned, r.Outcomes, r.ResponseNs.Count)
		}
		var counts []int64
		for _, s := range r.Seconds {
			counts = append(counts, s.Count)
		}
		if !slices.Equal(counts, []int64{4950, 4950, 2475}) {
			t.Errorf("seconds hold %v", counts)
		}
		if p := r.Phases[0]; p.AchievedRPS != 4950 || *p.OfferedRPS != 5000 || p.DrainedNs != int64(2500*time.Millisecond+800*time.Microsecond) {
			t.Errorf("achieved %v of %v, drained at %v", p.AchievedRPS, *p.OfferedRPS, time.Duration(p.DrainedNs))
		}
		if r.Verdict != validity.Valid {
			t.Errorf("%s: %v", r.Verdict, r.Reasons)
		}
	}
}

func TestAStalledGeneratorShows(t *testing.T) {
	r, responses := simulation{shards: 2, stallFrom: 900 * time.Millisecond, stallTo: 1100 * time.Millisecond, serve: time.Millisecond}.run(t)
	if s := states(r); s["generator lag"] != validity.Fail || s["offered rate"] != validity.Fail || s["outcome identity"] != validity.OK {
		t.Errorf("%s: %v", r.Verdict, r.Reasons)
	}
	if got := time.Duration(*r.ResponseNs.Max); got != slices.Max(responses) || got != 201*time.Millisecond {
		t.Errorf("longest response %v, want the stall and the service", got)
	}
	if got := time.Duration(*r.ServiceNs.Max); got != time.Millisecond {
		t.Errorf("longest service %v: the stall is not the server's", got)
	}
}
