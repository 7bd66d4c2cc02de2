// Package judge holds both sides of a trial against each other, and looks at what its host did: pure functions over records.
package judge

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/clients/floor"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

// Limits of the checks that need both sides of a trial. The client's own are in package clients.
const (
	// MaxStealShare is of all CPU time, method 3.
	MaxStealShare = 0.02
	// MaxForeignShare is how much of one CPU other programs on this host may take.
	MaxForeignShare = 0.05
)

// Evidence is what the checks of a trial that need the server's side or the host's look at.
type Evidence struct {
	Load     *clients.Report
	Done     sut.Done
	Readings []results.Reading
	// ReadErr is of reading the readings; those before a torn line are there.
	ReadErr error
	// Payload is the bytes of a good reply's body.
	Payload int
	Cores   int
	SkewNs  int64
	// Agents are all that took part, by ID; Lost those of them that were lost.
	Agents, Lost []string
	// P99Ns are of each load agent that has one.
	P99Ns []int64
	Plan  clients.Plan
	Floor floor.Floor
}

// Trial returns the checks to stand beside the client's.
func Trial(e Evidence) []validity.Check {
	list := counterChecks(e)
	if e.Load.Push != nil {
		list = append(list, checkPushRate(e))
	}
	list = append(list, checkDownstream(e.Done.Downstream, e.Load, e.Plan.Scenario.Work.Calls())...)
	list = append(list, checkKernelDrops(e.Readings, e.ReadErr)...)
	return append(list, checkSteal(e.Readings, e.ReadErr, e.Cores), checkQuiet(e.Done.Sampler), checks.Agents(e.Agents, e.Lost),
		checks.StartSkew(e.SkewNs), checks.Spread(e.P99Ns), checkHealth(e.Done), checkServerThrottling(e.Done.Sampler), checkProcesses(e.Done), e.Floor.Check(&e.Plan, e.Load))
}

// counterChecks hold the client's counters against the server's. A foreign server has none.
func counterChecks(e Evidence) []validity.Check {
	list := []validity.Check{
		checkHandled(e.Load, e.Done.Final),
		checkAccepted(e.Load, e.Done.Final),
		checkBytes(e.Load, e.Done.Final, e.Payload),
	}
	if e.Load.Push != nil {
		list[2] = checkDelivered(e.Load, e.Done.Final, &e.Plan.Scenario)
	}
	for i := range list {
		if e.Done.Foreign {
			list[i] = validity.Check{Name: list[i].Name, State: validity.NotApplicable, Reason: "a foreign server has no counters that it could tell"}
		}
	}
	return list
}

// unread makes c unknown, since what it looks at is in no reading. err is that of reading the readings, if any.
func unread(c validity.Check, what string, err error) validity.Check {
	c.State, c.Reason, c.Remedy = validity.Unknown, what+" could not be read", seeReadings
	if err != nil {
		c.Reason += ": " + err.Error()
	}
	return c
}

// seeReadings is what to do where something was not read.
const seeReadings = "see readings.jsonl and the notes of the trial"

// counterCheck compares what the client and the server counted. The server may have counted up to more beyond the
// client, which gave them up, and up to less may not have reached it.
func counterCheck(name, what, unit string, client int64, server *int64, less, more int64) validity.Check {
	c := validity.Check{Name: name, State: validity.OK, Unit: unit, Limit: float64(more)}
	if server == nil {
		return unread(c, "the server's counters at the end", nil)
	}
	diff := *server - client
	c.Value = float64(diff)
	if diff < -less || diff > more {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("the client counts %d %s, the server %d: want %d to %d", client, what, *server, client-less, client+more)
		c.Remedy = "one side miscounts, or something else used the server: run `millrace conform`, and keep others away from its port"
	}
	return c
}

