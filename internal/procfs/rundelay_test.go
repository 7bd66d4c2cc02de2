package procfs

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Two threads that spin on one CPU wait for each other.
func TestRunDelay(t *testing.T) {
	cpus := must[[]int](t)(Affinity())
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := SetAffinity(cpus[:1]); err != nil {
		t.Fatal(err)
	}
	r, err := OpenRunDelay()
	if err != nil {
		t.Skip("this kernel does not tell:", err)
	}
	defer r.Close()
	rival := started(t, "sh", "-c", "while :; do :; done") // on the same CPU
	used(t, rival, 0, time.Millisecond)
	before, from, cpu := r.Read(), time.Now(), threadCPU(t)
	for threadCPU(t)-cpu < 20*time.Millisecond { // spin
	}
	wall := time.Since(from)
	delay := time.Duration(r.Read() - before)
	if idle := wall - (threadCPU(t) - cpu); delay < idle/2 || delay > wall || delay < 5*time.Millisecond {
		t.Errorf("waited %v for the CPU in %v, of which it ran all but %v", delay, wall, idle)
	}
	if n := testing.AllocsPerRun(10, func() { r.Read() }); n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
	var none *RunDelay
	if none.Read() != Unknown {
		t.Error("nothing opened, yet read")
	}
	none.Close()
}

func threadCPU(t *testing.T) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}
