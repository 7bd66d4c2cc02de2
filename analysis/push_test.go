package analysis

import (
	"testing"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

func TestPush(t *testing.T) {
	lag := hist.Summary{Count: 20_000, P50: ptr(100), P99: ptr(900)}
	cpu := func(at, user int64) results.Reading {
		return results.Reading{TNs: at, CPUUserNs: ptr(user), CPUSystemNs: ptr(0), RSSBytes: ptr(at / 100), Goroutines: ptr(at / 1e8)}
	}
	trial := &results.Trial{
		Phases: []results.Phase{
			{Name: "warmup", FromNs: 0, ToNs: 1e9, Push: &results.PushPhase{PushCounts: results.PushCounts{Received: 77}}},
			{Name: "push", Measure: true, FromNs: 1e9, ToNs: 3e9, Push: &results.PushPhase{PushCounts: results.PushCounts{Received: 18_000, Missing: 2000}}},
		},
		Push: &results.Push{Delivery: &lag}, Intervals: make([]results.Interval, 30), IntervalNs: 1e8,
	}
	s := &scenarios.Scenario{Protocol: scenarios.Push}
	Measure(trial, []results.Reading{cpu(1e9, 1e6), cpu(3e9, 37e6)}, s)
	for name, want := range map[string]float64{
		"deliveries-rps": 9000, "missing-share": 0.1, "p50-delivery-ns": 100, "p99-delivery-ns": 900, "cpu-per-delivery-ns": 2000,
	} {
		if got, ok := trial.Metrics[name]; !ok || got != want {
			t.Errorf("%s %v, want %v: %v", name, got, want, trial.Notes)
		}
	}
	want(t, trial, "RSS-bytes", 2e7, 0) // the median of its two readings
	want(t, trial, "goroutines", 20, 0)
	for _, name := range []string{"achieved-rps", "cpu-per-req-ns", "window-p99-latency-ns"} { // nobody asks
		absent(t, trial, name)
	}
	if len(trial.Notes) != 0 {
		t.Errorf("notes of what isn't asked: %q", trial.Notes)
	}
	trial.Push.Delivery, trial.Push.Refused = nil, "another host"
	if Measure(trial, nil, s); len(trial.Notes) == 0 {
		t.Error("no delivery lag, and no note")
	}
	for _, name := range []string{"p99-delivery-ns", "cpu-per-delivery-ns"} {
		if v, ok := trial.Metrics[name]; ok {
			t.Errorf("%s %v without what it is made of", name, v)
		}
	}
}

func TestSides(t *testing.T) {
	trial := &results.Trial{Phases: []results.Phase{{
		Name: "load", Load: "overload", Measure: true, ToNs: 1e9,
		Work: &results.Side{Response: p99s(2000)}, Bystander: &results.Side{Response: p99s(200)},
	}}}
	Measure(trial, nil, &scenarios.Scenario{Work: scenarios.Work{Kind: "sleep=1ms", Share: 10}})
	for name, want := range map[string]float64{"p50-bystander-ns": 100, "p99-bystander-ns": 200, "p50-work-ns": 1000, "p99-work-ns": 2000} {
		if got := trial.Metrics[name]; got != want {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
}
