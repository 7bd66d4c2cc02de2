// Package reactor makes load with one locked thread and one epoll a shard, two system calls a request beside the shared
// waits, and no allocation per request. It needs Linux.
package reactor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/phases"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/clients/reactor/target"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/clients/secure"
	"github.com/millrace/millrace/internal/procfs"
)

const (
	// MaxShards is as many threads as a client needs to outrun any server on one host.
	MaxShards = 8
	// nobodyFor is how long no connection at all may open, while some failed, before the load is given up.
	nobodyFor = time.Second
	// openGrace is how long, beyond ConnectFor and beyond the last one that opened, StartWhenOpen waits for connections.
	openGrace = 5 * time.Second
	// settle is from the last connection open to the start of the phases.
	settle = 5 * time.Millisecond
)

// Engine is the main load engine. Its shards share connections and arrivals by their numbers, so that they never talk:
// with N agents of S shards, shard s of agent i has every connection and every arrival n ≡ i + N·s (mod N·S).
//
// It sends from as many threads as the process may use CPUs, up to MaxShards. GOMAXPROCS should be one more than that, so that
// no thread waits for the scheduler; the caller sets it, in the environment or before New.
type Engine struct {
	plan   *clients.Plan
	target *target.Target
	// congest is the congestion control that each socket is given, nil for the host's.
	congest []byte
	secure  *secure.Client // nil without TLS
	note    string         // why it is not the engine that was asked for; empty if it is
	shards  int
	rec     *recording.Recording

	// What the shards tell each other before the phases start, and what ends them.
	opened  atomic.Int64 // connections, ever
	failed  atomic.Int64 // attempts
	lastErr atomic.Int64 // errno of the last failed attempt
	// unsecured is the last failed handshake, unupgraded why the last upgrade to WebSocket was.
	unsecured  atomic.Pointer[secure.Failure]
	unupgraded atomic.Pointer[error]
	start      atomic.Int64 // CLOCK_MONOTONIC ns of the first phase; zero until known
	stop       atomic.Bool
	giveUp     atomic.Bool // nobody could connect
	once       sync.Once
	// lastOpen is when the last connection opened.
	lastOpen atomic.Int64
	// hold is told once, instead of begin being called.
	hold func(open int64)
	held sync.Once

	cpuFrom, cpuTo atomic.Int64
	congestion     atomic.Pointer[string]
}

var _ clients.Engine = (*Engine)(nil)

// New checks a plan and prepares its load. Nothing is opened before Run.
func New(plan *clients.Plan) (*Engine, error) {
	p := *plan
	p.Agents = max(p.Agents, 1)
	if p.Agent < 0 || p.Agent >= p.Agents {
		return nil, fmt.Errorf("preparing load: agent %d of %d: want 0 to %d", p.Agent, p.Agents, p.Agents-1)
	}
	resolved, err := p.Scenario.Resolve()
	if err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	p.Scenario = *resolved
	if err := p.CheckSlot(); err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	t, err := target.New(&p)
	if err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	congest, err := sys.CongestionToSet(t.Endpoints[0].Family, p.Congestion)
	if err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	if p.Scenario.Pushes() {
		return nil, fmt.Errorf("preparing load: protocol %s where the server sends on its own: that is the load of package push", p.Scenario.Protocol)
	}
	if p.Scenario.Protocol != t.Protocol {
		return nil, fmt.Errorf("preparing load: scenario's protocol is %s, but the URL %s is for %s", p.Scenario.Protocol, p.URL, t.Protocol)
	}
	mine := clients.Share(p.Scenario.Connections.Count, p.Agent, p.Agents)
	if mine == 0 {
		return nil, fmt.Errorf("preparing load: %d connections for %d agents: want at least one each", p.Scenario.Connections.Count, p.Agents)
	}
	threads := cpus()
	if p.Threads > 0 {
		threads = p.Threads
	}
	// The same for every agent, of which some have a connection more.
	shards := shardsFor(&p, min(threads, MaxShards, p.Scenario.Connections.Count/p.Agents))
	security, err := newSecurity(&p, t, shards)
	if err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	e := &Engine{plan: &p, target: t, congest: congest, secure: security, shards: shards}
	p.Engine, e.note = runnable(p.Engine)
	return e, nil
}

// shardsFor is the largest number of shards up to a limit whose shares of the active connections differ by less than
// 1 %, since they have equal shares of the arrivals.
func shardsFor(p *clients.Plan, limit int) int {
	for n := limit; n > 1; n-- {
		m := n * p.Agents
		if !slices.ContainsFunc(phases.Of(&p.Scenario), func(l phases.Phase) bool { return l.Active%m != 0 && l.Active/m < 100 }) {
			return n
		}
	}
	return 1
}

// Hold makes Run of a plan with StartWhenOpen wait for Start when its connections are open, or when there is no hope for the
// rest, and tells how many are. tell must not block. It must come before Run.
func (e *Engine) Hold(tell func(open int64)) { e.hold = tell }

// Start starts the phases of an engine that waits for it, at T0, a CLOCK_MONOTONIC time in ns.
func (e *Engine) Start(t0 int64) { e.begin(t0) }

