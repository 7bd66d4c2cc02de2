// Package fleet moves messages between the coordinator, which plans trials and collects what they measured, and its
// agents, the processes that do the work: one hosts the server under test ("sut"), the others make load ("load").
// They talk over NATS, embedded in the coordinator and bound to loopback; what an agent does is an Executor that the
// caller hands in. There is no other path for a local run.
//
// A trial is PREPARE (the plan and its hash, acknowledged), clock probes, ARM with a start time T0, the run, FINISH, and
// the collection of the agents' files. There is no "go" message: every agent starts at T0 by CLOCK_MONOTONIC, which all
// processes of a host share.
package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/agent"
	"github.com/millrace/millrace/clients/fleet/internal/protocol"
)

// Executor does the work of one role in an agent's process.
type Executor = agent.Executor

// AgentOptions of an agent.
type AgentOptions = agent.Options

// Roles are what an agent can be. There is at most one agent of the role "sut".
var Roles = protocol.Roles

// ErrCoordinatorGone is what ServeAgent returns when the coordinator's heartbeats stopped or its connection broke.
var ErrCoordinatorGone = agent.ErrCoordinatorGone

// ServeAgent runs an agent until its standard input ends, which is its normal end, ctx is cancelled, or the coordinator
// is gone (ErrCoordinatorGone). A Run under way is then cancelled and Finish called, bounded by a few seconds, so that
// nothing the executor started stays behind. An executor that doesn't return in time is left behind: end the process.
func ServeAgent(ctx context.Context, o AgentOptions, exec Executor) error {
	return agent.Serve(ctx, o, exec)
}

// Monotonic reads CLOCK_MONOTONIC in ns, the clock of every T0.
func Monotonic() int64 { return protocol.Monotonic() }

// Limits of the coordinator's side; those that agents keep as well are in internal/protocol.
const (
	maxAgents       = 64       // in one coordinator
	maxPlanBytes    = 3 << 20  // a plan travels in one message
	maxPayloadBytes = 4 << 20  // of a NATS message; the server's own default is 1 MiB
	maxPendingBytes = 32 << 20 // queued in the server for one client
	maxLogBytes     = 8 << 10  // kept of the end of an agent's standard error
)

// Bounds on waiting. They are far above what an idle host needs, since a host of two cores under load is the normal case.
const (
	defaultLead    = 50 * time.Millisecond
	defaultTimeout = 10 * time.Minute
	defaultBeat    = 200 * time.Millisecond
	defaultLost    = 5 * time.Second
	defaultLease   = 5 * time.Second

	ackWithin    = 10 * time.Second // from a request to its answer
	stopWithin   = 10 * time.Second // from cancelling a step to its end
	fetchWithin  = 60 * time.Second // for the result of a step
	windUpWithin = 90 * time.Second // for finishing and collecting after a run
	closeWithin  = 12 * time.Second // from closing an agent's standard input to killing it; an agent takes 5 + 5 s at most
)

// AgentError is an error that an Executor returned in an agent.
type AgentError struct {
	Agent   string          // sut-1, load-2
	Role    string          // one of Roles
	Step    string          // prepare, run or finish
	Message string          // the executor's error
	Details json.RawMessage // of an error that has Details; nil otherwise
}

func (e *AgentError) Error() string {
	return fmt.Sprintf("agent %s: %s: %s", e.Agent, e.Step, e.Message)
}

// LostError says that an agent is gone: its process ended, it no longer answers, or it would not stop. The trial is
// void. Coordinator.Respawn or Spawn puts a new agent in its place.
type LostError struct {
	Agent  string
	Role   string
	Reason string
	Log    []string // the last lines that it wrote to standard error
}

func (e *LostError) Error() string {
	text := fmt.Sprintf("agent %s is lost: %s", e.Agent, e.Reason)
	if n := len(e.Log); n > 0 {
		text += "; its last line: " + e.Log[n-1]
	}
	return text
}
