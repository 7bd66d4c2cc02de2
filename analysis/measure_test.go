package analysis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

func ptr(v int64) *int64 { return &v }

// p99s is a second's summary with enough samples for a p99.
func p99s(ns int64) hist.Summary { return hist.Summary{Count: 10000, P50: ptr(ns / 2), P99: ptr(ns)} }

func named(t *testing.T, name string, set ...string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Apply(set); err != nil {
		t.Fatal(err)
	}
	if s, err = s.Resolve(); err != nil {
		t.Fatal(err)
	}
	return s
}

// timeline makes a trial whose phases are the scenario's, with good replies at rate(t) a second, t in seconds.
func timeline(s *scenarios.Scenario, rate func(at float64) float64) *results.Trial {
	t := &results.Trial{IntervalNs: 1e8, Outcomes: map[string]int64{}}
	at := int64(s.ConnectFor())
	for _, p := range s.Phases {
		t.Phases = append(t.Phases, results.Phase{Name: p.Name, Load: p.Load, Measure: p.Measure, FromNs: at, ToNs: at + int64(p.For)})
		at += int64(p.For)
	}
	for i := int64(0); i*1e8 < at; i++ {
		n := int64(rate(float64(i)/10) / 10)
		t.Intervals = append(t.Intervals, results.Interval{Planned: n, OK: n})
	}
	return t
}

func want(t *testing.T, trial *results.Trial, name string, value, tolerance float64) {
	t.Helper()
	got, ok := trial.Metrics[name]
	if !ok {
		t.Errorf("%s is missing; notes: %v", name, trial.Notes)
		return
	}
	near(t, name, got, value, tolerance)
	if _, known := results.Metric(name); !known {
		t.Errorf("%s is not in results.Metrics", name)
	}
}

func absent(t *testing.T, trial *results.Trial, name string) {
	t.Helper()
	if v, ok := trial.Metrics[name]; ok {
		t.Errorf("%s = %v, want none", name, v)
	}
}

// noted checks that a note of the trial says so.
func noted(t *testing.T, trial *results.Trial, text string) {
	t.Helper()
	if !strings.Contains(strings.Join(trial.Notes, "\n"), text) {
		t.Errorf("notes %q: want %q in them", trial.Notes, text)
	}
}

// The burst scenario: connect 0–3 s, warmup –6, baseline –11, burst –12, recovery –32. The server costs 20 µs a request
// before and 25 µs after, holds 50 MB before, 300 MB at 12 s, and gives back half of the rise at 14 s; it drains at 16 s.
func burstTrial(s *scenarios.Scenario) (*results.Trial, []results.Reading) {
	t := timeline(s, func(at float64) float64 {
		if at >= 11 && at < 16 {
			return 210000
		}
		return 10000
	})
	t.Phases[1].Response = hist.Summary{Count: 50000, P50: ptr(80e3), P99: ptr(200e3)}
	t.Phases[2].Response = hist.Summary{Count: 1000000, P50: ptr(2e9), P99: ptr(4e9), P999: ptr(45e8), Max: ptr(5e9)}
	t.Phases[2].DrainedNs = 16e9
	t.Phases[2].AchievedRPS = 1_000_000
	t.Phases[2].Planned, t.Phases[2].Outcomes = 1_000_000, map[string]int64{"ok": 1_000_000}
	for i := range 32 {
		switch ns := int64(200e3); {
		case i >= 11 && i < 18:
			t.SecondsNs = append(t.SecondsNs, p99s(3e9))
		case i == 20:
			t.SecondsNs = append(t.SecondsNs, p99s(ns*3)) // one bad window after two good ones
		default:
			t.SecondsNs = append(t.SecondsNs, p99s(ns))
		}
	}
	var readings []results.Reading
	cpu := int64(0)
	for ns := int64(0); ns <= 32e9; ns += 1e8 {
		rss := int64(50e6)
		switch {
		case ns >= 12e9 && ns < 14e9:
			rss = 300e6
		case ns >= 14e9:
			rss = 150e6
		}
		readings = append(readings, results.Reading{
			TNs: ns, RSSBytes: ptr(rss), Goroutines: ptr(10000), StackBytes: ptr(2e6), SocketBytes: ptr(4e6),
			CPUUserNs: ptr(cpu), CPUSystemNs: ptr(0), GCCPUNs: ptr(cpu / 10), SamplerCPUNs: ptr(ns / 200),
		})
		if ns < 11e9 {
			cpu += 1000 * 20e3
		} else {
			cpu += 1000 * 25e3
		}
	}
	return t, readings
}

