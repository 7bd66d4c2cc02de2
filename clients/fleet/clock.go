package fleet

import "golang.org/x/sys/unix"

// Monotonic reads CLOCK_MONOTONIC in ns, the clock of every T0. All processes of a host (and time namespace) share it.
func Monotonic() int64 {
	var ts unix.Timespec
	// The call can't fail: the clock exists on every Linux and ts is valid.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// probe is one exchange of four timestamps: sent and received by the coordinator's clock, the others by the agent's.
type probe struct {
	sentNs, arrivedNs, answeredNs, receivedNs int64
}

// offsetNs is agent's clock − coordinator's clock, as in NTP: ((T2−T1) + (T3−T4)) ÷ 2.
// Where: T1 sent, T2 arrived, T3 answered, T4 received.
func (p probe) offsetNs() int64 {
	return ((p.arrivedNs - p.sentNs) + (p.answeredNs - p.receivedNs)) / 2
}

// errorNs bounds |true offset − offsetNs|: half the round trip, (T4−T1 − (T3−T2)) ÷ 2.
func (p probe) errorNs() int64 {
	return ((p.receivedNs - p.sentNs) - (p.answeredNs - p.arrivedNs) + 1) / 2
}
