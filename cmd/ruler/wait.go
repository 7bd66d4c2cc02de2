package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/quantity"
)

// waits is what `ruler wait` says: how late a thread is that does nothing but wait for times. Of generator lag this much is
// the host's.
type waits struct {
	LateNs     hist.Summary `json:"late_ns"`
	CPUSeconds float64      `json:"cpu_seconds"` // of the whole process while it waited
	Seconds    float64      `json:"seconds"`
}

// Bounds of `ruler wait`.
const (
	minPeriod, maxPeriod = time.Microsecond, time.Second
	maxWaiting           = 10 * time.Minute
)

func waitCommand() *cobra.Command {
	var period, length time.Duration
	var spin bool
	c := &cobra.Command{
		Use: "wait", Hidden: true, // bench runs it
		Short: "Wait for times a period apart, and print how late each was seen, as JSON",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("wait takes no arguments, got %q", args)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case period < minPeriod || period > maxPeriod:
				return usageError{fmt.Errorf("--period %s: want %s to %s", period, minPeriod, maxPeriod)}
			case length < period || length > maxWaiting:
				return usageError{fmt.Errorf("--for %s: want the period, %s, to %s", length, period, maxWaiting)}
			}
			w, err := waitFor(period, length, spin)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(w)
		},
	}
	c.Flags().DurationVar(&period, "period", 100*time.Microsecond, "distance of the times")
	c.Flags().DurationVar(&length, "for", time.Second, "how long")
	c.Flags().BoolVar(&spin, "spin", false, "read the clock until it is time, instead of sleeping")
	return c
}

// waitFor waits on a locked thread for times a period apart, as the client waits for its next request: in epoll_pwait2 with
// the least slack, or reading the clock. Where it comes so late that the next times have passed, these are late as well.
func waitFor(period, length time.Duration, spin bool) (waits, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	poller, err := sys.NewPoller(1)
	if err != nil {
		return waits{}, fmt.Errorf("waiting: making an epoll descriptor: %w", err)
	}
	defer poller.Close()
	sys.SharpTimers()
	late := hist.New()
	cpu, from := sys.ProcessCPU(), procfs.Monotonic()
	now := from
	for due := from + int64(period); due <= from+int64(length); due += int64(period) {
		for now < due {
			if !spin {
				poller.Wait(due - now)
			}
			now = procfs.Monotonic()
		}
		late.Record(max(now-due, 1)) // the histogram's range begins at 1 ns
	}
	return waits{late.Summary(0), float64(sys.ProcessCPU()-cpu) / 1e9, float64(now-from) / 1e9}, nil
}

// waiting is a thread without a network in place of a tool, with the rate of a load, its length and its spinning.
func waiting(name string) (*tool, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return &tool{
		name: name, program: self,
		command: func(l load, _, _ string) []string {
			period := time.Duration(float64(time.Second) / l.rate)
			return []string{self, "wait", "--period", period.String(), "--for", l.length.String(), fmt.Sprintf("--spin=%v", l.spin)}
		},
		parse: func(_ load, p *process, _ string) (reading, error) { return parseWaits(p.stdout) },
	}, nil
}

func parseWaits(text string) (reading, error) {
	r := unknownReading()
	var w waits
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return r, fmt.Errorf("reading what ruler wait says: %w", err)
	}
	if w.LateNs.P50 == nil || w.LateNs.P99 == nil || w.LateNs.Max == nil || w.Seconds <= 0 {
		return r, fmt.Errorf("reading what ruler wait says: %d times in %g s: want the 10 000 that p99 needs", w.LateNs.Count, w.Seconds)
	}
	r.requests, r.rate, r.waits = w.LateNs.Count, float64(w.LateNs.Count)/w.Seconds, &w
	return r, nil
}

// waitRow is the anchor of generator lag.
func waitRow(name string, l load, got []sample) row {
	of := func(f func(*waits) float64) spread {
		return spreadOf(each(got, func(s *sample) float64 { return f(s.waits) }))
	}
	core := of(func(w *waits) float64 { return w.CPUSeconds / w.Seconds })
	how := "sleeping in epoll_pwait2"
	if l.spin {
		how = "reading the clock"
	}
	return row{
		what: name, goal: noGoal, verdict: noGoal,
		measured: fmt.Sprintf("%s at %s of a core", of(func(w *waits) float64 { return orNaN(w.LateNs.P99) }).show(asTime), quantity.Share(core.Median)),
		note: fmt.Sprintf("no network, no client: how late a thread at the client's place is, %s; p50 %s; largest %s; core %s", how,
			of(func(w *waits) float64 { return orNaN(w.LateNs.P50) }).show(asTime),
			of(func(w *waits) float64 { return orNaN(w.LateNs.Max) }).show(asTime), core.show(quantity.Share)),
	}
}
