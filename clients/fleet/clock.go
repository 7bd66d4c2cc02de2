package fleet

import "time"

// A clock known no better than maxClockErrorNs can't start agents within the 5 ms of start skew that a valid trial
// allows. Probing goes on until the error is good or maxClockProbes were sent.
const (
	maxClockErrorNs  = int64(5 * time.Millisecond)
	goodClockErrorNs = int64(200 * time.Microsecond)
	minClockProbes   = 5
	maxClockProbes   = 40
)

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
