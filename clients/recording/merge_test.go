package recording

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// mergeShards is how many shards make the load that is recorded twice.
const mergeShards = 4

func mergePlan(logs string) *clients.Plan {
	return &clients.Plan{
		URL: "http://127.0.0.1:1/", StartWhenOpen: true, LogDir: logs, Seed: 7, Agents: 1, Scenario: scenarios.Scenario{
			Connections: scenarios.Connections{Count: 40, Pipeline: 1},
			Phases: []scenarios.Phase{
				{Name: "warm-up", Load: "steady", For: scenarios.Duration(700 * time.Millisecond), Arrivals: scenarios.Arrivals{Constant: 8000}},
				{Name: "steady", Load: "steady", Measure: true, For: scenarios.Duration(9300 * time.Millisecond), Arrivals: scenarios.Arrivals{Constant: 9000}},
				{Name: "burst", Load: "overload", Measure: true, For: scenarios.Duration(time.Second), Arrivals: scenarios.Arrivals{Burst: 20_000}},
				{Name: "after", Load: "steady", For: scenarios.Duration(500 * time.Millisecond)},
			},
		},
	}
}

// play makes one shard's part of the load: random latencies, some outcomes of every kind, a stall, connections before and
// after T0. It depends on the shard's number and nothing else.
func play(r *Recorder, c *arrivals.Cursor, shard int) {
	rnd := rand.New(rand.NewPCG(1, uint64(shard)))
	t0 := int64(simulated)
	r.Begin(t0)
	for i := range 10 {
		r.Connected(t0-int64(1e6*(i+1)), t0-1)
	}
	r.ConnectFailed(clients.ConnectNoFiles, t0-5)
	r.Wanted += 10
	r.Lost, r.Reopened, r.Open = int64(3+shard), int64(2+shard), 9
	r.BodyBytesIn, r.BodyBytesOut = int64(100*shard), 7
	for i := range r.Slots {
		r.Slots[i] = 10
	}
	tick := t0
	ticks := func(until int64) {
		for ; tick <= until; tick += IntervalNs {
			r.Tick(tick, Status{Horizon: tick - 3e8, CPUNs: (tick - t0) / int64(4+shard), WaitedNs: 1 + (tick-t0)/100})
		}
	}
	for {
		at, _, ok := c.Next()
		if !ok {
			break
		}
		intended := t0 + int64(at)
		ticks(intended)
		sent := intended + rnd.Int64N(20_000)
		cell := r.Due(intended)
		r.Sent(cell, intended, intended-5, sent)
		o := clients.OK
		if rnd.IntN(3000) == 0 {
			o = clients.Outcome(1 + rnd.IntN(int(clients.InFlight)))
		}
		r.Finish(cell, o, intended, sent, sent, sent+rnd.Int64N(int64(1+shard)*300_000))
		if rnd.IntN(5000) == 0 {
			r.Gap(intended, intended+rnd.Int64N(30_000_000))
			r.Connected(intended-50_000, intended)
			r.ConnectFailed(clients.ConnectFailure(rnd.IntN(3)), intended)
		}
	}
	ticks(t0 + 11_500_000_000)
	r.Close()
}

func mergeFacts(shards []int) Facts {
	f := Facts{Engine: "epoll", EndNs: int64(simulated + 11500*time.Millisecond), Congestion: "cubic", Stamped: NewStamped(), Handshakes: hist.New(),
		TLS: &clients.TLSReport{Versions: map[string]int64{}, CipherSuites: map[string]int64{"x": 1}}}
	f.TLS.CipherSuites["x"] = int64(len(shards))
	for _, i := range shards {
		f.CPUSeconds++
		f.Limited += int64(i)
		f.TLS.Handshakes += 10
		f.TLS.Versions[[]string{"1.2", "1.3"}[i%2]] += 10
		for n := range int64(300) {
			f.Handshakes.Record(1000*n + int64(i))
			for _, h := range []*hist.Histogram{f.Stamped.Client, f.Stamped.Sending, f.Stamped.WireServer, f.Stamped.Receiving, f.Stamped.Response} {
				h.Record(n * int64(1+i))
			}
		}
	}
	return f
}

func mustRecording(t *testing.T, p *clients.Plan, shards int) *Recording {
	t.Helper()
	rec, err := NewRecording(p, shards)
	if err != nil {
		t.Fatal(err)
	}
	rec.Begin(int64(simulated))
	return rec
}

