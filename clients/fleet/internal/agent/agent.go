// Package agent is the agents' side of a fleet: it serves one coordinator with one executor.
package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
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

// ErrCoordinatorGone is what Serve returns when the coordinator's heartbeats stopped or its connection broke.
var ErrCoordinatorGone = errors.New("the coordinator is gone")

// finishWithin bounds the end of a step, and Finish after it, when the coordinator is gone.
const finishWithin = 5 * time.Second

// Options of an agent. The address and the credentials come on the first line of standard input, never on a
// command line or in the environment, where others could read them.
type Options struct {
	Role string // one of Roles, and what the coordinator spawned it for
	// Stdin is the life line: its end stops the agent. Default os.Stdin.
	Stdin io.Reader
}

var errStdinEnded = errors.New("standard input ended")

// agent serves one coordinator with one executor.
type agent struct {
	protocol.Greeting
	exec     Executor
	nc       *nats.Conn
	life     context.Context // ends when the coordinator is gone or the agent is told to end
	end      context.CancelCauseFunc
	steps    chan *step
	progress *progress
	// handlers answer the verbs of the service, with bytes or with what becomes JSON.
	handlers map[string]func(micro.Request) (any, error)

	mu       sync.Mutex
	current  *step // nil between steps
	trial    string
	prepared bool // Prepare was attempted and Finish was not
	ran      bool
}

// step is one call of the executor.
type step struct {
	seq    int64
	verb   string
	call   func(ctx context.Context) (json.RawMessage, error)
	ctx    context.Context
	cancel context.CancelFunc
	over   chan struct{} // closed when the call has returned
}

// Serve runs an agent until its standard input ends, which is its normal end, ctx is cancelled, or the coordinator
// is gone (ErrCoordinatorGone). A Run under way is then cancelled and Finish called, bounded by a few seconds, so that
// nothing the executor started stays behind. An executor that doesn't return in time is left behind: end the process.
func Serve(ctx context.Context, o Options, exec Executor) error {
	if err := protocol.CheckRole(o.Role); err != nil {
		return fmt.Errorf("serving an agent: %w", err)
	}
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	in := bufio.NewReaderSize(o.Stdin, protocol.MaxGreetingBytes)
	g, err := readGreeting(in, o.Role)
	if err != nil {
		return fmt.Errorf("serving the %s agent: %w", o.Role, err)
	}
	a := newAgent(ctx, g, exec)
	defer a.end(nil)
	go func() {
		// Nothing more is expected; how it ends does not matter.
		_, _ = io.Copy(io.Discard, in)
		a.end(errStdinEnded)
	}()
	if err := a.serve(); err != nil {
		return fmt.Errorf("serving agent %s: %w", g.Agent, err)
	}
	return nil
}

func newAgent(ctx context.Context, g protocol.Greeting, exec Executor) *agent {
	a := &agent{Greeting: g, exec: exec, steps: make(chan *step, 1), progress: newProgress()}
	a.life, a.end = context.WithCancelCause(ctx)
	a.handlers = map[string]func(micro.Request) (any, error){
		protocol.VerbPrepare: a.onPrepare, protocol.VerbClock: onClock, protocol.VerbRun: a.onRun, protocol.VerbStop: a.onStop,
		protocol.VerbFinish: a.onFinish, protocol.VerbList: a.onList, protocol.VerbRead: a.onRead, protocol.VerbDrop: a.onDrop,
	}
	return a
}

func readGreeting(in *bufio.Reader, role string) (protocol.Greeting, error) {
	var g protocol.Greeting
	line, err := in.ReadSlice('\n')
	if err != nil {
		return g, fmt.Errorf("reading the coordinator's line from standard input: %w (agents are started by the coordinator)", err)
	}
	if err := json.Unmarshal(line, &g); err != nil {
		return g, fmt.Errorf("reading the coordinator's line from standard input: %w (agents are started by the coordinator)", err)
	}
	if g.Protocol != protocol.Version || g.Role != role {
		return g, fmt.Errorf("checking the coordinator's line: role %q and protocol %d, want %q and %d", g.Role, g.Protocol, role, protocol.Version)
	}
	u, err := url.Parse(g.URL)
	if err != nil {
		return g, fmt.Errorf("checking the coordinator's address: %w", err)
	}
	return g, protocol.CheckLoopback(u.Hostname())
}

