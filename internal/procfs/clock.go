package procfs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Monotonic is CLOCK_MONOTONIC in ns, the clock of every t_ns.
func Monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("reading CLOCK_MONOTONIC: " + err.Error()) // it can't fail on Linux
	}
	return ts.Nano()
}

// CPUTime is the CPU time in ns, user and system, that all threads of a process have used, ended ones included. Pid 0
// is the caller. Resolution is that of the scheduler's accounting, ns.
func CPUTime(pid int) (int64, error) {
	// CLOCK_PROCESS_CPUTIME_ID of another process, as clock_getcpuclockid(3) makes it: ~pid << 3 | CPUCLOCK_SCHED.
	clock := int32(^pid<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, err)
	}
	return ts.Nano(), nil
}
