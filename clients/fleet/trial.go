package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
)

// Trial is one trial to conduct.
type Trial struct {
	// ID names the trial in errors and messages.
	ID string
	// SUT is the plan of the sut agent; nil conducts the load alone, against whatever Load says.
	SUT json.RawMessage
	// Load makes the plan of one load agent, its index in [0, agents), from what the sut answered to Prepare. It is
	// called once for every load agent, one after another.
	Load func(sut json.RawMessage, agent, agents int) (json.RawMessage, error)
	// Dir gets the collected files, of the sut and of the load alike. With several load agents those of load agent i are
	// in Dir/load-i. Files of these names are replaced. Empty collects none.
	Dir string
	// Lead is the time from the last agent being ready to T0. Default 50 ms.
	Lead time.Duration
	// StartAt decides T0, a CLOCK_MONOTONIC time in ns, once all agents are ready; earliest is what it would be otherwise, and
	// the least it may be. An error ends the trial before it starts. Nil takes earliest; see package meeting.
	StartAt func(ctx context.Context, earliest int64) (t0 int64, err error)
	// Timeout bounds the trial from Prepare to the end of the run; finishing and collecting is bounded apart. Default 10 min.
	Timeout time.Duration
	// Progress gets what the executors say while they run, one call at a time, none after Conduct has returned. A slow
	// callback loses messages.
	Progress func(role string, p json.RawMessage)
}

// Outcome is what a trial brought. After an error it holds what there is.
type Outcome struct {
	SUTPrepared json.RawMessage
	SUTRun      json.RawMessage
	SUTFinished json.RawMessage
	// Load[i], LoadPrepared[i] and LoadFinished[i] are of load agent i; nil where it returned nothing.
	Load         []json.RawMessage
	LoadPrepared []json.RawMessage
	LoadFinished []json.RawMessage
	// T0 is CLOCK_MONOTONIC ns; zero if the trial did not get that far.
	T0 int64
	// StartSkewNs is the latest start of an agent after T0; zero if all were waiting for it.
	StartSkewNs int64
	// Agents that took part, the sut first, then the load agents in their order.
	Agents []AgentInfo
	// Lost are the IDs of those that were lost; if any, the trial is void.
	Lost []string
	// ProgressDropped counts progress messages lost on the way, at the agents and here.
	ProgressDropped int64
}

// attempt is a trial under way.
type attempt struct {
	t    Trial
	out  *Outcome
	sut  *member // nil without one
	load []*member
	all  []*member // sut first
	// begun are those on which Prepare was attempted: they are finished whatever happens.
	begun []*member
	mu    sync.Mutex // guards errs
	errs  []error
}

// Conduct runs one trial: prepare the sut, then the load; start all at T0; when all load agents are done, end the sut's Run;
// finish; collect. The Outcome is never nil. A cancelled ctx ends the run early: what was measured is still collected, and
// the error wraps ctx's. Other errors hold an *AgentError or a *LostError where an agent is to blame.
func (c *Coordinator) Conduct(ctx context.Context, t Trial) (*Outcome, error) {
	if !c.conducting.TryLock() {
		return &Outcome{}, fmt.Errorf("conducting trial %s: another one is under way", t.ID)
	}
	defer c.conducting.Unlock()
	if t.Lead == 0 {
		t.Lead = defaultLead
	}
	if t.Timeout == 0 {
		t.Timeout = defaultTimeout
	}
	a := &attempt{t: t, out: &Outcome{}}
	if err := a.muster(c.members()); err != nil {
		return a.out, fmt.Errorf("conducting trial %s: %w", t.ID, err)
	}
	dropped, _ := c.progressed.Dropped()
	c.follow(t.Progress)
	limited, cancel := context.WithTimeoutCause(ctx, t.Timeout, fmt.Errorf("not over within %v: %w", t.Timeout, context.DeadlineExceeded))
	if err := a.prepare(limited); err != nil {
		a.blame(err)
	} else {
		a.run(limited)
	}
	if limited.Err() != nil {
		a.blame(context.Cause(limited))
	}
	cancel()
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), windUpWithin)
	defer cancel()
	a.windUp(ctx)
	c.follow(nil)
	now, _ := c.progressed.Dropped()
	a.out.ProgressDropped = int64(now - dropped)
	a.settle()
	if err := errors.Join(a.errs...); err != nil {
		return a.out, fmt.Errorf("conducting trial %s: %w", t.ID, err)
	}
	return a.out, nil
}

// muster picks the agents, all of which must be alive.
func (a *attempt) muster(members []*member) error {
	for _, m := range members {
		if m.info.Role == protocol.RoleSUT {
			if a.t.SUT == nil {
				continue
			}
			a.sut = m
			a.all = slices.Insert(a.all, 0, m)
		} else {
			m.info.Index = len(a.load)
			a.load = append(a.load, m)
			a.all = append(a.all, m)
		}
		if m.ctx.Err() != nil {
			a.errs = append(a.errs, context.Cause(m.ctx))
		}
	}
	n := len(a.load)
	a.out.Load, a.out.LoadPrepared, a.out.LoadFinished = make([]json.RawMessage, n), make([]json.RawMessage, n), make([]json.RawMessage, n)
	switch {
	case len(a.errs) > 0:
		a.settle()
		return errors.Join(a.errs...)
	case a.t.SUT != nil && a.sut == nil:
		return errors.New("no sut agent: spawn one first")
	case n == 0 || a.t.Load == nil:
		return errors.New("no load: spawn a load agent and set Trial.Load")
	}
	for _, m := range a.all {
		m.info.StartLateNs, m.info.ProgressDropped = 0, 0
	}
	return nil
}