// serve connects, answers until life ends, and winds up.
func (a *agent) serve() error {
	nc, err := nats.Connect(a.URL, nats.Name(a.Agent), nats.UserInfo(a.Agent, a.Password), nats.Timeout(protocol.HelloWithin),
		// The server is in the coordinator: if it is gone, so is the coordinator. The beat makes pings needless.
		nats.NoReconnect(), nats.PingInterval(time.Hour),
		nats.ClosedHandler(func(*nats.Conn) { a.end(ErrCoordinatorGone) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { fmt.Fprintln(os.Stderr, "agent:", err) }))
	if err != nil {
		return fmt.Errorf("connecting to the coordinator at %s: %w", a.URL, err)
	}
	a.nc = nc
	defer nc.Close()
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { a.progress.send(a.life, nc, protocol.Subject(a.Agent, protocol.VerbProgress)) })
	defer a.end(nil)
	svc, err := micro.AddService(nc, micro.Config{Name: protocol.ServiceName, Version: "1.0.0", Description: "does the work of one role in a trial",
		Metadata: map[string]string{"agent": a.Agent, "role": a.Role}, QueueGroupDisabled: true})
	if err != nil {
		return fmt.Errorf("offering the service: %w", err)
	}
	// The connection may be gone already, and the service with it.
	defer func() { _ = svc.Stop() }()
	if err := a.announce(svc); err != nil {
		return err
	}
	for {
		select {
		case s := <-a.steps:
			go a.work(s)
			select {
			case <-s.over:
				continue
			case <-a.life.Done():
			}
		case <-a.life.Done():
		}
		err := a.windUp()
		if cause := context.Cause(a.life); cause != errStdinEnded {
			err = errors.Join(cause, err)
		}
		return err
	}
}

// announce offers what the service answers, hears the beat and says hello.
func (a *agent) announce(svc micro.Service) error {
	group := svc.AddGroup("millrace." + a.Agent)
	for verb, handle := range a.handlers {
		if err := group.AddEndpoint(verb, answer(handle)); err != nil {
			return fmt.Errorf("offering %s: %w", verb, err)
		}
	}
	if err := a.keepLease(); err != nil {
		return fmt.Errorf("hearing the coordinator's beat: %w", err)
	}
	if err := a.nc.Flush(); err != nil {
		return fmt.Errorf("offering the service: %w", err)
	}
	return a.publish(protocol.VerbHello, protocol.Hello{Protocol: protocol.Version, Role: a.Role, PID: os.Getpid(), Service: svc.Info().ID})
}

// answer makes a handler of a function that returns bytes or what becomes JSON.
func answer(handle func(micro.Request) (any, error)) micro.HandlerFunc {
	return func(r micro.Request) {
		v, err := handle(r)
		if err == nil {
			if b, ok := v.([]byte); ok {
				err = r.Respond(b)
			} else {
				err = r.RespondJSON(v)
			}
		}
		if err != nil {
			// If this can't be sent either, the coordinator notices the missing answer.
			_ = r.Error("409", err.Error(), nil)
		}
	}
}

// keepLease answers every beat and ends the agent's life when none has come for the lease. The last look is half a lease
// later, so that a pause of the whole process does not count against the coordinator.
func (a *agent) keepLease() error {
	lease := time.Duration(a.LeaseNs)
	var mu sync.Mutex
	var timer *time.Timer
	last := false
	timer = time.AfterFunc(lease, func() {
		mu.Lock()
		defer mu.Unlock()
		if last {
			a.end(fmt.Errorf("%w: no beat for %v", ErrCoordinatorGone, lease))
			return
		}
		last = true
		timer.Reset(lease / 2)
	})
	context.AfterFunc(a.life, func() { timer.Stop() })
	alive := protocol.Subject(a.Agent, protocol.VerbAlive)
	_, err := a.nc.Subscribe(protocol.BeatSubject, func(*nats.Msg) {
		mu.Lock()
		last = false
		timer.Reset(lease)
		mu.Unlock()
		// A broken connection ends the life by its own handler.
		_ = a.nc.Publish(alive, nil)
	})
	return err
}

func (a *agent) publish(verb string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.nc.Publish(protocol.Subject(a.Agent, verb), data)
}

// windUp ends the step under way and calls Finish if a Prepare was attempted.
func (a *agent) windUp() error {
	a.mu.Lock()
	s, finish := a.current, a.prepared
	a.prepared = false
	a.mu.Unlock()
	select {
	case <-a.steps:
		s = nil // accepted and not begun
	default:
	}
	if s != nil {
		s.cancel()
		if !within(finishWithin, s.over) {
			return fmt.Errorf("ending %s: still at work after %v", s.verb, finishWithin)
		}
	}
	if !finish {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), finishWithin)
	defer cancel()
	over := make(chan struct{})
	var err error
	go func() {
		defer close(over)
		_, err = a.exec.Finish(ctx)
	}()
	if !within(finishWithin, over) {
		return fmt.Errorf("finishing: still at work after %v", finishWithin)
	}
	return err
}

// within reports whether c was closed in time.
func within(d time.Duration, c <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}