// checkHandled: every reply that the client got was handled, and what the server handled beyond them was given up by
// the client (timeouts, ends of connections, in flight).
func checkHandled(load *clients.Report, final results.Reading) validity.Check {
	o := load.Outcomes
	replies := o["ok"] + o["http_error"] + o["bad_payload"]
	return counterCheck("two-sided requests", "replies", "requests", replies, final.Handled, 0, givenUp(load))
}

// givenUp is how many requests were sent without a whole reply: the server may have handled any of them.
func givenUp(load *clients.Report) int64 {
	o := load.Outcomes
	return o["timeout"] + o["in_flight"] + o["eof"] + o["reset"] + o["protocol_error"]
}

// checkAccepted: the kernel completes connections that a busy server has not accepted yet, and the server accepts some that
// the client gave up.
func checkAccepted(load *clients.Report, final results.Reading) validity.Check {
	slack := load.Outcomes["connect_timeout"] + load.Outcomes["reset"] + load.Outcomes["in_flight"]
	server := final.Accepted
	if server != nil && final.Refused != nil {
		sum := *server + *final.Refused
		server = &sum
	}
	return counterCheck("two-sided connections", "connections opened", "connections", load.ConnectionsOpened, server, slack, slack)
}

// checkBytes holds the bodies of the replies against each other. A request that the client gave up may have been answered
// with a payload that it did not count.
func checkBytes(load *clients.Report, final results.Reading, payload int) validity.Check {
	slack := givenUp(load) * int64(payload)
	return counterCheck("two-sided bytes", "bytes of reply bodies", "bytes", load.BodyBytesIn, final.BodyBytesOut, 0, slack)
}

// socketsHold is how many bytes may wait in both sockets of a connection that is not read: the most of net.ipv4.tcp_rmem and
// tcp_wmem by default.
const socketsHold = 6<<20 + 4<<20

// checkDelivered: every frame that a subscriber received was handed to its connection. What was handed on beyond them waited there
// when the connection ended.
func checkDelivered(load *clients.Report, final results.Reading, s *scenarios.Scenario) validity.Check {
	p := load.Push
	received := p.Received + p.Duplicated + p.Stale
	if p.Slow != nil {
		received += p.Slow.Received + p.Slow.Duplicated + p.Slow.Stale
	}
	slack := p.Subscriptions * int64(s.Push.Queue+socketsHold/(wire.PushHead+s.Payload))
	return counterCheck("two-sided deliveries", "frames received", "frames", received, final.Delivered, 0, slack)
}

// checkKernelDrops looks for what the kernel of the server's host threw away between the first and the last reading.
func checkKernelDrops(readings []results.Reading, readErr error) []validity.Check {
	grown := func(value func(*results.Reading) *int64) int64 {
		if delta, ok := deltaOf(readings, value); ok {
			return delta
		}
		return checks.Unknown
	}
	why := seeReadings
	if readErr != nil {
		why = readErr.Error()
	}
	return checks.KernelDrops(checks.Kernel{
		ListenOverflows: grown(func(r *results.Reading) *int64 { return r.ListenOverflows }),
		ListenDrops:     grown(func(r *results.Reading) *int64 { return r.ListenDrops }),
		SynRetransmits:  grown(func(r *results.Reading) *int64 { return r.SynRetransmits }),
		BacklogDrops:    grown(func(r *results.Reading) *int64 { return r.BacklogDrops }),
	}, why)
}

// deltaOf is the growth of a cumulative value from the first to the last reading that has it.
func deltaOf(readings []results.Reading, value func(*results.Reading) *int64) (int64, bool) {
	var first, last *int64
	for i := range readings {
		if v := value(&readings[i]); v != nil {
			if first == nil {
				first = v
			}
			last = v
		}
	}
	if first == nil {
		return 0, false
	}
	return *last - *first, true
}

