package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// AgentInfo says what an agent is and how well it kept time in a trial.
type AgentInfo struct {
	ID    string `json:"id"` // sut-1
	Role  string `json:"role"`
	Index int    `json:"index"` // among the agents of its role
	PID   int    `json:"pid"`
	CPUs  []int  `json:"cpus,omitempty"`
	Nice  int    `json:"nice"` // as granted
	// ClockOffsetNs is its clock − the coordinator's, true within ± ClockErrorNs. It is measured and not applied: the
	// clocks of one host are the same.
	ClockOffsetNs int64 `json:"clock_offset_ns"`
	ClockErrorNs  int64 `json:"clock_error_ns"`
	// StartLateNs is how long after T0 its Run was called; zero if before, as it should be.
	StartLateNs int64 `json:"start_late_ns"`
	// ProgressDropped counts progress messages that could not be sent at once.
	ProgressDropped int64 `json:"progress_dropped"`
}

// member is the coordinator's side of one agent. Its steps are asked for by one goroutine at a time.
type member struct {
	info       AgentInfo // ID and Role never change; the rest belongs to the trial under way
	nc         *nats.Conn
	process    *process
	unanswered atomic.Int64 // beats since the last sign of life
	dones      chan protocol.Done
	seq        int64
	// ctx ends when the agent is gone, with a *LostError as its cause.
	ctx  context.Context
	lose context.CancelCauseFunc
}

// enlist starts the agent's process, waits for its hello and looks it up by discovery.
func (c *Coordinator) enlist(ctx context.Context, a Agent, name string) (*member, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, protocol.HelloWithin, fmt.Errorf("no hello within %v: %w", protocol.HelloWithin, context.DeadlineExceeded))
	defer cancel()
	if err := os.Mkdir(c.spoolOf(name), 0o700); err != nil {
		return nil, fmt.Errorf("making its spool: %w", err)
	}
	password := c.bus.grants.add(name, agentPermissions(name))
	defer c.bus.grants.remove(name)
	p, err := startProcess(a, protocol.Greeting{Protocol: protocol.Version, URL: c.URL(), Agent: name, Role: a.Role,
		Password: password, Spool: c.spoolOf(name), LeaseNs: int64(c.o.Lease)})
	if err != nil {
		return nil, err
	}
	m := &member{nc: c.nc, process: p, dones: make(chan protocol.Done, 8), info: AgentInfo{ID: name, Role: a.Role, CPUs: a.CPUs, Nice: p.nice}}
	m.ctx, m.lose = context.WithCancelCause(context.Background())
	go m.mourn()
	if err := m.meet(ctx, c.hellos); err != nil {
		p.kill()
		<-p.exited
		return nil, err
	}
	return m, nil
}

// mourn waits for the process to end.
func (m *member) mourn() {
	<-m.process.exited
	reason := "its process ended by itself"
	if m.process.told.Load() {
		reason = "the coordinator was closed"
	} else if err := m.process.err; err != nil {
		reason = fmt.Sprintf("its process ended: %v", err)
	}
	m.lose(&LostError{Agent: m.info.ID, Role: m.info.Role, Reason: reason, Log: m.process.lines()})
}

// fail gives the agent up for the reason and kills it, so that it can't go on making load.
func (m *member) fail(reason string) {
	m.lose(&LostError{Agent: m.info.ID, Role: m.info.Role, Reason: reason + "; killed", Log: m.process.lines()})
	m.process.kill()
}