// blame keeps an error, each once.
func (a *attempt) blame(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil && !slices.ContainsFunc(a.errs, func(e error) bool { return errors.Is(e, err) || e.Error() == err.Error() }) {
		a.errs = append(a.errs, err)
	}
}

// prepare readies the sut, then all load agents at once, and probes the clocks.
func (a *attempt) prepare(ctx context.Context) error {
	if a.sut != nil {
		result, err := a.ready(ctx, a.sut, a.t.SUT)
		a.out.SUTPrepared = result
		if err != nil {
			return err
		}
	}
	plans := make([]json.RawMessage, len(a.load))
	for i := range a.load {
		var err error
		if plans[i], err = a.t.Load(a.out.SUTPrepared, i, len(a.load)); err != nil {
			return fmt.Errorf("planning the load: %w", err)
		}
	}
	errs := each(a.load, func(i int, m *member) (err error) {
		a.out.LoadPrepared[i], err = a.ready(ctx, m, plans[i])
		return err
	})
	for _, m := range a.all {
		if errs == nil {
			errs = m.probeClock(ctx)
		}
	}
	return errs
}

func (a *attempt) ready(ctx context.Context, m *member, plan json.RawMessage) (json.RawMessage, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(plan) > maxPlanBytes {
		return nil, fmt.Errorf("preparing agent %s: a plan of %d bytes, want at most %d", m.info.ID, len(plan), maxPlanBytes)
	}
	seq, err := m.begin(ctx, a.t.ID, protocol.VerbPrepare, plan)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.begun = append(a.begun, m)
	a.mu.Unlock()
	result, _, err := m.await(ctx, a.t.ID, protocol.VerbPrepare, seq)
	return result, err
}

// run arms all agents and waits for them. Errors are blamed; results are in the outcome.
func (a *attempt) run(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	loadCtx, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	sutCtx, stopSUT := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSUT()
	t0, err := protocol.Monotonic()+int64(a.t.Lead), error(nil)
	if a.t.StartAt != nil {
		t0, err = a.t.StartAt(ctx, t0)
	}
	if err != nil {
		a.blame(err)
		return
	}
	a.out.T0 = t0
	// Marshalling a number can't fail.
	arming, _ := json.Marshal(protocol.Arming{T0Ns: t0})
	var loads, sut sync.WaitGroup
	for _, m := range a.all {
		seq, err := m.begin(ctx, a.t.ID, protocol.VerbRun, arming)
		if err != nil {
			a.blame(err)
			stopLoad()
			break
		}
		group, until, into := &loads, loadCtx, &a.out.SUTRun
		if m == a.sut {
			group, until = &sut, sutCtx
		} else {
			into = &a.out.Load[m.info.Index]
		}
		group.Go(func() {
			result, d, err := m.await(until, a.t.ID, protocol.VerbRun, seq)
			*into = result
			m.info.StartLateNs, m.info.ProgressDropped = max(0, d.StartedNs-a.out.T0), d.Dropped
			if err != nil {
				a.blame(err)
				stopLoad()
			}
		})
	}
	loads.Wait()
	stopSUT()
	sut.Wait()
}

// windUp finishes every agent that was prepared and collects its files.
func (a *attempt) windUp(ctx context.Context) {
	a.blame(each(a.begun, func(_ int, m *member) error {
		if m.ctx.Err() != nil {
			return context.Cause(m.ctx)
		}
		result, err := m.do(ctx, a.t.ID, protocol.VerbFinish, nil)
		if m == a.sut {
			a.out.SUTFinished = result
		} else {
			a.out.LoadFinished[m.info.Index] = result
		}
		return err
	}))
	if a.t.Dir == "" {
		return
	}
	c, err := newCollector(a.t.Dir)
	if err != nil {
		a.blame(err)
		return
	}
	for _, m := range a.begun {
		under := ""
		if m != a.sut && len(a.load) > 1 {
			under = fmt.Sprintf("load-%d", m.info.Index)
		}
		if m.ctx.Err() == nil {
			a.blame(c.from(ctx, m, under))
		}
	}
	a.blame(c.root.Close())
}

// settle writes what became of the agents into the outcome.
func (a *attempt) settle() {
	for _, m := range a.all {
		a.out.Agents = append(a.out.Agents, m.info)
		a.out.StartSkewNs = max(a.out.StartSkewNs, m.info.StartLateNs)
		a.out.ProgressDropped += m.info.ProgressDropped
		if m.ctx.Err() != nil {
			a.out.Lost = append(a.out.Lost, m.info.ID)
			a.blame(context.Cause(m.ctx))
		}
	}
}

// each calls f for all members at once and joins the errors.
func each(members []*member, f func(int, *member) error) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { errs[i] = f(i, m) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
