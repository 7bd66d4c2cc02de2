package host

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
)

func TestNoiseBetweenTwoReadings(t *testing.T) {
	at := time.Unix(100, 0)
	before := clock{at: at, busy: 50, stolen: 7, own: 3}
	check := func(after clock, cpus int, steal, foreign float64) {
		t.Helper()
		if n := before.until(after, cpus); math.Abs(n.Steal-steal) > 1e-9 || math.Abs(n.Foreign-foreign) > 1e-9 {
			t.Errorf("%+v: %+v, want steal %v, foreign %v", after, n, steal, foreign)
		}
	}
	later := at.Add(200 * time.Millisecond)
	check(clock{at: later, busy: 50, stolen: 7, own: 3}, 2, 0, 0)
	check(clock{at: later, busy: 50.01, stolen: 7.01, own: 3}, 2, 0.025, 0.05)
	check(clock{at: later, busy: 50.1, stolen: 7, own: 3.1}, 2, 0, 0)     // all of it our own
	check(clock{at: later, busy: 50, stolen: 7, own: 3.004}, 2, 0, 0)     // exact where the CPUs' clocks tick
	check(clock{at: later, busy: 49.99, stolen: 6.99, own: 3}, 2, 0, 0)   // counters that step back do
	check(clock{at: at, busy: 51, stolen: 8, own: 3}, 2, 0, 0)            // no time has passed
	check(clock{at: later, busy: 50.4, stolen: 7, own: 3}, 2, 0, 0.4/0.2) // both CPUs
}

func TestListen(t *testing.T) {
	cpus, err := procfs.Affinity()
	if err != nil {
		t.Fatal(err)
	}
	n, err := Listen(t.Context(), cpus, 20*time.Millisecond)
	if err != nil || n.Foreign < 0 || n.Steal < 0 || n.Steal > 1.5 {
		t.Errorf("%+v, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Listen(ctx, cpus, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	if _, err := Listen(t.Context(), []int{1 << 20}, time.Millisecond); err == nil || !strings.Contains(err.Error(), "no CPU 1048576") {
		t.Errorf("error %v", err)
	}
}
