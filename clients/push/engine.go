// Package push is the load of protocol push, or of ws where the server sends on its own: connections that subscribe, and then receive what the server sends on its own. It
// counts the frames by their numbers, and takes the time from the sender's clock to their arrival where both are on this host.
//
// Like package reactor it has a locked thread and an epoll for each shard, and allocates nothing for a frame. It needs Linux.
package push

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/target"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/clients/request"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

const (
	// maxShards is as many threads as one host's server keeps busy.
	maxShards = 8
	// nobodyFor is how long no connection at all may open, while some failed, before the load is given up.
	nobodyFor = time.Second
	// openGrace is how long, beyond ConnectFor, StartWhenOpen waits for the last connections.
	openGrace = 5 * time.Second
	// settle is from the last connection open to the start of the phases.
	settle = 5 * time.Millisecond
)

// engineName is the one that this is a part of, in clients.Engines.
const engineName = "epoll"

// Engine receives. Its shards share the connections by their numbers: with N agents of S shards, shard s of agent i has every
// connection n ≡ i + N·s (mod N·S).
type Engine struct {
	plan      *clients.Plan
	target    *target.Target
	subscribe [][]byte // by endpoint
	websocket bool
	beat      []byte
	shards    int
	rec       *recording.Recording

	// What the shards tell each other before the phases start, and what ends them.
	opened  atomic.Int64          // connections, ever
	failed  atomic.Int64          // attempts
	lastErr atomic.Int64          // errno of the last failed attempt
	refusal atomic.Pointer[error] // why the last upgrade to WebSocket failed
	start   atomic.Int64          // CLOCK_MONOTONIC ns of the first phase; zero until known
	stop    atomic.Bool
	giveUp  atomic.Bool // nobody could connect
	once    sync.Once
}

var _ clients.Engine = (*Engine)(nil)

// New checks a plan and prepares its load. Nothing is opened before Run.
func New(plan *clients.Plan) (*Engine, error) {
	p := *plan
	p.Agents = max(p.Agents, 1)
	resolved, err := p.Scenario.Resolve()
	if err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	p.Scenario = *resolved
	if err := p.CheckSlot(); err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	mine := clients.Share(p.Scenario.Connections.Count, p.Agent, p.Agents)
	switch {
	case p.Agent < 0 || p.Agent >= p.Agents:
		return nil, fmt.Errorf("preparing load: agent %d of %d: want 0 to %d", p.Agent, p.Agents, p.Agents-1)
	case p.Engine != engineName:
		return nil, fmt.Errorf("preparing load: engine %s: the load of protocol %s has engine %s only", p.Engine, p.Scenario.Protocol, engineName)
	case mine == 0:
		return nil, fmt.Errorf("preparing load: %d connections for %d agents: want at least one each", p.Scenario.Connections.Count, p.Agents)
	case p.Scenario.Connections.Renew > 0:
		return nil, fmt.Errorf("preparing load: connections.renew %v of subscribers: want none: subscribers stay", p.Scenario.Connections.Renew)
	}
	requests, err := request.Of(&p)
	if err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	if requests[0].Scheme != p.Scenario.Protocol || !p.Scenario.Pushes() {
		return nil, fmt.Errorf("preparing load: scenario's protocol is %s, but the URL %s is for %s", p.Scenario.Protocol, p.URL, requests[0].Scheme)
	}
	e := &Engine{plan: &p, websocket: p.Scenario.Protocol == scenarios.WS}
	if e.target, err = target.New(&p); err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	if len(e.target.Endpoints) < len(requests) {
		return nil, fmt.Errorf("preparing load: %d URLs for %d hosts and ports: want one channel for each", len(requests), len(e.target.Endpoints))
	}
	for i := range requests {
		frame := wire.AppendSubscribe(nil, requests[i].Channel)
		if e.websocket {
			frame = wire.AppendWSFrame(nil, wire.WSBinary, subscribeMask, frame[wire.FrameHead-8:])
		}
		e.subscribe = append(e.subscribe, frame)
	}
	e.beat = heartbeat(e.websocket)
	list, err := procfs.Affinity()
	if err != nil {
		list = []int{0}
	}
	if e.shards = min(max(len(list), 1), maxShards, mine); p.Threads > 0 {
		e.shards = min(e.shards, p.Threads)
	}
	return e, nil
}

// Run receives, as clients.Engine says. It may be called once.
func (e *Engine) Run(ctx context.Context, t0 int64) (*clients.Report, error) {
	rec, err := recording.NewRecording(e.plan, e.shards)
	if err != nil {
		return nil, fmt.Errorf("preparing load: %w", err)
	}
	e.rec = rec
	var shards []*shard
	for i := range e.shards {
		s, err := newShard(e, i, t0)
		if err != nil {
			for _, s := range shards {
				s.poll.Close()
			}
			rec.Abandon()
			return nil, fmt.Errorf("preparing load: %w", err)
		}
		shards = append(shards, s)
	}
	// Not before: once begun, a recording ends with its shards only.
	if !e.plan.StartWhenOpen {
		e.begin(t0)
	}
	defer context.AfterFunc(ctx, func() { e.stop.Store(true) })()
	cpu := procfsCPU()
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
		return nil, e.nobody(ctx)
	}
	f := recording.Facts{Engine: engineName, CPUSeconds: float64(procfsCPU()-cpu) / 1e9, Interrupted: e.stop.Load()}
	for _, s := range shards {
		f.EndNs = max(f.EndNs, s.now)
		for i := range s.counts {
			f.Received += s.counts[i].Received
		}
	}
	report, err := rec.Report(f)
	e.complete(report, shards, f.EndNs)
	if err != nil {
		return report, fmt.Errorf("recording load: %w", err)
	}
	return report, nil
}

// procfsCPU is the CPU time of this process in ns; zero where it can't be read.
func procfsCPU() int64 {
	ns, _ := procfs.CPUTime(0)
	return ns
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

// nobody is the error of a load that measured nothing.
func (e *Engine) nobody(ctx context.Context) error {
	if err := e.refusal.Load(); err != nil && e.opened.Load() == 0 {
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
