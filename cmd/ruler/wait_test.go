package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/hist"
)

func TestWait(t *testing.T) {
	for _, spin := range []bool{false, true} {
		w, err := waitFor(100*time.Microsecond, 50*time.Millisecond, spin)
		if err != nil {
			t.Fatal(err)
		}
		// However late it is, no time is left out, and it does not end before the last of them.
		if w.LateNs.Count != 500 || w.LateNs.Outside != 0 || w.Seconds < 0.05 || w.CPUSeconds <= 0 {
			t.Errorf("spinning %v: %+v, want 500 times in 50 ms", spin, w)
		}
	}
}

// What the command prints is what the bench reads.
func TestWaitIsRead(t *testing.T) {
	var out, errs bytes.Buffer
	if status := ruler(strings.Fields("wait --period 1us --for 20ms --spin"), &out, &errs); status != exitDone {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	r, err := parseWaits(out.String())
	if err != nil || r.requests != 20_000 || r.rate <= 0 || r.rate > 1.01e6 {
		t.Errorf("%+v, %v, want 20 000 times at 1M/s", r, err)
	}
	for _, text := range []string{"", `{"late_ns": {"count": 20, "p50": 5}, "seconds": 1}`} {
		if _, err := parseWaits(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestWaitRow(t *testing.T) {
	run := func(p50, p99, most int64, cpu float64) sample {
		return sample{reading: reading{waits: &waits{hist.Summary{P50: &p50, P99: &p99, Max: &most}, cpu, 2}}}
	}
	got := []sample{run(20e3, 60e3, 1e6, 0.4), run(21e3, 90e3, 3e6, 0.5), run(22e3, 70e3, 2e6, 0.6)}
	r := waitRow("a bare wait", load{rate: 10_000}, got)
	if want := "70.0 µs (60.0 µs–90.0 µs) at 25.0 % of a core"; r.measured != want || r.goal != noGoal || r.verdict != noGoal {
		t.Errorf("%+v, want %s and no goal", r, want)
	}
	for _, want := range []string{"epoll_pwait2", "p50 21.0 µs (20.0 µs–22.0 µs)", "largest 2.00 ms (1.00 ms–3.00 ms)"} {
		if !strings.Contains(r.note, want) {
			t.Errorf("%q lacks %q", r.note, want)
		}
	}
	if r = waitRow("a bare wait", load{rate: 10_000, spin: true}, got); !strings.Contains(r.note, "reading the clock") {
		t.Errorf("spinning: %q", r.note)
	}
}

func TestWaitingAsks(t *testing.T) {
	w, err := waiting("a bare wait")
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Join(w.command(load{rate: 10_000, length: 2 * time.Second, spin: true}, "", "")[1:], " ")
	if want := "wait --period 100µs --for 2s --spin=true"; args != want {
		t.Errorf("runs %q, want %q", args, want)
	}
}
