package known

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/scenarios"
)

// Server is a reflector that runs, here or in another process. Both of reflect's are.
type Server interface {
	URL() string
	Counts() (reflect.Counts, error)
	// Process is the id of the process that it runs in.
	Process() int
	Close() error
}

var (
	_ Server = (*reflect.Reflector)(nil)
	_ Server = (*reflect.Remote)(nil)
)

// tlsEngine is the engine that speaks TLS and nothing else.
const tlsEngine = "tls"

// Bench is what cases are run with.
type Bench struct {
	// Engine is one of clients.Engines, and New makes it.
	Engine string
	New    func(*clients.Plan) (clients.Engine, error)
	// Start starts a reflector. It is called by several goroutines.
	Start func(reflect.Script) (Server, error)
	// Spin has clients and reflectors spin in cases that predict times, as the client does in a run: where each has CPUs of its
	// own.
	Spin bool
	// Prepare, where it is set, changes the plan of a case before its engine is made.
	Prepare func(*clients.Plan)
	// Tries is how often a case is run until it passes, at least once: a host may be busy with something else.
	Tries int
	// QuietWithin is how long a case that went wrong waits for a quiet host before it is run again.
	QuietWithin time.Duration
	// Dir is for the logs of one trial at a time, which are removed again.
	Dir string
}

// Result is how a case came out.
type Result struct {
	Case   string `json:"case"`
	Engine string `json:"engine"`
	Passed bool   `json:"passed"`
	// Tries is how often it was run; the answers are of the last time, Earlier has what was wrong in those before.
	Tries   int      `json:"tries"`
	Earlier []string `json:"earlier,omitempty"`
	Answers []Answer `json:"answers"`
	// Books is what is wrong in the trial's accounts, and Error why there was no trial.
	Books []string `json:"books,omitempty"`
	Error string   `json:"error,omitempty"`
	// Instead is why this engine is held to another answer than the right one; with Skipped it can't run the case at all.
	Instead string `json:"instead,omitempty"`
	Skipped bool   `json:"skipped,omitempty"`
	// Others is the share of one CPU that other programs, and the hypervisor, took during the last try, and Stalled the share of
	// its time that the reflector's CPU stood still for a millisecond or more, which no guest is told of. Disturbed is whether
	// one of them was beyond QuietShare or StallShare in every try of a case that did not pass: then nobody knows whose
	// fault it is.
	Others    float64 `json:"others_cpu_share"`
	Stalled   float64 `json:"stalled_share"`
	Disturbed bool    `json:"disturbed,omitempty"`
}

