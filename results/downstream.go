package results

// Downstream is what bin/downstream saw of a trial whose work calls it, and what the server saw of its calls. It ran on CPUs,
// the load client's where they are split, so that it takes none of the server's.
type Downstream struct {
	// Args are those it was started with: its latencies, their seed, and its windows.
	Args []string `json:"args"`
	CPUs []int    `json:"cpus,omitempty"`
	// Received requests at the end, which are Answered, InFlight, Refused or Lost: refused by a window that resets connections,
	// lost with a connection that the server ended. When the server told its last counts below, ReceivedFrom to Received had come.
	Received     int64 `json:"received"`
	ReceivedFrom int64 `json:"received_from"`
	Answered     int64 `json:"answered"`
	InFlight     int64 `json:"in_flight"`
	Refused      int64 `json:"refused"`
	Lost         int64 `json:"lost"`
	// Resets are the connections that windows have reset.
	Resets int64 `json:"resets"`
	// Late are replies that went out over 1 ms after they were due, or whose request was read that late: the downstream's own fault.
	Late  int64 `json:"late"`
	CPUNs int64 `json:"cpu_ns"`
	// Calls are those that the server began, CallsAnswered and Failed how they ended, and Waited those that had to wait for a
	// connection, since as many were under way as may be. Nil where the server's last reading was not taken.
	Calls         *int64 `json:"calls"`
	CallsAnswered *int64 `json:"calls_answered"`
	Failed        *int64 `json:"failed"`
	Waited        *int64 `json:"waited"`
}