// meet waits for this agent's hello and checks that what said it is the agent wanted.
func (m *member) meet(ctx context.Context, hellos <-chan *nats.Msg) error {
	var h protocol.Hello
	for h.Protocol == 0 {
		select {
		case msg := <-hellos:
			if protocol.AgentOf(msg.Subject) != m.info.ID {
				continue // of one that was given up
			}
			if err := json.Unmarshal(msg.Data, &h); err != nil {
				return fmt.Errorf("reading its hello: %w", err)
			}
		case <-m.ctx.Done():
			return context.Cause(m.ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if h.Protocol != protocol.Version || h.Role != m.info.Role {
		return fmt.Errorf("checking its hello: role %q and protocol %d, want %q and %d: build agent and coordinator together",
			h.Role, h.Protocol, m.info.Role, protocol.Version)
	}
	m.info.PID = h.PID
	where, err := micro.ControlSubject(micro.InfoVerb, protocol.ServiceName, h.Service)
	if err != nil {
		return fmt.Errorf("discovering it: %w", err)
	}
	var info micro.Info
	if err := m.ask(ctx, &nats.Msg{Subject: where}, &info); err != nil {
		return fmt.Errorf("discovering it: %w", err)
	}
	if info.Metadata["agent"] != m.info.ID {
		return fmt.Errorf("discovering it: service %s belongs to %q", h.Service, info.Metadata["agent"])
	}
	return nil
}

// request sends msg to the agent and returns its answer, bounded by ctx, ackWithin and the agent's life.
func (m *member) request(ctx context.Context, msg *nats.Msg) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.ctx, func() { cancel(context.Cause(m.ctx)) })()
	ctx, release := context.WithTimeoutCause(ctx, ackWithin, errUnanswered)
	defer release()
	reply, err := m.nc.RequestMsgWithContext(ctx, msg)
	switch {
	case err == nil:
		return reply.Data, protocol.Rejection(reply)
	case m.ctx.Err() != nil:
		return nil, context.Cause(m.ctx)
	case errors.Is(err, nats.ErrNoResponders):
		// It has left; its process follows at once.
		timer := time.AfterFunc(stopWithin, func() { m.fail("it offers its service no more") })
		<-m.ctx.Done()
		timer.Stop()
		return nil, context.Cause(m.ctx)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, err
}

var errUnanswered = fmt.Errorf("no answer within %v", ackWithin)

// ask is request with an answer in JSON.
func (m *member) ask(ctx context.Context, msg *nats.Msg, into any) error {
	data, err := m.request(ctx, msg)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// begin asks for a step and returns its sequence number. Whatever goes wrong, the agent is either not working on the step
// or lost.
func (m *member) begin(ctx context.Context, trial, verb string, data []byte) (int64, error) {
	m.seq++
	seq := m.seq
	hash := protocol.Hash(data)
	msg := &nats.Msg{Subject: protocol.Subject(m.info.ID, verb), Data: data, Header: nats.Header{
		protocol.HeaderTrial: {trial}, protocol.HeaderSeq: {strconv.FormatInt(seq, 10)}, protocol.HeaderHash: {hash}}}
	reply, err := m.request(context.WithoutCancel(ctx), msg)
	var a protocol.Ack
	switch {
	case errors.Is(err, errUnanswered):
		m.fail(fmt.Sprintf("it did not acknowledge %s within %v", verb, ackWithin))
		return 0, context.Cause(m.ctx)
	case m.ctx.Err() != nil:
		return 0, context.Cause(m.ctx)
	case err != nil:
		return 0, fmt.Errorf("asking agent %s to %s: %w", m.info.ID, verb, err)
	}
	if err := json.Unmarshal(reply, &a); err != nil || a.Seq != seq || a.SHA256 != hash {
		m.fail(fmt.Sprintf("it acknowledged something else than the %s it was asked for", verb))
		return 0, context.Cause(m.ctx)
	}
	return seq, nil
}

// await waits for the end of a step and returns its result. When ctx ends first, the step is told to end, which is no
// error, and has stopWithin; after that the agent is given up. A result may stand beside an *AgentError.
func (m *member) await(ctx context.Context, trial, verb string, seq int64) (json.RawMessage, protocol.Done, error) {
	told := ctx.Done()
	var patience <-chan time.Time
	for {
		select {
		case d := <-m.dones:
			if d.Seq != seq {
				continue // of a step given up
			}
			result, err := m.result(ctx, d)
			if d.Error != nil {
				err = errors.Join(&AgentError{m.info.ID, m.info.Role, verb, d.Error.Message, d.Error.Details}, err)
			}
			return result, d, err
		case <-m.ctx.Done():
			return nil, protocol.Done{}, context.Cause(m.ctx)
		case <-told:
			told = nil
			timer := time.NewTimer(stopWithin)
			defer timer.Stop()
			patience = timer.C
			// An agent that does not hear it runs into stopWithin.
			_, _ = m.request(context.WithoutCancel(ctx), &nats.Msg{Subject: protocol.Subject(m.info.ID, protocol.VerbStop),
				Header: nats.Header{protocol.HeaderTrial: {trial}, protocol.HeaderSeq: {strconv.FormatInt(seq, 10)}}})
		case <-patience:
			m.fail(fmt.Sprintf("it did not end %s within %v of being told to", verb, stopWithin))
		}
	}
}

// result fetches what a step returned, nil if nothing.
func (m *member) result(ctx context.Context, d protocol.Done) (json.RawMessage, error) {
	if d.Result == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchWithin)
	defer cancel()
	var b buffer
	if err := m.fetch(ctx, protocol.ResultsDir, *d.Result, protocol.MaxResultBytes, &b); err != nil {
		return nil, fmt.Errorf("fetching the result of agent %s: %w", m.info.ID, err)
	}
	if !json.Valid(b) {
		return nil, fmt.Errorf("reading the result of agent %s: not JSON", m.info.ID)
	}
	return json.RawMessage(b), nil
}

// do is begin and await.
func (m *member) do(ctx context.Context, trial, verb string, data []byte) (json.RawMessage, error) {
	seq, err := m.begin(ctx, trial, verb, data)
	if err != nil {
		return nil, err
	}
	result, _, err := m.await(ctx, trial, verb, seq)
	return result, err
}

// ended takes in a done message.
func (m *member) ended(data []byte) {
	var d protocol.Done
	if err := json.Unmarshal(data, &d); err != nil {
		m.fail(fmt.Sprintf("its done message can't be read: %v", err))
		return
	}
	select {
	case m.dones <- d:
	default:
		m.fail("it reported more steps than it was asked for")
	}
}

// probeClock exchanges timestamps until the error is small or the probes are used up, and keeps the sample with the
// shortest round trip.
func (m *member) probeClock(ctx context.Context) error {
	var best probe
	for i := range maxClockProbes {
		var r protocol.ClockReply
		p := probe{sentNs: protocol.Monotonic()}
		if err := m.ask(ctx, &nats.Msg{Subject: protocol.Subject(m.info.ID, protocol.VerbClock)}, &r); err != nil {
			return fmt.Errorf("probing the clock of agent %s: %w", m.info.ID, err)
		}
		p.arrivedNs, p.answeredNs, p.receivedNs = r.ReceivedNs, r.SentNs, protocol.Monotonic()
		if i == 0 || p.errorNs() < best.errorNs() {
			best = p
		}
		if i+1 >= minClockProbes && best.errorNs() <= goodClockErrorNs {
			break
		}
	}
	m.info.ClockOffsetNs, m.info.ClockErrorNs = best.offsetNs(), best.errorNs()
	if best.errorNs() > maxClockErrorNs {
		return fmt.Errorf("probing the clock of agent %s: known to ±%v after %d probes, want ±%v: the host is too busy",
			m.info.ID, time.Duration(best.errorNs()), maxClockProbes, time.Duration(maxClockErrorNs))
	}
	if off := best.offsetNs(); off > best.errorNs() || off < -best.errorNs() {
		return fmt.Errorf("probing the clock of agent %s: it differs by %v ± %v: run agents in the coordinator's time namespace",
			m.info.ID, time.Duration(off), time.Duration(best.errorNs()))
	}
	return nil
}
