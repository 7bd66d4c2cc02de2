package checks

import (
	"fmt"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
)

// Limits of the checks of what surrounds the generator, from docs/METHOD.md.
const (
	stealLimit = 0.02 // of the client's CPUs' time
	// stealTicksNs of steal say nothing yet: the kernel counts it in ticks of 10 ms.
	stealTicksNs = 20_000_000
	// throttleSpoils is the share of a phase from which on throttling reaches its p99.
	throttleSpoils = 0.01
	shareLimit     = 0.20 // of the response p99
	// shareLeast samples must be there for a p99 of theirs.
	shareLeast = 100
	// shareSure samples have ten beyond their p99, enough to void a load.
	shareSure = 1000
)

// Surroundings are what the client's host and runtime did to its process during a phase, between the readings next to the
// phase's edges.
type Surroundings struct {
	// StealNs is what the hypervisor took from the client's CPUs, which had CPUSpanNs in all; Unknown if not read.
	StealNs, CPUSpanNs int64
	// ThrottledNs is how long the control group, or one above, stopped the client's threads in Throttled periods; both are
	// Unknown where that could not be read, and zero where there is no quota.
	ThrottledNs, Throttled int64
	// PauseMaxNs is the longest stop of the world of the Go runtime, rounded down to its histogram's bucket.
	PauseMaxNs int64
	// SchedP99Ns is the p99 of the time that goroutines waited for a thread, rounded down likewise.
	SchedP99Ns int64
}

// Share is what kernel time stamps on sampled requests say about the client's part of latency.
type Share struct {
	// Samples is how many requests have them; zero where the kernel gives none.
	Samples int64
	// ClientP99Ns is the p99 of response time without wire and server, WireServerP99Ns of these alone, ResponseP99Ns of the whole,
	// all of the samples.
	ClientP99Ns, WireServerP99Ns, ResponseP99Ns int64
}

// stealCheck judges what other machines took from the client's CPUs.
func stealCheck(p Phase) validity.Check {
	c := validity.Check{Name: "generator steal", State: validity.OK, Limit: stealLimit, Unit: "share"}
	if p.StealNs == Unknown || p.CPUSpanNs == 0 {
		c.State, c.Reason, c.Remedy = validity.Unknown, "the steal of the client's CPUs could not be read", "mount /proc where the load runs"
		return c
	}
	c.Value = float64(p.StealNs) / float64(p.CPUSpanNs)
	if c.Value > stealLimit && p.StealNs > stealTicksNs {
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("phase %s: other machines took %.1f %% of the client's CPUs (limit %.0f %%)", p.Name, 100*c.Value, 100*stealLimit)
		c.Remedy = "repeat when the host is quiet, or take more rounds"
	}
	return c
}

// throttleCheck judges whether a CPU quota stopped the client.
func throttleCheck(p Phase) validity.Check {
	c := validity.Check{Name: "generator throttling", State: validity.OK, Value: float64(p.ThrottledNs), Unit: "ns"}
	switch {
	case p.Throttled == Unknown:
		c.State, c.Value = validity.Unknown, 0
		c.Reason, c.Remedy = "cpu.stat of the client's control group could not be read", "mount /sys/fs/cgroup where the load runs"
	case p.Throttled > 0:
		state, who := broken(p.Overload)
		if c.State = state; c.Value <= throttleSpoils*float64(p.LengthNs) {
			c.State = validity.Warn
		}
		c.Reason = fmt.Sprintf("%sphase %s: a CPU quota stopped the client in %d periods for %s", who, p.Name, p.Throttled, quantity.Tick(c.Value, quantity.Time))
		c.Remedy = "give the client's control group more CPU time (docker --cpus, cpu.max), or lower the rate"
	}
	return c
}

// runtimeCheck judges the pauses of the client's own Go runtime: no stop of the world, and where goroutines make the load
// no p99 of their waiting for a thread, may be longer than the generator may lag.
func runtimeCheck(p Phase, goroutines bool) validity.Check {
	limit := lagLimit(p)
	c := validity.Check{Name: "generator runtime", State: validity.OK, Value: float64(p.PauseMaxNs), Limit: limit, Unit: "ns"}
	what := "the Go runtime stopped the client for"
	if goroutines && float64(p.SchedP99Ns) > c.Value {
		c.Value, what = float64(p.SchedP99Ns), "p99 of the time that the engine's goroutines waited for a thread is"
	}
	if c.Value > limit {
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("phase %s: %s %s or more, limit %s", p.Name, what, quantity.Tick(c.Value, quantity.Time), quantity.Tick(limit, quantity.Time))
		c.Remedy = "use --engine epoll, which needs no collection and no goroutines to send, or give the client more CPUs"
	}
	return c
}

// shareCheck judges how much of the latency is the client's own, by the kernel's time stamps. Where it gives none, that is
// unknown and does not count against the load: lag, gaps and CPU are judged all the same.
//
// Beyond lagSpoilsShare it voids the load only if wire and server alone would have less than the rest of the response p99:
// the slow requests of the one need not be those of the other, above all where client and server wait for the same CPUs, and
// then that figure is not mostly the client's. Lag within its limit is no excuse: a client that sleeps is also late to read.
func shareCheck(l Load) validity.Check {
	c := validity.Check{Name: "client share of latency", State: validity.OK, Limit: shareLimit, Unit: "share"}
	s, closed, overload := l.Share, true, true
	for _, p := range l.Phases {
		closed, overload = closed && p.Closed, overload && p.Overload
	}
	switch {
	case s.Samples < shareLeast:
		c.State, c.Reason = validity.NotApplicable, "unknown: the kernel gave no time stamps"
		if s.Samples > 0 {
			c.Reason = fmt.Sprintf("unknown: %d requests with time stamps, want %d", s.Samples, shareLeast)
		}
		return c
	case closed:
		c.State = validity.NotApplicable
		return c
	}
	if c.Value = float64(s.ClientP99Ns) / float64(max(1, s.ResponseP99Ns)); c.Value > shareLimit {
		state, who := broken(overload)
		spoilt := c.Value > lagSpoilsShare && float64(s.WireServerP99Ns) < (1-lagSpoilsShare)*float64(s.ResponseP99Ns)
		if c.State = state; !spoilt || s.Samples < shareSure {
			c.State = validity.Warn
		}
		c.Reason = fmt.Sprintf("%sof %d sampled requests, p99 of the time spent in the client is %s, %.0f %% of their response p99 (limit %.0f %%); wire and server alone have a p99 of %s",
			who, s.Samples, quantity.Tick(float64(s.ClientP99Ns), quantity.Time), 100*c.Value, 100*shareLimit, quantity.Tick(float64(s.WireServerP99Ns), quantity.Time))
		c.Remedy = "let the client spin (--spin) on CPUs of its own, since its waking up is in this, or lower the rate if it is busy"
	}
	return c
}

// openCheck tells whether something of the engine's held requests back that were due. A shortage of connections is the
// scenario's: its Value is shown where nothing else was short.
func openCheck(l Load) validity.Check {
	c := validity.Check{Name: "open loop", State: validity.OK, Unit: "requests"}
	open := false
	for _, p := range l.Phases {
		open = open || !p.Closed
	}
	switch {
	case !open:
		c.State = validity.NotApplicable
	case l.Limited > 0:
		c.State, c.Value = validity.Warn, float64(l.Limited)
		c.Reason = fmt.Sprintf("%d requests of steady phases waited for a limit of the engine, %s; their wait counts as response time", l.Limited, l.Limit)
		c.Remedy = "raise connections.count, lower the rate, or use --engine epoll, which has no such limit"
	}
	return c
}