// Run offers the load, as clients.Engine says. It may be called once, and not after RunPart.
func (e *Engine) Run(ctx context.Context, t0 int64) (*clients.Report, error) {
	facts, err := e.run(ctx, t0)
	if err != nil {
		return nil, err
	}
	report, err := e.rec.Report(facts)
	if err != nil {
		return report, fmt.Errorf("recording load: %w", err)
	}
	return report, nil
}

// RunPart does what Run does, for a report that is made of several agents' parts. The plan must have a LogDir.
func (e *Engine) RunPart(ctx context.Context, t0 int64) (*recording.Part, error) {
	facts, err := e.run(ctx, t0)
	if err != nil {
		return nil, err
	}
	part, err := e.rec.Part(facts)
	if err != nil {
		return nil, fmt.Errorf("recording load: %w", err)
	}
	return part, nil
}

// run offers the load. Without an error there is something to report.
func (e *Engine) run(ctx context.Context, t0 int64) (recording.Facts, error) {
	rec, err := recording.NewRecording(e.plan, e.shards)
	if err != nil {
		return recording.Facts{}, fmt.Errorf("preparing load: %w", err)
	}
	e.rec = rec
	shards, err := e.newShards(t0)
	if err != nil {
		rec.Abandon()
		return recording.Facts{}, fmt.Errorf("preparing load: %w", err)
	}
	// Not before: once begun, a recording ends with its shards only.
	if !e.plan.StartWhenOpen {
		e.begin(t0)
	} else if e.plan.Scenario.OpensLater() {
		e.ready(max(procfs.Monotonic(), t0))
	}
	defer context.AfterFunc(ctx, func() { e.stop.Store(true) })()
	var wg sync.WaitGroup
	for _, s := range shards {
		wg.Go(s.run)
	}
	wg.Wait()
	if e.start.Load() != 0 {
		for _, s := range shards {
			s.settle()
		}
	}
	if e.start.Load() == 0 || e.giveUp.Load() {
		rec.Abandon()
		return recording.Facts{}, e.nobody(ctx)
	}
	return e.facts(shards), nil
}

// ready starts the phases at T0, unless somebody else is to say when.
func (e *Engine) ready(t0 int64) {
	if e.hold == nil {
		e.begin(t0)
		return
	}
	e.held.Do(func() { e.hold(e.opened.Load()) })
}

// Progress tells how it goes.
func (e *Engine) Progress() clients.Progress {
	if e.start.Load() == 0 {
		return clients.Progress{Phase: "connect", Open: e.opened.Load()}
	}
	return e.rec.Progress()
}

// begin fixes T0 and with it the start of the phases. The first call counts.
func (e *Engine) begin(t0 int64) {
	e.once.Do(func() {
		e.rec.Begin(t0)
		e.start.Store(t0 + e.rec.Timeline().Start())
	})
}

func (e *Engine) newShards(t0 int64) ([]*shard, error) {
	var shards []*shard
	for i := range e.shards {
		s, err := newShard(e, i, t0)
		if err != nil {
			for _, s := range shards {
				s.io.free()
			}
			return nil, err
		}
		shards = append(shards, s)
	}
	return shards, nil
}

func (e *Engine) facts(shards []*shard) recording.Facts {
	f := recording.Facts{
		Engine:      e.plan.Engine,
		Note:        e.note,
		CPUSeconds:  float64(e.cpuTo.Load()-e.cpuFrom.Load()) / 1e9,
		Interrupted: e.stop.Load(),
	}
	for _, s := range shards {
		f.EndNs = max(f.EndNs, s.now)
	}
	if name := e.congestion.Load(); name != nil {
		f.Congestion = *name
	}
	f.Stamped = stampedOf(shards)
	if e.secure != nil {
		f.Engine = secureName
		f.TLS, f.Handshakes = secureReport(e.secure, shards)
	}
	return f
}

// nobody is the error of a load that measured nothing.
func (e *Engine) nobody(ctx context.Context) error {
	if f := e.unsecured.Load(); f != nil && e.opened.Load() == 0 {
		return fmt.Errorf("securing a connection to %s: %w", e.target.Name, f)
	}
	if err := e.unupgraded.Load(); err != nil && e.opened.Load() == 0 {
		return fmt.Errorf("connecting to %s: %w; does the server speak WebSocket at this path?", e.target.Name, *err)
	}
	if errno := syscall.Errno(e.lastErr.Load()); errno != 0 && e.opened.Load() == 0 {
		return fmt.Errorf("connecting to %s: %w: no connection could be opened in %v (%d attempts); is the server listening there?",
			e.target.Name, errno, nobodyFor, e.failed.Load())
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("connecting to %s: %w before the first phase", e.target.Name, err)
	}
	return fmt.Errorf("connecting to %s: connections were not open in time", e.target.Name)
}

// cpus is how many CPUs the process may use.
func cpus() int {
	list, err := procfs.Affinity()
	if err != nil {
		return 1
	}
	return max(len(list), 1)
}