func TestBurst(t *testing.T) {
	s := named(t, "burst")
	trial, readings := burstTrial(s)
	Measure(trial, readings, s)
	want(t, trial, "drain-time-ns", 5e9, 0)
	want(t, trial, "goodput-rps", 210000, 1)
	want(t, trial, "achieved-rps", 210000, 1) // what came in that second, not what was due in it
	want(t, trial, "p99-latency-ns", 4e9, 0)
	want(t, trial, "p99_9-latency-ns", 45e8, 0)
	want(t, trial, "baseline-p99-latency-ns", 200e3, 0)
	want(t, trial, "recover-p99-ns", 6e9, 0) // windows 18 and 19 are good: 18 − 12
	want(t, trial, "before-RSS-bytes", 50e6, 0)
	want(t, trial, "peak-RSS-bytes", 300e6, 0)
	want(t, trial, "residue-1s-RSS-bytes", 250e6, 0)
	want(t, trial, "residue-10s-RSS-bytes", 100e6, 0)
	want(t, trial, "residue-20s-RSS-bytes", 100e6, 0)
	want(t, trial, "half-life-RSS-ns", 2e9, 0)
	want(t, trial, "residue-RSS-bytes", 100e6, 0)
	want(t, trial, "residue-10s-goroutines", 0, 0)
	want(t, trial, "baseline-cpu-per-req-ns", 20e3, 1)
	want(t, trial, "recovery-cpu-per-req-ns", 25e3, 1)
	want(t, trial, "gc-share", 0.1, 1e-6)
	want(t, trial, "sampler-cpu-share", 0.005, 1e-6)
	absent(t, trial, "residue-60s-RSS-bytes") // the recovery is too short for it
}

// The base load that came due during the drain is worked off behind the burst: until then a request's cost is that of a
// saturated server.
func TestBurstWhoseBacklogOutlivesIt(t *testing.T) {
	s := named(t, "burst")
	trial, readings := burstTrial(s)
	trial.Intervals[120].Planned += 90_000 // due while the burst drains
	trial.Intervals[290].OK += 90_000      // until 29 s
	Measure(trial, readings, s)
	want(t, trial, "recovery-cpu-per-req-ns", 25e3, 1) // of 30.1 s to 32 s, not of the 115 000 replies since 17 s
	trial.Intervals[290].OK -= 90_000
	Measure(trial, readings, s)
	absent(t, trial, "recovery-cpu-per-req-ns")
}

func TestBurstThatNeverDrains(t *testing.T) {
	s := named(t, "burst")
	trial, readings := burstTrial(s)
	trial.Phases[2].DrainedNs = 0
	trial.Phases[2].Outcomes = map[string]int64{"unsent": 7}
	for i := 11; i < 32; i++ {
		trial.SecondsNs[i] = p99s(3e9)
	}
	Measure(trial, readings, s)
	for _, name := range []string{"drain-time-ns", "goodput-rps", "recover-p99-ns", "recovery-cpu-per-req-ns"} {
		absent(t, trial, name)
	}
	if len(trial.Notes) < 3 {
		t.Errorf("notes %v do not say why", trial.Notes)
	}
}

func TestBurstThatFails(t *testing.T) {
	s := named(t, "burst")
	check := func(refused int64, drains bool) {
		t.Helper()
		trial, readings := burstTrial(s)
		trial.Phases[2].Outcomes = map[string]int64{"ok": 1_000_000 - refused, "refused": refused}
		Measure(trial, readings, s)
		if drains {
			want(t, trial, "drain-time-ns", 5e9, 0)
			want(t, trial, "goodput-rps", 210000, 1)
			return
		}
		absent(t, trial, "drain-time-ns")
		absent(t, trial, "goodput-rps")
		noted(t, trial, fmt.Sprintf("goodput-rps: %d of the burst's 1000000 requests failed (refused %d)", refused, refused))
	}
	check(1000, true)
	check(1001, false)
	check(1_000_000, false)
}

