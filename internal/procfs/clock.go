package procfs

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// start is the process's base of Monotonic: time.Since reads only the monotonic clock, through the vDSO.
var start, startNs = anchor()

// Monotonic is CLOCK_MONOTONIC in ns, the clock of T0 and of every t_ns. It takes some tens of ns and no system call
// where the kernel's clock source is tsc or kvm-clock.
func Monotonic() int64 { return startNs + int64(time.Since(start)) }

// anchor reads both clocks as near to each other as a few tries allow: some tens of ns.
func anchor() (base time.Time, ns int64) {
	best := time.Duration(1 << 62)
	for range 8 {
		var ts unix.Timespec
		before := time.Now()
		// CLOCK_MONOTONIC exists on every Linux, and nothing else can go wrong here.
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
		if took := time.Since(before); took < best {
			best, base, ns = took, before, ts.Nano()-int64(took/2)
		}
	}
	return base, ns
}

// CPUTime is the CPU time in ns, user and system, that all threads of a process have used, ended ones included. Pid 0
// is the caller. Resolution is that of the scheduler's accounting, ns; of another process's threads that run at the moment
// up to the last timer tick is missing.
func CPUTime(pid int) (int64, error) {
	// CLOCK_PROCESS_CPUTIME_ID of another process, as clock_getcpuclockid(3) makes it: ~pid << 3 | CPUCLOCK_SCHED.
	clock := int32(^pid<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, err)
	}
	return ts.Nano(), nil
}
