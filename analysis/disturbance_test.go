package analysis

import (
	"testing"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
)

// A downstream that stalls is what a burst is: there is a level before it, a peak, and what is left after.
func TestDisturbanceByTheDownstream(t *testing.T) {
	s := named(t, "jitter")
	trial := timeline(s, func(float64) float64 { return 3000 })
	span := s.Spans()[0]
	base := trial.Phases[1]
	trial.Phases[1].Response = hist.Summary{Count: 12000, P50: ptr(6e6), P99: ptr(9e6)}
	end := trial.Phases[len(trial.Phases)-1].ToNs
	var readings []results.Reading
	cpu := int64(0)
	for ns := int64(0); ns <= end; ns += 1e8 {
		goroutines, rss := int64(100), int64(20e6)
		switch {
		case ns >= span[0] && ns < span[1]:
			goroutines, rss = 6000, 80e6
		case ns >= span[1]:
			goroutines, rss = 120, 60e6
		}
		if cpu += 300 * 20e3; ns > span[1] {
			cpu += 300 * 10e3
		}
		readings = append(readings, results.Reading{
			TNs: ns, Goroutines: ptr(goroutines), RSSBytes: ptr(rss), StackBytes: ptr(2e6), SocketBytes: ptr(4e6), CPUUserNs: ptr(cpu), CPUSystemNs: ptr(0),
		})
	}
	if base.ToNs > span[0] {
		t.Fatalf("the window begins at %d, in the phase before which nothing is measured", span[0])
	}
	Measure(trial, readings, s)
	want(t, trial, "before-goroutines", 100, 0)
	want(t, trial, "peak-goroutines", 6000, 0)
	want(t, trial, "residue-1s-goroutines", 20, 0)
	want(t, trial, "residue-1s-RSS-bytes", 40e6, 0)
	want(t, trial, "baseline-p99-latency-ns", 9e6, 0)
	want(t, trial, "baseline-cpu-per-req-ns", 20e3, 100)
	want(t, trial, "recovery-cpu-per-req-ns", 30e3, 100)
	absent(t, trial, "drain-time-ns")
	absent(t, trial, "goodput-rps")
}

// Where connections are only held the last measured phase is the headline, and its CPU time is by time.
func TestHolding(t *testing.T) {
	s := named(t, "reconnect")
	trial := timeline(s, func(float64) float64 { return 50 })
	hold := trial.Phases[len(trial.Phases)-1]
	trial.Phases[len(trial.Phases)-1].Response = hist.Summary{Count: 750, P50: ptr(90e3)}
	var readings []results.Reading
	for ns := int64(0); ns <= hold.ToNs; ns += 1e8 {
		readings = append(readings, results.Reading{TNs: ns, CPUUserNs: ptr(ns / 40), CPUSystemNs: ptr(ns / 40), RSSBytes: ptr(3e7), Goroutines: ptr(7)})
	}
	Measure(trial, readings, s)
	want(t, trial, "cpu-cores", 0.05, 1e-9)
	want(t, trial, "p50-latency-ns", 90e3, 0)
	want(t, trial, "RSS-bytes", 3e7, 0)
	want(t, trial, "goroutines", 7, 0)
	want(t, trial, "cpu-per-req-ns", 1e6, 1)
}