// The windows after the burst are 12 to 31, those from 18 on are back but for 20.
func TestRecoveryWithUnknownWindows(t *testing.T) {
	s := named(t, "burst")
	check := func(name string, unknown []int, recovered float64, note string) {
		t.Helper()
		trial, readings := burstTrial(s)
		for _, i := range unknown {
			trial.SecondsNs[i].P99 = nil
		}
		Measure(trial, readings, s)
		if recovered > 0 {
			want(t, trial, "recover-p99-ns", recovered, 0)
		} else {
			absent(t, trial, "recover-p99-ns")
		}
		if note != "" {
			noted(t, trial, note)
		} else if notes := strings.Join(trial.Notes, "\n"); strings.Contains(notes, "recover-p99") {
			t.Errorf("%s: notes %q: want none on the recovery", name, notes)
		}
	}
	check("none", nil, 6e9, "")
	check("the last", []int{31}, 6e9, "")
	check("one among bad ones", []int{14}, 6e9, "")
	check("the one before", []int{17}, 6e9, "may have been back 1 s earlier")
	check("two", []int{13, 14}, 6e9, "may have been back 5 s earlier")
	var all, late []int
	for i := 12; i < 32; i++ {
		all = append(all, i)
		if i > 18 {
			late = append(late, i)
		}
	}
	check("all", all, 0, "unknown: 19 of 19 one-second windows")
	check("from the second good one on", late, 0, "unknown: 12 of 19")
}

func TestHalfLifeNeedsARise(t *testing.T) {
	s := named(t, "burst")
	check := func(rise int64, has bool) {
		t.Helper()
		trial, readings := burstTrial(s)
		for i := range readings {
			rss := int64(50e6)
			if ns := readings[i].TNs; ns >= 12e9 && ns < 14e9 {
				rss += rise
			}
			readings[i].RSSBytes = &rss
		}
		Measure(trial, readings, s)
		if has {
			want(t, trial, "half-life-RSS-ns", 2e9, 0)
			return
		}
		absent(t, trial, "half-life-RSS-ns")
		noted(t, trial, "half-life-RSS-ns: the peak is only")
	}
	check(0, false)
	check(1<<20-1, false)
	check(1<<20, true)
}

func TestBurstWithoutReadings(t *testing.T) {
	s := named(t, "burst")
	trial, _ := burstTrial(s)
	Measure(trial, nil, s)
	want(t, trial, "drain-time-ns", 5e9, 0)
	absent(t, trial, "peak-RSS-bytes")
	absent(t, trial, "baseline-cpu-per-req-ns")
}

// idleTrial climbs the ladder: 8 MB and 5000 bytes a connection in the server, 50 MB and 7800 in the kernel, five goroutines
// and one a connection.
func idleTrial(t *testing.T) (*results.Trial, []results.Reading, *scenarios.Scenario) {
	s := named(t, "idle")
	trial := timeline(s, func(float64) float64 { return 0 })
	trial.Phases[4].Response = hist.Summary{Count: 25000, P99: ptr(300e3)}
	var readings []results.Reading
	for _, p := range trial.Phases {
		open := int64(15000)
		for _, q := range s.Phases {
			if q.Name == p.Name && q.Open > 0 {
				open = int64(q.Open)
			}
		}
		for ns := p.FromNs; ns < p.ToNs; ns += 1e8 {
			settled := open
			if ns < (p.FromNs+p.ToNs)/2 {
				settled = open / 3 // connections are still being opened: must not count
			}
			readings = append(readings, results.Reading{
				TNs: ns, RSSAnonBytes: ptr(8e6 + 5000*settled), SlabBytes: ptr(50e6 + 7000*settled), SocketBytes: ptr(800 * settled),
				Goroutines: ptr(5 + settled), Open: ptr(settled), TimeWait: ptr(20000),
			})
		}
	}
	return trial, readings, s
}

func TestIdle(t *testing.T) {
	trial, readings, s := idleTrial(t)
	Measure(trial, readings, s)
	want(t, trial, "user-bytes-per-conn", 5000, 1e-6)
	want(t, trial, "kernel-bytes-per-conn", 7800, 1e-6)
	want(t, trial, "goroutines-per-conn", 1, 1e-9)
	want(t, trial, "base-RSS-bytes", 8e6, 1)
	want(t, trial, "active-p99-latency-ns", 300e3, 0)
	if got := trial.Slopes["user-bytes-per-conn"]; got.N != 4 || got.Points[3] != [2]float64{15000, 83e6} {
		t.Errorf("slope %+v", got)
	}
}