// inOne is the load recorded by one process.
func inOne(t *testing.T, logs string) *clients.Report {
	t.Helper()
	p := mergePlan(logs)
	rec := mustRecording(t, p, mergeShards)
	schedule := arrivals.NewSchedule(&p.Scenario, p.Seed)
	for i := range mergeShards {
		play(rec.Shard(i), schedule.Cursor(i, mergeShards), i)
	}
	r, err := rec.Report(mergeFacts([]int{0, 1, 2, 3}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// inParts is the load recorded by a process for each shard; the parts have travelled.
func inParts(t *testing.T) []*Part {
	t.Helper()
	var parts []*Part
	for i := range mergeShards {
		p := mergePlan(t.TempDir())
		p.Agent, p.Agents = i, mergeShards
		rec := mustRecording(t, p, 1)
		play(rec.Shard(0), arrivals.NewSchedule(&p.Scenario, p.Seed).Cursor(i, mergeShards), i)
		part, err := rec.Part(mergeFacts([]int{i}))
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		back := &Part{LogDir: part.LogDir}
		if err := json.Unmarshal(data, back); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, back)
	}
	return parts
}

// The same load gives the same report, whether one process recorded it or several. What may differ: the process's memory;
// what the host did meanwhile, and the verdict from it; and what tells of the processes, which only the second has.
func TestMergedPartsAreOneLoad(t *testing.T) {
	wantLogs, gotLogs := t.TempDir(), t.TempDir()
	want := inOne(t, wantLogs)
	got, err := Merge(mergePlan(gotLogs), inParts(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Agents) != mergeShards || want.Agents != nil {
		t.Errorf("%d processes told of, and %d of one: want %d and none", len(got.Agents), len(want.Agents), mergeShards)
	}
	var sum clients.AgentReport
	for i, a := range got.Agents {
		sum.Planned, sum.OK, sum.ConnectionsOpened = sum.Planned+a.Planned, sum.OK+a.OK, sum.ConnectionsOpened+a.ConnectionsOpened
		if a.Agent != i || a.ResponseP99Ns == nil {
			t.Errorf("process %d: %+v, want its own p99", i, a)
		}
	}
	if sum.Planned != want.Planned || sum.OK != want.Outcomes["ok"] || sum.ConnectionsOpened != want.ConnectionsOpened || want.ResponseNs.P999 == nil {
		t.Errorf("the processes' sum %+v: want the whole's", sum)
	}
	byName := func(r *clients.Report) map[string]validity.Check {
		m := map[string]validity.Check{}
		for _, c := range r.Checks {
			if !surroundings(c.Name) && !strings.Contains(c.Name, "retransmits") {
				m[c.Name] = c
			}
		}
		return m
	}
	a, b := byName(want), byName(got)
	if b["start skew"].State != validity.OK || b["agents' p99 spread"].Value <= 0 {
		t.Errorf("checks of the processes: %+v, %+v", b["start skew"], b["agents' p99 spread"])
	}
	delete(b, "start skew")
	delete(b, "agents' p99 spread")
	for name, c := range a {
		if !reflect.DeepEqual(c, b[name]) {
			t.Errorf("merged %+v\n  whole %+v", b[name], c)
		}
	}
	if len(a) != len(b) || len(a) < 10 {
		t.Errorf("checks %v: want %v", slices.Sorted(maps.Keys(b)), slices.Sorted(maps.Keys(a)))
	}
	for _, r := range []*clients.Report{want, got} {
		r.ClientPeakRSSBytes, r.Agents, r.Checks, r.Verdict, r.Reasons = 0, nil, nil, "", nil
	}
	if x, y := asJSON(t, want), asJSON(t, got); x != y {
		i := 0
		for i < min(len(x), len(y)) && x[i] == y[i] {
			i++
		}
		t.Errorf("reports differ at byte %d:\n  whole …%.300s\n merged …%.300s", i, x[max(0, i-100):], y[max(0, i-100):])
	}
	for _, name := range logNames {
		sameLog(t, filepath.Join(wantLogs, name), filepath.Join(gotLogs, name))
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sameLog compares logs but for the order of their lines, in which cells were complete.
func sameLog(t *testing.T, want, got string) {
	t.Helper()
	lines := func(path string) []string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all := slices.DeleteFunc(strings.Split(string(data), "\n"), func(s string) bool { return strings.HasPrefix(s, "#") })
		slices.Sort(all)
		return all
	}
	if a, b := lines(want), lines(got); !slices.Equal(a, b) || len(a) < 10 {
		t.Errorf("%s: %d lines, merged %d: want the same", filepath.Base(want), len(a), len(b))
	}
}

func TestPartsThatDoNotBelongTogether(t *testing.T) {
	check := func(want string, change func(p []*Part)) {
		t.Helper()
		parts := inParts(t)
		change(parts)
		if _, err := Merge(mergePlan(""), parts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	check("part 1 of a load: it counts from another T0, 5 ns off", func(p []*Part) { p[1].T0Ns += 5 })
	check("the plan has 4", func(p []*Part) { p[2].Surroundings = p[2].Surroundings[1:] })
	check("the plan has 13, 115 and 4", func(p []*Part) { p[3].Shards[0].Cells = nil })
	check("response.hlog", func(p []*Part) { p[0].LogDir = os.TempDir() })
	if _, err := Merge(mergePlan(""), nil); err == nil {
		t.Error("merged nothing")
	}
	late := inParts(t)
	late[2].LateNs = 6_000_000
	r, err := Merge(mergePlan(""), late)
	if err != nil || states(r)["start skew"] != validity.Fail || r.Verdict != validity.Invalid {
		t.Errorf("a process that started 6 ms late: %v, %v", r.Verdict, err)
	}
}
