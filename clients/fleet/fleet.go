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
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Executor does the work of one role in an agent's process. Its methods are called one after another; only the ctx of
// Prepare and Run may be cancelled meanwhile, to end them early. An error may implement
// interface{ Details() json.RawMessage }, such as the last lines of a log: the coordinator gets them in AgentError.
type Executor interface {
	// Prepare gets ready for a plan and answers what the others need (the sut: the server's address). spool is an empty
	// directory for files of this trial; all regular files in it, also in sub-directories, are collected after Finish.
	Prepare(ctx context.Context, plan json.RawMessage, spool string) (json.RawMessage, error)
	// Run works from t0 on (CLOCK_MONOTONIC ns of this host) and returns its result. progress may be called at any
	// time by any goroutine; it never blocks, and what can't be sent at once is dropped and counted. A cancelled ctx is
	// a normal end, not an error: Run returns what it has. A result beside an error reaches the coordinator too.
	Run(ctx context.Context, t0 int64, progress func(any)) (json.RawMessage, error)
	// Finish ends the trial after all agents' Runs are over (the sut: last readings, stop the server). It is always
	// called after a Prepare was attempted, also after errors, and, when the coordinator is gone, before the agent ends.
	Finish(ctx context.Context) (json.RawMessage, error)
}

// Roles are what an agent can be. There is at most one agent of the role "sut".
var Roles = []string{roleSUT, roleLoad}

const (
	roleSUT  = "sut"
	roleLoad = "load"
)

// Limits. Each keeps a fault of one process from becoming a fault of the host.
const (
	maxAgents       = 64        // in one coordinator
	maxPlanBytes    = 3 << 20   // a plan travels in one message
	maxPayloadBytes = 4 << 20   // of a NATS message; the server's own default is 1 MiB
	maxPendingBytes = 32 << 20  // queued in the server for one client
	maxResultBytes  = 64 << 20  // of one step, held in memory by the coordinator
	maxFileBytes    = 1 << 30   // of one collected file
	maxFiles        = 4096      // of one agent and trial; their list travels in one message
	maxNameBytes    = 512       // of a collected file's name
	chunkBytes      = 512 << 10 // of a file in one message
	maxErrorBytes   = 256 << 10 // of an executor error's message and details together
	maxProgress     = 64 << 10  // bytes of one progress message
	maxLogBytes     = 8 << 10   // kept of the end of an agent's standard error
	maxGreeting     = 64 << 10  // bytes of the first line on an agent's standard input
)

// Bounds on waiting. They are far above what an idle host needs, since a host of two cores under load is the normal case.
const (
	defaultLead    = 50 * time.Millisecond
	defaultTimeout = 10 * time.Minute
	defaultBeat    = 200 * time.Millisecond
	defaultLost    = 5 * time.Second
	defaultLease   = 5 * time.Second

	helloWithin  = 30 * time.Second // from exec to an agent's hello
	ackWithin    = 10 * time.Second // from a request to its answer
	stopWithin   = 10 * time.Second // from cancelling a step to its end
	fetchWithin  = 60 * time.Second // for the result of a step
	windUpWithin = 90 * time.Second // for finishing and collecting after a run
	finishWithin = 5 * time.Second  // for Finish when the coordinator is gone
	closeWithin  = 8 * time.Second  // from closing an agent's standard input to killing it
)

// maxClockErrorNs and maxClockProbes: a clock known no better than this can't start agents within the 5 ms of start skew
// that a valid trial allows.
const (
	maxClockErrorNs  = int64(5 * time.Millisecond)
	goodClockErrorNs = int64(200 * time.Microsecond)
	minClockProbes   = 5
	maxClockProbes   = 40
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

// ErrCoordinatorGone is what ServeAgent returns when the coordinator's heartbeats stopped or its connection broke.
var ErrCoordinatorGone = errors.New("the coordinator is gone")

// checkLoopback refuses a host that is not a loopback address. Names are refused too: they may resolve to anything.
func checkLoopback(host string) error {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil || !ip.Unmap().IsLoopback() {
		return fmt.Errorf("address %q: want a loopback address, 127.0.0.0/8 or ::1: agents on other hosts need TLS and keys, which are not offered yet", host)
	}
	return nil
}

func checkRole(role string) error {
	if !slices.Contains(Roles, role) {
		return fmt.Errorf("role %q: want one of %s", role, strings.Join(Roles, ", "))
	}
	return nil
}
