// Package vegeta is the reference load engine: vegeta's attacker and net/http's transport, whose code is others', held to
// this project's terms. Where the epoll engine and this one differ, one of them is wrong.
//
// Vegeta starts its clock when a worker picks a request up, so that what waits for a worker looks fast. Here
//
//	response time = Latency + (Timestamp − intended)
//
// Where:
//
//	Latency, Timestamp = vegeta's own, Timestamp being the pick-up
//	intended           = when the schedule says that request was due
//
// A worker is a connection: both are limited to connections.count, and neither waits for the other. All connections are
// opened beforehand and handed to the transport when it asks; one that the server closes is replaced when a request needs
// it. The transport takes the connection that was free last, so that at low rates most sit idle.
//
// Plan.Spin is ignored.
package vegeta

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
)

// name is this engine's in clients.Engines and in reports.
const name = "vegeta"

// Engine makes the load of one plan with vegeta's attacker. Run may be called once; Progress at any time by anyone.
type Engine struct {
	plan        *clients.Plan
	target      *target
	connections int // of this agent
	rec         atomic.Pointer[recording.Recording]
}

var _ clients.Engine = (*Engine)(nil)

// New returns the engine for a plan. What vegeta can't do is an error that names it and the engine that can. The plan must
// not be changed until Run has returned.
func New(plan *clients.Plan) (*Engine, error) {
	if err := supported(plan); err != nil {
		return nil, fmt.Errorf("preparing engine vegeta: %w", err)
	}
	t, err := newTarget(plan)
	if err != nil {
		return nil, fmt.Errorf("preparing engine vegeta: %w", err)
	}
	n := clients.Share(plan.Scenario.Connections.Count, plan.Agent, plan.Agents)
	if n == 0 {
		return nil, fmt.Errorf("preparing engine vegeta: connections.count %d leaves none for agent %d of %d: want at least %d", plan.Scenario.Connections.Count, plan.Agent, plan.Agents, plan.Agents)
	}
	return &Engine{plan: plan, target: t, connections: n}, nil
}

// Progress tells how it goes. It is empty before Run has begun.
func (e *Engine) Progress() clients.Progress {
	if rec := e.rec.Load(); rec != nil {
		return rec.Progress()
	}
	return clients.Progress{}
}

// Run makes the load, as clients.Engine says. When it returns, all its goroutines are ending and its connections closed.
func (e *Engine) Run(ctx context.Context, t0 int64) (*clients.Report, error) {
	procs := min(runtime.GOMAXPROCS(0), runtime.NumCPU())
	rec, err := recording.NewRecording(e.plan, procs)
	if err != nil {
		return nil, fmt.Errorf("preparing engine vegeta: %w", err)
	}
	tl := rec.Timeline()
	j := newJournal(e.plan, e.target, rec, procs, e.connections)
	d := newDialer(e.plan, e.target, e.connections, j)
	defer d.close()
	if !waitUntil(t0, ctx.Done()) {
		rec.Abandon()
		return nil, fmt.Errorf("waiting for the start: %w", ctx.Err())
	}
	d.open(ctx)
	if e.plan.StartWhenOpen {
		if err := d.wait(ctx); err != nil {
			rec.Abandon()
			return nil, fmt.Errorf("opening connections: %w", err)
		}
		t0 = procfs.Monotonic() + headStart
	}
	j.begin(t0)
	e.rec.Store(rec)
	return e.attack(ctx, rec, j, d, tl, t0)
}

// attack runs from T0 to the end of the last phase.
func (e *Engine) attack(ctx context.Context, rec *recording.Recording, j *journal, d *dialer, tl *recording.Timeline, t0 int64) (*clients.Report, error) {
	// Requests outlive ctx by a moment, so that those in flight at the end are told apart from those that failed.
	base, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(nil)
	over := make(chan struct{})
	p := newPacer(e.plan, tl, t0+tl.Start(), j, over)
	tr := newTransport(e.plan, e.target, d, j, base, e.connections)
	a := vegeta.NewAttacker(
		vegeta.Client(&http.Client{Transport: tr, CheckRedirect: stay}),
		vegeta.Workers(uint64(e.connections)), vegeta.MaxWorkers(uint64(e.connections)), vegeta.MaxBody(-1))

	var cpu int64
	interrupted := !waitUntil(t0+tl.Start()-headStart, ctx.Done())
	cpu, _ = procfs.CPUTime(0)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for r := range a.Attack(e.target.next, p, 0, "") {
			j.finish(r.Seq, r.Timestamp, r.Latency)
		}
	}()
	if !interrupted {
		interrupted = !waitUntil(t0+tl.End(), ctx.Done())
	}
	end := j.stop()
	cpuEnd, _ := procfs.CPUTime(0)
	close(over)
	a.Stop()
	giveUp(errOver)
	<-drained
	tr.close()
	d.close()
	j.close(p, end)

	report, err := rec.Report(recording.Facts{
		Engine: name, EndNs: end, Interrupted: interrupted, CPUSeconds: float64(cpuEnd-cpu) / 1e9,
		Congestion: d.congestion(), Goroutines: true,
		Limited: j.waited, Limit: fmt.Sprintf("all %d workers, one a connection, being busy", e.connections),
	})
	report.Judge(retryCheck(tr.retries.Load()))
	return report, err
}

// headStart is when before the first phase the attacker starts its workers.
const headStart = int64(20 * time.Millisecond)

// stay keeps the client from following redirects: the reply to what was sent is the reply.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// retryCheck tells whether the transport sent a request twice. It is kept from it, so a retry is a fault of this engine.
func retryCheck(retries int64) validity.Check {
	c := validity.Check{Name: "silent retry", State: validity.OK, Value: float64(retries), Unit: "requests"}
	if retries > 0 {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("net/http's transport tried %d requests again on another connection", retries)
		c.Remedy = "use --engine epoll, and please report it"
	}
	return c
}

// never is later than any time.
const never = int64(math.MaxInt64)
