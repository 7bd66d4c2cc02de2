// Package checks judges how far the figures of a load can be trusted: pure functions from what a client counted to one
// validity.Check each, as docs/METHOD.md lists them. Package clients gathers the figures.
package checks

import (
	"slices"

	"github.com/millrace/millrace/internal/validity"
)

// WindowNs is the length of a Window.
const WindowNs = 100_000_000

// Load are the figures of a whole load.
type Load struct {
	// Phases are the measured ones, as far as they were reached.
	Phases []Phase
	// Opened and Wanted count connections: opened ever, and needed if the server closed none.
	Opened, Wanted int64
	// Lost connections ended before they were to, and Reopened of the opened ones took the place of such. Open were there at
	// the end, and Refused attempts to connect failed, Short of them for lack of a source port, a file or memory.
	Lost, Reopened, Open, Refused, Short int64
	// Kept is whether connections were to live to the end.
	Kept        bool
	Interrupted bool
	// Planned requests of the whole load, in one that sends none the frames that came, and NoPort of them whose outcome was no_port.
	Planned, NoPort int64
	// Remote are the hosts that requests go to and that are not on loopback: Kernel counts nothing of their end. Without any it
	// counts for both.
	Remote []string
	// Kernel is what happened from the load's preparation to its end.
	Kernel       Kernel
	ConnectModes [len(Timers)]Mode
	// WorkNs are delays that the scenario asks the server for.
	WorkNs []int64
	// Limited counts requests of steady measured phases that a limit of the engine other than connections held back; Limit
	// names it.
	Limited int64
	Limit   string
	// Goroutines is whether goroutines send the requests, which wait for the runtime's scheduler.
	Goroutines bool
	Share      Share
}

// Phase are the figures of one measured phase, over all shards. Its slices belong to the caller.
type Phase struct {
	Name     string
	Overload bool
	// Recovers is whether the phase before it is an overload, whose rest it works off.
	Recovers bool
	Closed   bool
	LengthNs int64 // as far as it ran

	Planned int64
	// InFlight and Unsent of them had no reply, or were not even sent, when the load ended.
	InFlight, Unsent int64
	Outcomes         int64 // sum of all
	OK               int64
	Trickled         int64 // of the planned, those of connections that are idle otherwise
	Counted          int64 // histogram count of response times, values outside the range included

	LagP99Ns, ResponseP99Ns int64
	Windows                 []Window // those that lie wholly within the phase

	// Stalls are those of all load threads, and ThreadNs is LengthNs for each of these; of a load that takes turns with others
	// only its own turns.
	Stalls   Stalls
	ThreadNs int64
	Looks    bool // the engine tells of its stalls

	// CPU is that of the busiest load thread, as a share of one CPU. Waited is the share of the time that the load thread worst
	// off was ready and had no CPU; zero if not known. Both are of its own turns, where loads take turns.
	CPU, Waited float64
	Surroundings

	Modes [len(Timers)]Mode // of response times
	// MeansNs are the mean response times of the whole seconds of the phase that have any, in order.
	MeansNs []float64

	// AreaNs is ∫ requests in flight dt, HeldNs Σ done − begun of the Finished requests, in a closed loop
	// done − due, both within the phase.
	AreaNs, HeldNs, Finished int64
	// Slots is how many requests the active connections can carry at once.
	Slots int64
}

// Window are the figures of WindowNs of a phase, over all shards.
type Window struct {
	Planned int64 // became due
	Sent    int64
	Offered int64 // sent, or waiting for a connection, at the time they became either
	// LagP99Ns is the largest p99 of the generator lag of any shard, GapNs the longest time that one did not look for replies.
	LagP99Ns, GapNs int64
}

// All runs every check. Of those that judge a phase it keeps the worst one's result.
func All(l Load) []validity.Check {
	perPhase := []func(Phase) validity.Check{
		lagCheck, offeredCheck, identityCheck, cpuCheck, starvedCheck, throttleCheck, stealCheck,
		func(p Phase) validity.Check { return runtimeCheck(p, l.Goroutines) }, littleCheck, answeredCheck,
		func(p Phase) validity.Check { return timerCheck(p, l) }, stationaryCheck,
	}
	out := make([]validity.Check, len(perPhase))
	for i, p := range l.Phases {
		for j, check := range perPhase {
			if c := check(p); i == 0 || worse(c, out[j]) {
				out[j] = c
			}
		}
	}
	if len(l.Phases) == 0 {
		out = []validity.Check{{
			Name: "measured phases", State: validity.Unknown, Unit: "phases", Limit: 1,
			Reason: "no measured phase was reached", Remedy: "mark a phase with measure: true, or let the load run longer",
		}}
	}
	out = append(out, openCheck(l), keepAliveCheck(l), goneCheck(l))
	out = append(out, KernelDrops(l.Kernel, "")...)
	return append(out, retransmitCheck(l.Kernel, l.Planned), portsCheck(l.Short, l.NoPort), connectTimerCheck(l), shareCheck(l))
}

// Merge joins two lists of checks. Where both have one of a name, the worse one stays, in its first place: two witnesses of
// one thing.
func Merge(a, b []validity.Check) []validity.Check {
	out := slices.Clone(a)
	for _, c := range b {
		i := slices.IndexFunc(out, func(o validity.Check) bool { return o.Name == c.Name })
		switch {
		case i < 0:
			out = append(out, c)
		case worse(c, out[i]):
			out[i] = c
		}
	}
	return out
}

// broken is the state of a check whose limit was passed, and how its reason begins: in overload more is offered than
// anyone can send, so that it only says who was the limit.
func broken(overload bool) (validity.State, string) {
	if overload {
		return validity.Warn, "client-bound: "
	}
	return validity.Fail, ""
}

// worse reports whether a ended worse than b, or as well with the larger value.
func worse(a, b validity.Check) bool {
	rank := []validity.State{validity.NotApplicable, validity.OK, validity.Unknown, validity.Warn, validity.Fail}
	if d := slices.Index(rank, a.State) - slices.Index(rank, b.State); d != 0 {
		return d > 0
	}
	return a.Value > b.Value
}
