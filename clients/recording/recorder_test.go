package recording

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/checks"
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
	busy               bool // no connection is free until the stall is over
	connects, refused  int  // of each shard, in the measured phase; the first is before T0
}

const simulated = 1000 * time.Hour // T0 of all simulations

func (s simulation) run(t *testing.T) (*clients.Report, []time.Duration) {
	t.Helper()
	plan := &clients.Plan{
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
	schedule := arrivals.NewSchedule(&plan.Scenario, 1)
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
func (s simulation) shard(r *Recorder, c *arrivals.Cursor) (responses []time.Duration) {
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
	if s.busy {
		r.Gap(int64(simulated+s.stallFrom), int64(simulated+s.stallTo))
	}
	for i := range s.connects {
		at := int64(simulated) - int64(1-i)
		if i < s.refused {
			r.ConnectFailed(clients.ConnectFailure(i%2), at)
		} else {
			r.Connected(at-1000, at)
		}
	}
	abs := func(d time.Duration) int64 { return int64(simulated + d) }
	tick := time.Duration(0)
	for _, e := range events {
		for ; tick <= e.at; tick += 50 * time.Millisecond {
			r.Tick(abs(tick), Status{Horizon: abs(min(e.intended, e.at))})
		}
		if e.number >= 0 {
			cells[e.number] = r.Due(abs(e.intended))
			free := abs(0)
			if s.busy {
				free = abs(e.sent)
			}
			r.Sent(cells[e.number], abs(e.intended), free, abs(e.sent))
			continue
		}
		o := clients.OK
		if n := -1 - e.number; s.fail != nil && s.fail(n) {
			o = clients.Reset
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

func states(r *clients.Report) map[string]validity.State {
	m := map[string]validity.State{}
	for _, c := range r.Checks {
		m[c.Name] = c.State
	}
	return m
}

// surroundings reports whether a check looks at the real host and process, which a simulation says nothing of.
func surroundings(name string) bool {
	return strings.HasPrefix(name, "kernel drops") || name == "generator runtime" || name == "generator steal" || name == "generator throttling"
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
		// Those due in the last ms are answered after the phase.
		if a, b := r.Phases[0].AchievedRPS, r.Phases[1].AchievedRPS; a != 12_370/2.5 || b != 5/0.5 {
			t.Errorf("achieved %v and %v after: want the replies at their own time", a, b)
		}
		if p := r.Phases[0]; r.AchievedRPS != 12_375.0/3 || *p.OfferedRPS != 5000 || p.DrainedNs != int64(2500*time.Millisecond+800*time.Microsecond) {
			t.Errorf("achieved %v in all, %v offered, drained at %v", r.AchievedRPS, *p.OfferedRPS, time.Duration(p.DrainedNs))
		}
		for _, c := range r.Checks {
			if (c.State == validity.Warn || c.State == validity.Fail) && !surroundings(c.Name) {
				t.Errorf("%+v", c)
			}
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

// A client that stalls while all connections are busy reads the replies late, which makes the connections look busy
// longer: no lag shows it.
func TestAStallBehindBusyConnectionsShows(t *testing.T) {
	check := func(from, to time.Duration, want validity.State) {
		t.Helper()
		r, _ := simulation{shards: 1, stallFrom: from, stallTo: to, serve: time.Millisecond, busy: true}.run(t)
		if s := states(r); s["generator lag"] != want || *r.LagNs.Max > 1 {
			t.Errorf("stalled from %v to %v: %v, want the lag %s and none of it in figures", from, to, r.Checks, want)
		}
	}
	check(850*time.Millisecond, 1150*time.Millisecond, validity.Fail)
	check(899*time.Millisecond, 905*time.Millisecond, validity.OK) // one gap, one window
	check(700*time.Millisecond, 701*time.Millisecond, validity.OK)
}

func TestFailedConnectsCountAsInfinite(t *testing.T) {
	r, _ := simulation{shards: 1, serve: time.Millisecond, connects: 1000, refused: 200}.run(t)
	p := r.Phases[0]
	if c := p.ConnectNs; c.Count != 800 || c.Max != nil || c.P50 == nil || c.P90 != nil {
		t.Errorf("connect times of the phase %+v: want 800, a median, and no p90 with 199 of 999 refused", c)
	}
	if c := r.ConnectNs; c.Count != 800 || c.Max != nil || r.ConnectFailures != 200 {
		t.Errorf("connect times in all %+v, %d failed: want 800 and 200", c, r.ConnectFailures)
	}
	if want := map[string]int64{"refused": 100, "reset": 100}; !maps.Equal(r.ConnectFailuresByKind, want) {
		t.Errorf("failed by kind %v, want %v", r.ConnectFailuresByKind, want)
	}
}

func TestFiguresInAllAreOfMeasuredPhases(t *testing.T) {
	plan := &clients.Plan{StartWhenOpen: true, Scenario: scenarios.Scenario{Phases: []scenarios.Phase{
		{Name: "warm-up", Load: "steady", For: scenarios.Duration(time.Second), Arrivals: scenarios.Arrivals{Constant: 1}},
		{Name: "steady", Load: "steady", For: scenarios.Duration(time.Second), Arrivals: scenarios.Arrivals{Constant: 1}, Measure: true},
	}}}
	rec, err := NewRecording(plan, 1)
	if err != nil {
		t.Fatal(err)
	}
	rec.Begin(int64(simulated))
	r := rec.Shard(0)
	r.Begin(int64(simulated))
	for i, took := range []int64{5e8, 1e6} {
		at := int64(simulated) + int64(i)*1e9
		c := r.Due(at)
		r.Sent(c, at, 0, at+took/10)
		r.Finish(c, clients.OK, at, at+took/10, at+took/10, at+took)
		r.Tick(at+1e9, Status{Horizon: at + 1e9})
	}
	r.Close()
	report, err := rec.Report(Facts{EndNs: int64(simulated + 2*time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if report.Planned != 2 || report.ResponseNs.Count != 1 || *report.ResponseNs.Max != 1e6 || *report.ServiceNs.Max != 9e5 || *report.LagNs.Max != 1e5 {
		t.Errorf("planned %d, response %+v: want that of the measured one alone", report.Planned, report.ResponseNs)
	}
}

// A burst that drains into the phase after it keeps the client busy until then: 70 % of its CPU in the burst's second and
// all of it in the next are 85 %.
func TestAnOverloadIsJudgedUntilItsDrain(t *testing.T) {
	second := scenarios.Duration(time.Second)
	plan := &clients.Plan{Agents: 1, Scenario: scenarios.Scenario{Connections: scenarios.Connections{Count: 1}, Phases: []scenarios.Phase{
		{Name: "burst", Load: "overload", For: second, Arrivals: scenarios.Arrivals{Burst: 1}, Measure: true},
		{Name: "after", Load: "steady", For: second},
	}}}
	rec, err := NewRecording(plan, 1)
	if err != nil {
		t.Fatal(err)
	}
	rec.Begin(int64(simulated))
	r := rec.Shard(0)
	r.Begin(int64(simulated))
	from := int64(simulated) + rec.Timeline().Start()
	c := r.Due(from)
	r.Sent(c, from, 0, from)
	var cpu int64
	for at := int64(0); at <= 2e9; at += 5e7 {
		if at == 2e9 {
			r.Finish(c, clients.OK, from, from, from, from+at-1e6)
		}
		r.Tick(from+at, Status{Horizon: from + at, CPUNs: cpu})
		if cpu += 35e6; at >= 1e9 {
			cpu += 15e6
		}
	}
	r.Close()
	report, err := rec.Report(Facts{EndNs: from + 2e9})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range report.Checks {
		if c.Name == "generator CPU" && (c.State != validity.Warn || c.Value < 0.81 || c.Value > 0.86) {
			t.Errorf("%+v, want SUSPECT at about 85 %%", c)
		}
	}
	if states(report)["generator CPU"] == "" {
		t.Error("generator CPU was not checked")
	}
}

// A load that takes turns with another is judged by its own turns: the same CPU time and stalls are of half the time, and what
// it waits for a CPU counts in these turns only.
func TestALoadWithSlotsIsJudgedInThem(t *testing.T) {
	figures := func(slot arrivals.Slot) checks.Phase {
		plan := &clients.Plan{Agents: 1, Slot: slot, Scenario: scenarios.Scenario{Connections: scenarios.Connections{Count: 1}, Phases: []scenarios.Phase{
			{Name: "steady", Load: "steady", For: scenarios.Duration(time.Second), Arrivals: scenarios.Arrivals{Constant: 10}, Measure: true},
		}}}
		rec, err := NewRecording(plan, 1)
		if err != nil {
			t.Fatal(err)
		}
		rec.Begin(int64(simulated))
		r := rec.Shard(0)
		r.Begin(int64(simulated))
		from := int64(simulated) + rec.Timeline().Start()
		for at := int64(0); at <= 1e9; at += 5e7 {
			waited := at/1e8*1e6 + at%1e8/5e7*5e5 // 1 % of odd tenths of a second,
			if n := at / 1e8; n > 0 {
				waited += (n + 1) / 2 * 2e7 // 21 % of even ones
			}
			r.Tick(from+at, Status{Horizon: from + at, CPUNs: 1 + at/4, WaitedNs: 1 + waited})
		}
		r.Close()
		report, err := rec.Report(Facts{EndNs: from + 1e9})
		if err != nil {
			t.Fatal(err)
		}
		return rec.figures(rec.tl.First, rec.tl.End(), report)
	}
	alone, turns := figures(arrivals.Slot{}), figures(arrivals.Slot{Of: 2, LengthNs: 1e8})
	if alone.CPU < 0.2 || alone.Waited != 0.11 || alone.ThreadNs != 1e9 {
		t.Errorf("alone: CPU %v, waited %v of %d ns", alone.CPU, alone.Waited, alone.ThreadNs)
	}
	if turns.CPU != 2*alone.CPU || turns.Waited != 0.21 || turns.ThreadNs != 5e8 {
		t.Errorf("in turns: CPU %v, waited %v of %d ns, want twice %v, 0.21, and half of the time", turns.CPU, turns.Waited, turns.ThreadNs, alone.CPU)
	}
}

// What a load thread does before the load, such as opening connections, is in no window; what it does until a Tick is in the
// window that ends with it; and the lag of the last window counts as well.
func TestCPUAndLagAreInTheirWindows(t *testing.T) {
	plan := &clients.Plan{URL: "http://127.0.0.1:1/", StartWhenOpen: true, Scenario: scenarios.Scenario{Phases: []scenarios.Phase{
		{Name: "steady", Load: "steady", Measure: true, For: scenarios.Duration(300 * time.Millisecond), Arrivals: scenarios.Arrivals{Constant: 100}},
	}}}
	rec, err := NewRecording(plan, 1)
	if err != nil {
		t.Fatal(err)
	}
	at := func(ms int) int64 { return int64(simulated) + int64(ms)*1e6 }
	rec.Begin(at(0))
	r := rec.Shard(0)
	r.Begin(at(0))
	ticks := []struct {
		ms          int
		cpu, waited int64
	}{{0, 9e9, 0}, {100, 9e9 + 10e6, 1e6}, {200, 9e9 + 30e6, 3e6}, {300, 9e9 + 60e6, 6e6}}
	for _, x := range ticks {
		if x.ms == 300 {
			c := r.Due(at(290))
			r.Sent(c, at(290), 0, at(297))
			r.Finish(c, clients.OK, at(290), at(297), at(297), at(298))
		}
		r.Tick(at(x.ms), Status{Horizon: at(x.ms), CPUNs: x.cpu, WaitedNs: x.waited})
	}
	r.Close()
	if _, err := rec.Report(Facts{EndNs: at(300)}); err != nil {
		t.Fatal(err)
	}
	for i, cpu := range []int64{10e6, 20e6, 30e6} {
		if w := r.windows[i]; w.CPUNs != cpu || w.waitedNs != cpu/10 {
			t.Errorf("window %d: %d ns of CPU, %d ns waited, want %d and %d", i, w.CPUNs, w.waitedNs, cpu, cpu/10)
		}
	}
	if lag := r.windows[2].lagP99Ns; lag < 6.9e6 || lag > 7.1e6 {
		t.Errorf("lag of the last window is %d ns, want 7 ms", lag)
	}
}

// A client that overslept the end of the load has lost nothing.
func TestWhatIsDoneAfterTheEndIsInNoPhase(t *testing.T) {
	plan := &clients.Plan{URL: "http://127.0.0.1:1/", StartWhenOpen: true, Scenario: scenarios.Scenario{Phases: []scenarios.Phase{
		{Name: "steady", Load: "steady", Measure: true, For: scenarios.Duration(time.Second), Arrivals: scenarios.Arrivals{Constant: 100}},
	}}}
	rec, err := NewRecording(plan, 1)
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) int64 { return int64(simulated + d) }
	rec.Begin(at(0))
	r := rec.Shard(0)
	r.Begin(at(0))
	const late, end = 1300 * time.Millisecond, time.Second
	var cells []int32
	send := func(intended, sent time.Duration) {
		cells = append(cells, r.Due(at(intended)))
		r.Sent(cells[len(cells)-1], at(intended), at(0), at(sent))
	}
	finish := func(i int, o clients.Outcome, intended, sent, done time.Duration) {
		r.Finish(cells[i], o, at(intended), at(sent), at(sent), at(done))
	}
	for i := range 99 {
		d := time.Duration(i) * 10 * time.Millisecond
		send(d, d)
		finish(i, clients.OK, d, d, d+5*time.Millisecond)
	}
	send(990*time.Millisecond, 990*time.Millisecond)
	send(end-1, late)
	finish(99, clients.InFlight, 990*time.Millisecond, 990*time.Millisecond, end)
	finish(100, clients.InFlight, end-1, late, end)
	r.Tick(at(late), Status{Horizon: at(late)})
	r.Close()
	report, err := rec.Report(Facts{EndNs: at(end)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range report.Checks {
		if strings.HasPrefix(c.Name, "bookkeeping") && (c.State != validity.OK || c.Value > 1e-9) {
			t.Errorf("%+v, want no difference", c)
		}
	}
}
