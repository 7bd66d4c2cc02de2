package mechanism

import (
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/results/observed"
	"github.com/millrace/millrace/scenarios"
)

func is(n int64) *int64 { return &n }

// overload is a scenario of a burst of a second and of what follows it.
var overload = &scenarios.Scenario{Name: "burst", Phases: []scenarios.Phase{
	{Name: "burst", Load: "overload", Arrivals: scenarios.Arrivals{Burst: 2000}, Measure: true},
	{Name: "recovery", Load: "steady", Arrivals: scenarios.Arrivals{Constant: 10}, Measure: true},
}}

// aRound answers 1000 requests a second from second 1 on: the burst begins at 1 s and is drained at 3 s, over which the server
// takes cpuNs of CPU time a request, a third of it in user mode, and makes four wake-ups for ten requests.
func aRound(round int, cpuNs int64) Round {
	t := &results.Trial{
		Round: round, IntervalNs: 1e8, Metrics: map[string]float64{"p99-latency-ns": float64(cpuNs) * 1000},
		Phases: []results.Phase{
			{Name: "burst", Load: "overload", Measure: true, FromNs: 1e9, ToNs: 2e9, DrainedNs: 3e9},
			{Name: "recovery", Load: "steady", Measure: true, FromNs: 2e9, ToNs: 5e9},
		},
	}
	for i := range 50 {
		t.Intervals = append(t.Intervals, results.Interval{OK: 100 * int64(min(i/10, 1))})
	}
	var readings []results.Reading
	for at := int64(0); at <= 5e9; at += 1e8 {
		done := max(at-1e9, 0) / 1e6
		r := results.Reading{TNs: at, RSSBytes: is(1000 + done), CPUUserNs: is(done * cpuNs / 3), CPUSystemNs: is(done * cpuNs * 2 / 3)}
		if at != 1e9 { // the answer at the edge did not come
			// The server's counters are of a time 20 ms later than the reading's.
			done += 20
			r.Handled, r.AllocBytes, r.SwitchesVoluntary = is(done), is(done*64), is(done*4/10)
			r.GCCPUNs, r.GCCycles = is(0), is(0)
		}
		readings = append(readings, r)
	}
	return Round{t, readings}
}

func rowNamed(t *testing.T, rows []Row, key string) Row {
	t.Helper()
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Key == key })
	if i < 0 {
		t.Fatalf("no row %s in %+v", key, rows)
	}
	return rows[i]
}

func TestMeasured(t *testing.T) {
	rows := Measured([2][]Round{{aRound(1, 3000), aRound(2, 6000), aRound(3, 9000)}, {aRound(3, 4500), aRound(1, 6000)}}, overload)
	check := func(key string, a, b, ratio, lo, hi float64) {
		t.Helper()
		r := rowNamed(t, rows, key)
		if r.Values[0].N != 3 || r.Values[1].N != 2 || !near(r.Values[0].Median, a) || !near(r.Values[1].Median, b) {
			t.Errorf("%s: %+v, want %g and %g", key, r.Values, a, b)
		}
		if r.Ratio.N != 2 || !near(r.Ratio.Median, ratio) || !near(r.Ratio.Lo, lo) || !near(r.Ratio.Hi, hi) {
			t.Errorf("%s: ratio %+v, want %g [%g, %g]", key, r.Ratio, ratio, lo, hi)
		}
		if r.Source != "3 and 2 rounds of the run" {
			t.Errorf("%s: from %s", key, r.Source)
		}
	}
	check("cpu", 6000, 5250, 1.25, 0.5, 2) // by rounds: 6000/3000 and 4500/9000
	check("cpu-user", 2000, 1750, 1.25, 0.5, 2)
	check("p99", 6e6, 5.25e6, 1.25, 0.5, 2)
	check("alloc-bytes", 64, 64, 1, 1, 1)
	check("wakeups", 0.4, 0.4, 1, 1, 1)
	check("batch", 2.5, 2.5, 1, 1, 1)
	check("rss", 3000, 3000, 1, 1, 1) // until drained, not until the end
	if r := rowNamed(t, rows, "gc-share"); r.Values[0].Median != 0 || r.Ratio.Missing != zeroFirst {
		t.Errorf("%+v", r)
	}
	if r := rowNamed(t, rows, "involuntary"); r.Values[0].Missing != noReadings {
		t.Errorf("%+v", r)
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Key == "drain-time" }) {
		t.Error("a metric that no trial has got a row")
	}
}

