package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/nats-io/nats.go"
)

// Options of a coordinator. The zero value is the default.
type Options struct {
	// Listen is the address of the embedded NATS server, a loopback one. Default 127.0.0.1. The port is a free one.
	Listen string
	// Spool is where a directory for the agents' files is made. Default os.TempDir.
	Spool string
	// Beat is the time between heartbeats, 200 ms by default. A beat goes to every agent, which answers it: one wake-up
	// of an agent serves its lease and its sign of life.
	Beat time.Duration
	// Lost is how long an agent may leave beats unanswered, 5 s by default and at least three beats. What counts is the
	// number of beats that this process sent, so a pause of the whole host loses nobody. It is far more than three
	// beats because an agent on a busy CPU may not run for hundreds of ms; a process that ended is known at once.
	Lost time.Duration
	// Lease is how long an agent goes on without a beat, 5 s by default.
	Lease time.Duration
}

func (o Options) resolve() (Options, error) {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1"
	}
	def(&o.Beat, defaultBeat)
	def(&o.Lost, defaultLost)
	def(&o.Lease, defaultLease)
	if o.Beat < 10*time.Millisecond || o.Lost < 3*o.Beat || o.Lease < 3*o.Beat {
		return o, fmt.Errorf("beat %v, lost %v, lease %v: want a beat of at least 10ms, and lost and lease of at least three beats", o.Beat, o.Lost, o.Lease)
	}
	return o, protocol.CheckLoopback(o.Listen)
}

// Coordinator owns the message server and the agents. Its methods may be called by several goroutines; one trial is
// conducted at a time.
type Coordinator struct {
	o     Options
	bus   *bus
	nc    *nats.Conn
	spool string

	mu     sync.Mutex
	slots  []*slot
	spawns int
	closed bool

	hellos     chan *nats.Msg // of agents that are being spawned
	spawning   sync.Mutex     // one agent is started at a time
	conducting sync.Mutex     // one trial
	progressMu sync.Mutex     // held while progress is called
	progress   func(role string, p json.RawMessage)
	progressed *nats.Subscription

	stopBeat chan struct{}
	beating  sync.WaitGroup
	close    func() error
}

// slot is the place of an agent; the agent in it changes when it is lost and spawned again.
type slot struct {
	spec Agent
	m    atomic.Pointer[member]
}

// Start starts the message server. Cancelling ctx does not end it; Close does.
func Start(ctx context.Context, o Options) (*Coordinator, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o, err := o.resolve()
	if err != nil {
		return nil, fmt.Errorf("starting the coordinator: %w", err)
	}
	c := &Coordinator{o: o, stopBeat: make(chan struct{}), hellos: make(chan *nats.Msg, maxAgents)}
	c.close = sync.OnceValue(c.shutDown)
	if c.spool, err = os.MkdirTemp(o.Spool, "millrace-spool-"); err != nil {
		return nil, fmt.Errorf("making the spool: %w", err)
	}
	if c.bus, err = startBus(o.Listen); err == nil {
		c.nc, err = c.bus.connect()
	}
	if err == nil {
		err = c.listen()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the coordinator: %w", err), c.Close())
	}
	c.beating.Add(1)
	go c.beat()
	return c, nil
}

// URL is the address of the message server, without credentials.
func (c *Coordinator) URL() string { return c.bus.server.ClientURL() }

// listen subscribes to all that agents say on their own.
func (c *Coordinator) listen() error {
	handlers := map[string]func(*member, *nats.Msg){
		protocol.VerbAlive:    func(m *member, _ *nats.Msg) { m.unanswered.Store(0) },
		protocol.VerbDone:     func(m *member, msg *nats.Msg) { m.ended(msg.Data) },
		protocol.VerbProgress: c.pass,
	}
	for verb, handle := range handlers {
		s, err := c.nc.Subscribe(protocol.Subject("*", verb), func(msg *nats.Msg) {
			if m := c.member(protocol.AgentOf(msg.Subject)); m != nil {
				handle(m, msg)
			}
		})
		if err != nil {
			return err
		}
		if verb == protocol.VerbProgress {
			c.progressed = s
			if err := s.SetPendingLimits(1024, maxPayloadBytes); err != nil {
				return err
			}
		}
	}
	if _, err := c.nc.ChanSubscribe(protocol.Subject("*", protocol.VerbHello), c.hellos); err != nil {
		return err
	}
	return c.nc.Flush()
}

// pass hands a progress message to the trial's callback.
func (c *Coordinator) pass(m *member, msg *nats.Msg) {
	c.progressMu.Lock()
	defer c.progressMu.Unlock()
	if c.progress != nil {
		c.progress(m.info.Role, msg.Data)
	}
}

// follow sets the callback; after follow(nil) none is under way.
func (c *Coordinator) follow(f func(string, json.RawMessage)) {
	c.progressMu.Lock()
	defer c.progressMu.Unlock()
	c.progress = f
}

