package analysis

import (
	"testing"

	"github.com/millrace/millrace/internal/hist"
)

// One second of five in which the host stood still decides the p99 of the trial, and not that of the windows.
func TestWindows(t *testing.T) {
	s := named(t, "steady")
	trial := timeline(s, func(float64) float64 { return 20000 })
	for _, ns := range []int64{9e9, 9e9, 110e3, 100e3, 5e6, 120e3, 130e3} { // connect and warmup first
		trial.SecondsNs = append(trial.SecondsNs, p99s(ns))
	}
	Measure(trial, nil, s)
	want(t, trial, "window-p99-latency-ns", 120e3, 0)

	trial.SecondsNs[3] = hist.Summary{Count: 9000} // too few replies for a p99
	trial.Notes = nil
	Measure(trial, nil, s)
	absent(t, trial, "window-p99-latency-ns")
	noted(t, trial, "window-p99-latency-ns: 4 of 5 one-second windows")

	s = named(t, "steady", "phases.steady.for=2s")
	trial = timeline(s, func(float64) float64 { return 20000 })
	for range 4 {
		trial.SecondsNs = append(trial.SecondsNs, p99s(100e3))
	}
	Measure(trial, nil, s)
	absent(t, trial, "window-p99-latency-ns")
}
