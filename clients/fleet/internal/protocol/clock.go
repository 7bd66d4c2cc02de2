package protocol

import "golang.org/x/sys/unix"

// Monotonic reads CLOCK_MONOTONIC in ns, the clock of every T0. All processes of a host (and time namespace) share it.
func Monotonic() int64 {
	var ts unix.Timespec
	// The call can't fail: the clock exists on every Linux and ts is valid.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