// Run runs cases one after the other, those that may be together at once, and hands each result to told, in the order of
// the cases within each of the two. It ends early with ctx.
func (b *Bench) Run(ctx context.Context, cases []Case, told func(Result)) error {
	var beside []Case
	for _, c := range cases {
		if c.Beside {
			beside = append(beside, c)
			continue
		}
		r := b.retry(ctx, c)
		if ctx.Err() != nil {
			return fmt.Errorf("running known answers: %w", ctx.Err())
		}
		told(r)
	}
	results := make([]Result, len(beside))
	var wg sync.WaitGroup
	for i, c := range beside {
		wg.Go(func() { results[i] = b.retry(ctx, c) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("running known answers: %w", ctx.Err())
	}
	for _, r := range results {
		told(r)
	}
	return nil
}

// retry runs a case until it passes, up to Tries times. Where others were at work on the host, it waits for them a while.
func (b *Bench) retry(ctx context.Context, c Case) Result {
	var earlier []string
	undisturbed := false
	for n := 1; ; n++ {
		r := b.once(ctx, c)
		r.Tries, r.Earlier = n, earlier
		undisturbed = undisturbed || r.Others <= QuietShare && r.Stalled <= StallShare
		if r.Passed || n >= b.Tries || ctx.Err() != nil {
			r.Disturbed = !r.Passed && !undisturbed
			return r
		}
		earlier = append(earlier, r.Wrong())
		awaitQuiet(ctx, b.QuietWithin)
	}
}

// Wrong says in a line what did not come out; empty if all did.
func (r *Result) Wrong() string {
	var out []string
	if r.Error != "" {
		out = append(out, r.Error)
	}
	for _, a := range r.Answers {
		if !a.OK {
			out = append(out, a.String())
		}
	}
	return strings.Join(append(out, r.Books...), "; ")
}

// once runs a case and judges it.
func (b *Bench) once(ctx context.Context, c Case) Result {
	r := Result{Case: c.Name, Engine: b.Engine}
	e := c.Except[b.Engine]
	if r.Instead = e.Reason; e.Skip {
		r.Skipped, r.Passed = true, true
		return r
	}
	t, err := b.trial(ctx, c, &r)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	t.Exception = e
	r.Answers, r.Books = c.Judge(t), identity(t)
	r.Passed = r.Wrong() == ""
	return r
}

// trial starts the reflector, runs the load and reads what was recorded. It notes how busy the host was in the result.
func (b *Bench) trial(ctx context.Context, c Case, r *Result) (t *Trial, err error) {
	script := c.Script
	script.Body, script.TLS, script.Spin = []byte(body), b.Engine == tlsEngine, b.Spin && !c.Beside
	server, err := b.Start(script)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	dir, err := os.MkdirTemp(b.Dir, "known-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the logs: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if t, err = c.plan(b.Engine, server.URL(), dir); err != nil {
		return nil, err
	}
	t.Plan.Spin = script.Spin && b.Engine != "vegeta" // which can't
	if b.Prepare != nil {
		b.Prepare(t.Plan)
	}
	engine, err := b.New(t.Plan)
	if err != nil {
		return nil, err
	}
	runtime.GC() // what the last case left must not be collected in this one
	host, err := watchHost(server)
	if err != nil {
		return nil, err
	}
	if t.Report, err = engine.Run(ctx, procfs.Monotonic()); err != nil {
		return nil, err
	}
	if t.Report.Engine != b.Engine {
		return nil, fmt.Errorf("engine %s was not checked: %s", b.Engine, t.Report.EngineNote)
	}
	if r.Others, err = host.others(server); err != nil {
		return nil, err
	}
	if t.Served, err = server.Counts(); err != nil {
		return nil, err
	}
	r.Stalled = float64(t.Served.Stalled) / float64(procfs.Monotonic()-host.at)
	if t.Response, err = measured(filepath.Join(dir, "response.hlog")); err != nil {
		return nil, err
	}
	t.Service, err = measured(filepath.Join(dir, "service.hlog"))
	return t, err
}

// plan is the load of a case.
func (c *Case) plan(engine, url, dir string) (*Trial, error) {
	s := scenarios.Scenario{
		Name: "known", Why: c.Name, Protocol: c.Script.Protocol, Payload: len(body),
		Connections: scenarios.Connections{Count: c.Connections, Pipeline: c.Pipeline},
		Timeout:     scenarios.Duration(c.Timeout), Phases: c.Phases,
	}
	if c.Share > 0 {
		s.Work = scenarios.Work{Kind: "sleep=" + c.Script.WorkDelay.String(), Share: c.Share}
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.Name, err)
	}
	p := &clients.Plan{URL: url, Engine: engine, Scenario: *resolved, Seed: queueSeed, Agents: 1, StartWhenOpen: true, LogDir: dir}
	if c.Script.Protocol == "http1" {
		p.CheckBody = []byte(body)
	}
	if engine == tlsEngine {
		p.TLS = &clients.TLS{Insecure: true} // the reflector's certificate is its own
	}
	return &Trial{Plan: p}, nil
}

// measured reads the log of the measured phase.
func measured(path string) (*hist.Histogram, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := hist.ReadLog(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Base(path), err)
	}
	h := hist.New()
	for _, e := range entries {
		if e.Tag == loadPhase {
			h.Merge(e.Histogram)
		}
	}
	return h, nil
}