// member returns the agent of that name, nil if there is none.
func (c *Coordinator) member(name string) *member {
	for _, m := range c.members() {
		if m.info.ID == name {
			return m
		}
	}
	return nil
}

// members are the agents in the order of their slots, lost ones included.
func (c *Coordinator) members() []*member {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*member
	for _, s := range c.slots {
		if m := s.m.Load(); m != nil {
			all = append(all, m)
		}
	}
	return all
}

// beat sends heartbeats, and declares those agents lost that left too many unanswered.
func (c *Coordinator) beat() {
	defer c.beating.Done()
	tick := time.NewTicker(c.o.Beat)
	defer tick.Stop()
	limit := int64(c.o.Lost / c.o.Beat)
	for {
		select {
		case <-c.stopBeat:
			return
		case <-tick.C:
		}
		for _, m := range c.members() {
			if m.ctx.Err() == nil && m.unanswered.Add(1) > limit {
				m.fail(fmt.Sprintf("it answered none of the last %d heartbeats (%v)", limit, c.o.Lost))
			}
		}
		// A broken connection shows in every request; nothing to do about it here.
		_ = c.nc.Publish(protocol.BeatSubject, nil)
	}
}

// Spawn starts an agent and returns when it can be asked. It takes the place of a lost agent of its role, if there is one.
func (c *Coordinator) Spawn(ctx context.Context, a Agent) error {
	if err := a.validate(); err != nil {
		return fmt.Errorf("spawning an agent: %w", err)
	}
	c.spawning.Lock()
	defer c.spawning.Unlock()
	s, err := c.place(a)
	if err != nil {
		return fmt.Errorf("spawning the %s agent: %w", a.Role, err)
	}
	return c.fill(ctx, s)
}

// Respawn starts a new agent for every lost one, as Spawn was told to then.
func (c *Coordinator) Respawn(ctx context.Context) error {
	c.spawning.Lock()
	defer c.spawning.Unlock()
	c.mu.Lock()
	slots := append([]*slot(nil), c.slots...)
	c.mu.Unlock()
	for _, s := range slots {
		if m := s.m.Load(); m == nil || m.ctx.Err() != nil {
			if err := c.fill(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// place finds or makes the slot for a.
func (c *Coordinator) place(a Agent) (*slot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.slots {
		m := s.m.Load()
		if s.spec.Role != a.Role {
			continue
		}
		if m == nil || m.ctx.Err() != nil {
			s.spec = a
			return s, nil
		}
		if a.Role == protocol.RoleSUT {
			return nil, fmt.Errorf("agent %s is alive: want one agent of this role", m.info.ID)
		}
	}
	if len(c.slots) >= maxAgents {
		return nil, fmt.Errorf("%d agents already: want at most %d", len(c.slots), maxAgents)
	}
	s := &slot{spec: a}
	c.slots = append(c.slots, s)
	return s, nil
}

// fill puts a new agent into s. The old one, if any, is gone when it returns.
func (c *Coordinator) fill(ctx context.Context, s *slot) error {
	if old := s.m.Load(); old != nil {
		<-old.process.exited
		if err := os.RemoveAll(c.spoolOf(old.info.ID)); err != nil {
			return fmt.Errorf("removing the spool of agent %s: %w", old.info.ID, err)
		}
	}
	c.mu.Lock()
	c.spawns++
	name, closed := fmt.Sprintf("%s-%d", s.spec.Role, c.spawns), c.closed
	c.mu.Unlock()
	if closed {
		return errors.New("spawning an agent: the coordinator is closed")
	}
	m, err := c.enlist(ctx, s.spec, name)
	if err != nil {
		return fmt.Errorf("spawning agent %s with %s: %w", name, s.spec.Command[0], err)
	}
	s.m.Store(m)
	return nil
}

// Close ends the agents (by closing their standard input, and by force after 12 s) and the server. It may be called
// again, and while a trial is conducted, which then fails.
func (c *Coordinator) Close() error { return c.close() }

func (c *Coordinator) shutDown() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.spawning.Lock() // a spawn under way ends first: it is in no list yet
	defer c.spawning.Unlock()
	var wg sync.WaitGroup
	members := c.members()
	errs := make([]error, len(members))
	for i, m := range members {
		wg.Go(func() {
			errs[i] = m.process.end()
			<-m.ctx.Done()
		})
	}
	wg.Wait()
	close(c.stopBeat)
	c.beating.Wait()
	if c.nc != nil {
		c.nc.Close()
	}
	if c.bus != nil {
		c.bus.stop()
	}
	if err := os.RemoveAll(c.spool); err != nil {
		errs = append(errs, fmt.Errorf("removing the spool: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the coordinator: %w", err)
	}
	return nil
}

func (c *Coordinator) spoolOf(agent string) string { return filepath.Join(c.spool, agent) }