// Of twenty rounds one goes the other way: by the interval the two are apart all the same. Five have none, nor has a zero.
func TestRatioFromSixRoundsOnHasAnInterval(t *testing.T) {
	rounds := func(n int, cpu func(round int) int64) (list []Round) {
		for i := range n {
			list = append(list, aRound(i+1, cpu(i)))
		}
		return list
	}
	first := func(int) int64 { return 6000 }
	second := func(i int) int64 { return 4500 + 90*int64(i) + 600*int64(i/19) } // the last is 6810
	r := rowNamed(t, Measured([2][]Round{rounds(20, first), rounds(20, second)}, overload), "cpu").Ratio
	if !(r.Confidence >= 0.95 && r.N == 20 && r.Lo > 0.8 && r.Median < 0.95 && r.Hi < 1) {
		t.Errorf("twenty rounds: %+v, want an interval below 1", r)
	}
	if r := rowNamed(t, Measured([2][]Round{rounds(6, first), rounds(6, second)}, overload), "cpu").Ratio; r.Confidence < 0.95 || !near(r.Lo, 4500.0/6000) || !near(r.Hi, 4950.0/6000) {
		t.Errorf("six rounds: %+v, want an interval from the smallest to the largest", r)
	}
	if r := rowNamed(t, Measured([2][]Round{rounds(5, first), rounds(5, second)}, overload), "cpu").Ratio; r.Confidence != 0 || r.N != 5 {
		t.Errorf("five rounds: %+v, want no interval", r)
	}
	zero := func(i int) int64 { return 6000 * int64(min(i, 1)) }
	if r := rowNamed(t, Measured([2][]Round{rounds(8, first), rounds(8, zero)}, overload), "cpu").Ratio; r.Confidence != 0 || r.Lo != 0 || r.N != 8 {
		t.Errorf("a round has 0: %+v, want no interval", r)
	}
}

func TestMeasuredOfNothing(t *testing.T) {
	for _, r := range Measured([2][]Round{}, overload) {
		if r.Values[0].N > 0 || r.Values[1].Missing == "" || r.Ratio.N > 0 {
			t.Errorf("%+v", r)
		}
	}
}

func TestCallRows(t *testing.T) {
	r := aRound(1, 1000)
	counts := func(read, wait, other int64) *observed.Record {
		at := func(ns, n int64) observed.Counts {
			return observed.Counts{TNs: ns, WireBytes: is(n * 200), Syscalls: map[string]int64{
				"read": n * read / 10, "epoll_pwait": n * wait / 20, "epoll_wait": n * wait / 20, "other": n * other / 10}}
		}
		return &observed.Record{Counts: []observed.Counts{at(0, 0), at(1e9, 0), at(2e9, 1000), at(3e9, 2000), at(4e9, 9000)}}
	}
	span := Span(r.Trial, overload)
	a := CountCalls(r.Trial, span, counts(10, 4, 1), "")
	b := CountCalls(r.Trial, span, counts(20, 1, 1), "")
	rows := CallRows([2]Calls{a, b})
	check := func(key string, first, second float64) {
		t.Helper()
		if r := rowNamed(t, rows, key); !near(r.Values[0].Median, first) || !near(r.Values[1].Median, second) || !near(r.Ratio.Median, second/first) || r.Source != OwnTrial {
			t.Errorf("%+v, want %g and %g", r, first, second)
		}
	}
	check("syscalls", 1.5, 2.2)
	check("syscall-read", 1, 2)
	check("syscall-epoll_wait", 0.4, 0.1)
	check("syscall-other", 0.1, 0.1)
	check("requests-per-epoll-wait", 2.5, 10)
	check("wire-bytes", 200, 200)
	if r := rowNamed(t, rows, "segments"); r.Values[0].N > 0 || !strings.Contains(r.Values[0].Missing, "unknown") {
		t.Errorf("%+v", r)
	}
}

// Without tracepoints there are reads and writes, and a reason for all else.
func TestCallRowsWithoutTracepoints(t *testing.T) {
	r := aRound(1, 1000)
	o := &observed.Record{Partial: "it needs root", Counts: []observed.Counts{
		{TNs: 1e9, Syscalls: map[string]int64{"syscr": 0, "syscw": 0}}, {TNs: 3e9, Syscalls: map[string]int64{"syscr": 4000, "syscw": 2000}}}}
	c := CountCalls(r.Trial, Span(r.Trial, overload), o, "")
	rows := CallRows([2]Calls{c, CountCalls(nil, nil, nil, "no trial")})
	if r := rowNamed(t, rows, "syscalls"); r.Values[0].Missing != "it needs root" || r.Values[1].Missing != "no trial" {
		t.Errorf("%+v", r)
	}
	if r := rowNamed(t, rows, "syscall-read"); !near(r.Values[0].Median, 2) || r.Values[1].Missing != "no trial" || r.Ratio.N > 0 {
		t.Errorf("%+v", r)
	}
	if r := rowNamed(t, rows, "requests-per-epoll-wait"); r.Values[0].Missing != "it needs root" {
		t.Errorf("%+v", r)
	}
}

func TestProfileSpan(t *testing.T) {
	rounds := []Round{aRound(1, 1000), aRound(2, 1000)}
	quick := overload.Clone()
	quick.Phases[0].Arrivals.Burst = 1500
	edge := func(string) (int64, int64, bool) { return 5e9, 6e9, true }
	check := func(s *scenarios.Scenario, end, to int64) {
		t.Helper()
		if got, err := ProfileSpan(rounds, overload, s, edge, end); err != nil || (got != observed.Span{FromNs: 5e9, ToNs: to}) {
			t.Errorf("%+v, %v, want until %d", got, err, to)
		}
	}
	check(overload, 20e9, 7e9)    // as long as it took to drain
	check(quick, 20e9, 6.5e9)     // of three quarters of the burst
	check(overload, 6.2e9, 6.2e9) // no longer than the trial
	if got, err := ProfileSpan(nil, overload, overload, edge, 20e9); err != nil || got.ToNs != 6e9 {
		t.Errorf("%+v, %v, want the phase where no round counts", got, err)
	}
	if _, err := ProfileSpan(nil, &scenarios.Scenario{}, overload, edge, 1); err == nil {
		t.Error("no error without a phase")
	}
}
