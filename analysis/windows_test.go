package analysis

import "testing"

// A host that stands still in one tenth of a second of ten decides the p99 of the trial, and not that of the windows.
func TestWindows(t *testing.T) {
	s := named(t, "steady")
	trial := timeline(s, func(float64) float64 { return 20000 })
	for i := range trial.Intervals {
		switch {
		case i < 20: // connecting and warming up
			trial.Intervals[i].P99Ns = []int64{9e9}
		case i%10 == 3:
			trial.Intervals[i].P99Ns = []int64{5e6, 6e6}
		default:
			trial.Intervals[i].P99Ns = []int64{100e3 + int64(i%2)*10e3, 110e3 + int64(i%2)*10e3} // of two threads
		}
	}
	Measure(trial, nil, s)
	want(t, trial, "window-p99-latency-ns", 110e3, 0)

	for i := range trial.Intervals {
		if i%3 > 0 {
			trial.Intervals[i].P99Ns = nil // too few replies
		} else {
			trial.Intervals[i].P99Ns = trial.Intervals[i].P99Ns[:1]
		}
	}
	trial.Notes = nil
	Measure(trial, nil, s)
	absent(t, trial, "window-p99-latency-ns")
	noted(t, trial, "window-p99-latency-ns: 17 of 50 windows of steady")

	s = named(t, "steady", "phases.steady.for=1s")
	trial = timeline(s, func(float64) float64 { return 20000 })
	for i := range trial.Intervals {
		trial.Intervals[i].P99Ns = []int64{100e3}
	}
	Measure(trial, nil, s)
	absent(t, trial, "window-p99-latency-ns") // ten windows
}