func TestIdleWithOtherConnectionsThanPlanned(t *testing.T) {
	check := func(open func(planned int64) *int64, slopes bool, note string) {
		t.Helper()
		trial, readings, s := idleTrial(t)
		for i := range readings {
			readings[i].Open = open(*readings[i].Open)
		}
		Measure(trial, readings, s)
		noted(t, trial, note)
		if slopes {
			want(t, trial, "user-bytes-per-conn", 5000, 1e-6)
			return
		}
		for _, name := range []string{"user-bytes-per-conn", "kernel-bytes-per-conn", "goroutines-per-conn", "base-RSS-bytes"} {
			absent(t, trial, name)
		}
	}
	exactly := func(n int64) func(int64) *int64 {
		return func(planned int64) *int64 {
			if planned == 15000 {
				return ptr(n)
			}
			return ptr(planned)
		}
	}
	check(exactly(14849), false, "hold-15000: 14849 connections were open instead of 15000")
	check(exactly(14850), true, "")
	check(exactly(15151), false, "hold-15000: 15151 connections were open instead of 15000")
	check(func(int64) *int64 { return nil }, true, "hold-5000: the server's open connections were not read")
}

// 2 % of 7800 bytes over 14000 connections are 5460 sockets of 400 bytes.
func TestIdleWhileTimeWaitChanges(t *testing.T) {
	check := func(died int64, slope bool) {
		t.Helper()
		trial, readings, s := idleTrial(t)
		for i := range readings {
			if readings[i].TNs > trial.Phases[2].FromNs {
				*readings[i].TimeWait -= died
			}
		}
		Measure(trial, readings, s)
		want(t, trial, "user-bytes-per-conn", 5000, 1e-6)
		if slope {
			want(t, trial, "kernel-bytes-per-conn", 7800, 1e-6)
			return
		}
		absent(t, trial, "kernel-bytes-per-conn")
		if _, drawn := trial.Slopes["kernel-bytes-per-conn"]; drawn {
			t.Error("the line is kept for the plots")
		}
		noted(t, trial, fmt.Sprintf("kernel-bytes-per-conn: %d sockets in TIME_WAIT came or went", max(died, -died)))
	}
	check(5460, true)
	check(5461, false)
	check(-5461, false)
	trial, readings, s := idleTrial(t)
	for i := range readings {
		readings[i].TimeWait = nil
	}
	Measure(trial, readings, s)
	want(t, trial, "kernel-bytes-per-conn", 7800, 1e-6)
	noted(t, trial, "TIME_WAIT were not read")
}

func TestIdleWithTooFewSteps(t *testing.T) {
	s := named(t, "idle", "connections.steps=[100,200,300]")
	trial := timeline(s, func(float64) float64 { return 0 })
	Measure(trial, []results.Reading{{TNs: 3e9, RSSAnonBytes: ptr(1)}}, s)
	absent(t, trial, "user-bytes-per-conn")
	if len(trial.Notes) == 0 {
		t.Error("no note says why")
	}
}

func TestChurn(t *testing.T) {
	s := named(t, "churn")
	trial := timeline(s, func(float64) float64 { return 5000 })
	p := &trial.Phases[1]
	p.Connect = hist.Summary{Count: 50000, P50: ptr(40e3), P99: ptr(90e3)}
	p.Response = hist.Summary{Count: 50000, P50: ptr(90e3), P99: ptr(190e3)}
	var readings []results.Reading
	for ns := int64(0); ns <= p.ToNs; ns += 1e8 {
		readings = append(readings, results.Reading{TNs: ns, Accepted: ptr(ns / 1e5 * 5 / 10), CPUUserNs: ptr(ns / 4), CPUSystemNs: ptr(ns / 4)})
	}
	readings[0].TimeWaitServer, readings[0].TimeWaitClient = ptr(0), ptr(7) // of an earlier server at the port
	readings[len(readings)-1].TimeWaitServer, readings[len(readings)-1].TimeWaitClient = ptr(3), ptr(50007)
	Measure(trial, readings, s)
	want(t, trial, "accepted-rps", 5000, 1)
	want(t, trial, "p99-connect-ns", 90e3, 0)
	want(t, trial, "p50-latency-ns", 90e3, 0)
	want(t, trial, "time-wait-client", 50000, 0)
	want(t, trial, "time-wait-server", 3, 0)
	want(t, trial, "cpu-per-req-ns", 100e3, 1)
	want(t, trial, "achieved-rps", 5000, 0)
}
