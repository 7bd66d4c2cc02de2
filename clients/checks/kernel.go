package checks

import (
	"fmt"

	"github.com/millrace/millrace/internal/validity"
)

// Unknown stands for a counter that could not be read.
const Unknown = -1

// retransmitLimit is how many segments a request may be sent again. It is not zero, since others in the network namespace
// are counted too; fewer do not reach a p99.9.
const retransmitLimit = 0.001

// Kernel counts what a kernel dropped or sent again, for everybody in its network namespace. Each is Unknown where it could
// not be read.
type Kernel struct {
	ListenOverflows, ListenDrops, SynRetransmits, BacklogDrops int64
	// Retransmits are of segments, SYNs included.
	Retransmits int64
}

// KernelDrops judges what the kernel dropped: in a measurement nothing should be. unread says why what is Unknown could
// not be read.
func KernelDrops(k Kernel, unread string) []validity.Check {
	const slower = "or open connections more slowly: lower connections.rate, or the arrivals where requests open connections"
	counters := []struct {
		name, remedy string
		value        int64
	}{
		{"listen overflows", "raise net.core.somaxconn and the server's backlog, " + slower, k.ListenOverflows},
		{"listen drops", "raise net.core.somaxconn and net.ipv4.tcp_max_syn_backlog, " + slower, k.ListenDrops},
		{"SYN retransmits", "raise net.core.somaxconn and the server's backlog, " + slower, k.SynRetransmits},
		{"backlog drops", "raise net.ipv4.tcp_rmem, or lower the load", k.BacklogDrops},
	}
	out := make([]validity.Check, 0, len(counters))
	for _, d := range counters {
		c := validity.Check{Name: "kernel drops, " + d.name, State: validity.OK, Value: float64(d.value), Unit: "packets"}
		switch {
		case d.value == Unknown:
			c = unknownDrops(c, unread)
		case d.value > 0:
			c.State, c.Remedy = validity.Warn, d.remedy
			c.Reason = fmt.Sprintf("%d in this network namespace, whosever they were: each delays a connection or a request by up to a second or more", d.value)
		}
		out = append(out, c)
	}
	return out
}

func unknownDrops(c validity.Check, why string) validity.Check {
	c.State, c.Value, c.Reason = validity.Unknown, 0, "/proc/net/netstat and snmp could not be read"
	if why != "" {
		c.Reason += ": " + why
	}
	c.Remedy = "mount /proc where the load runs, and see the notes"
	return c
}

// retransmitCheck judges how many segments were sent again, SYNs apart, by everybody in the network namespace. The sockets of
// the load could tell theirs apart (TCP_INFO), but only what the client sent: on loopback the replies are counted here as well,
// and nowhere else.
func retransmitCheck(k Kernel, planned int64) validity.Check {
	c := validity.Check{Name: "kernel drops, retransmits", State: validity.OK, Limit: retransmitLimit * float64(planned), Unit: "segments"}
	if k.Retransmits == Unknown {
		return unknownDrops(c, "")
	}
	c.Value = float64(max(k.Retransmits-max(k.SynRetransmits, 0), 0))
	if c.Value > c.Limit {
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("%.0f segments were sent again in this network namespace, whosever they were, SYNs apart, limit %.1f: each delays a request by 200 ms or more", c.Value, c.Limit)
		c.Remedy = "look for what drops packets: full socket buffers, a full queue on the way, or another program in this network namespace"
	}
	return c
}

// portsCheck counts attempts to connect that found no source port, no file or no memory, kept connections' included, and the
// requests that were not sent for that.
func portsCheck(short, unsent int64) validity.Check {
	c := validity.Check{Name: "kernel drops, ports", State: validity.OK, Value: float64(max(short, unsent)), Unit: "attempts"}
	if c.Value > 0 {
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("%.0f attempts to connect found no source port, no file or no memory left on the client's side", c.Value)
		if unsent > 0 {
			c.Reason += fmt.Sprintf(": %d requests were not sent", unsent)
		}
		c.Remedy = "widen net.ipv4.ip_local_port_range, name more addresses with --source, close with --close rst, raise ulimit -n, or open fewer connections"
	}
	return c
}