func checkSteal(readings []results.Reading, readErr error, cores int) validity.Check {
	c := validity.Check{Name: "steal", State: validity.OK, Limit: MaxStealShare, Unit: "share"}
	delta, ok := deltaOf(readings, func(r *results.Reading) *int64 { return r.StealNs })
	if !ok || len(readings) < 2 {
		return unread(c, "/proc/stat", readErr)
	}
	c.Value = float64(delta) / float64(readings[len(readings)-1].TNs-readings[0].TNs) / float64(cores)
	if c.Value > MaxStealShare {
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("other machines took %.1f %% of this host's CPU time (limit %.0f %%)", c.Value*100, MaxStealShare*100)
		c.Remedy = "repeat when the host is quiet, or take more rounds"
	}
	return c
}

// checkQuiet holds the CPU time that others took during the phases against one CPU's.
func checkQuiet(s sut.SamplerStats) validity.Check {
	c := validity.Check{Name: "quiet host", State: validity.OK, Limit: MaxForeignShare, Unit: "share"}
	if s.ForeignSpanNs <= 0 {
		c.State, c.Reason = validity.Unknown, "the CPU time of other programs was not measured from the first phase to the end"
		c.Remedy = "see the notes of the trial; the server's agent must live until the end and see all processes in /proc"
		return c
	}
	c.Value = float64(s.ForeignCPUNs) / float64(s.ForeignSpanNs)
	if c.Value > MaxForeignShare {
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("other programs on this host took %.1f %% of a CPU (limit %.0f %%)", c.Value*100, MaxForeignShare*100)
		c.Remedy = "end them, or repeat when the host is quiet"
	}
	return c
}

func checkHealth(done sut.Done) validity.Check {
	c := validity.Check{Name: "server health", State: validity.OK, Unit: "faults"}
	switch {
	case done.Panicked:
		c.State, c.Reason = validity.Fail, "the server's log looks like a crash: "+strings.Join(done.Log, " | ")
	case done.Exit != "":
		c.State, c.Reason = validity.Warn, "the server did not end cleanly on SIGTERM: "+done.Exit
	}
	if c.State != validity.OK {
		c.Value, c.Remedy = 1, "see server.log of the trial"
	}
	return c
}

// checkProcesses: the processes of a foreign server are listed at edges, so what one that starts between used there is in no reading.
func checkProcesses(done sut.Done) validity.Check {
	c := validity.Check{Name: "server processes", State: validity.OK, Value: float64(done.Sampler.Born), Unit: "processes"}
	switch {
	case !done.Foreign:
		c.State = validity.NotApplicable
	case done.Sampler.Born > 0:
		c.State = validity.Unknown
		c.Reason = fmt.Sprintf("the server started %d processes while it was sampled: its CPU time and memory may lack some of theirs", done.Sampler.Born)
		c.Remedy = "let it start all its workers at once, before it accepts connections"
	}
	return c
}

// checkServerThrottling judges whether a CPU quota stopped the server while it was sampled. Its own collections are in the
// readings: they are the server's doing.
func checkServerThrottling(s sut.SamplerStats) validity.Check {
	c := validity.Check{Name: "server throttling", State: validity.OK, Value: float64(s.ThrottledNs), Unit: "ns"}
	switch {
	case s.Throttled == checks.Unknown:
		c = unread(c, "cpu.stat of the server's control group", nil)
	case s.Throttled > 0:
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("a CPU quota stopped the server's control group in %d periods for %.1f ms", s.Throttled, float64(s.ThrottledNs)/1e6)
		c.Remedy = "give the control group more CPU time (docker --cpus, cpu.max), or lower the load"
	}
	return c
}

// Stalled says why a server that was there all the time must be taken for failed, or "".
func Stalled(load *clients.Report, done sut.Done) string {
	for _, p := range load.Phases {
		// Where replies to earlier requests came meanwhile, those of this phase were in nobody's hands but the client's.
		if p.Measure && p.Planned > 0 && p.Outcomes["ok"] == 0 && p.AchievedRPS == 0 {
			return fmt.Sprintf("the server stalled: not one good reply to %d requests of phase %s", p.Planned, p.Name)
		}
	}
	if done.Killed {
		return "the server stalled: it did not stop within 5 s of SIGTERM and was killed"
	}
	return ""
}
