package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/capacity"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/scenarios"
)

// prober runs the trials of a search or of a sweep, one after the other, each with a fresh engine.
type prober struct {
	ctx     context.Context
	plan    *clients.Plan // what all trials have in common; its phases are of no interest
	reword  func(*clients.Report)
	poisson bool
	// patience is the least time that the last replies of a trial are waited for.
	patience time.Duration
	n        uint64 // trials so far
}

// The waits of a prober.
const (
	// drainExtra is how much longer than a trial its replies may take to come: at twice the capacity they take as long.
	drainExtra = time.Second
	// lookEvery is how often it is looked whether all replies have come. An engine tells ten times a second.
	lookEvery = 20 * time.Millisecond
	// probeFor is the length of a look whether the server is at rest, and restTries how many there may be.
	probeFor  = 100 * time.Millisecond
	restTries = 50
	// restRatio: a server is at rest when its response time to a single connection no longer falls by more than this from
	// one look to the next.
	restRatio = 1.5
)

// trial runs a step. It ends when every request is answered, so that the next one finds the server idle, or when waiting
// for that has lasted as long as the trial. An error is one of the engine, or of an interrupted trial.
func (p *prober) trial(step capacity.Step) (capacity.Measured, time.Duration, error) {
	from := time.Now()
	arrivals := scenarios.Arrivals{Constant: scenarios.Rate(step.Rate)}
	switch {
	case step.Kind == capacity.Closed:
		arrivals = scenarios.Arrivals{Closed: true}
	case p.poisson:
		arrivals = scenarios.Arrivals{Poisson: scenarios.Rate(step.Rate)}
	}
	report, err := p.load(arrivals, step.Length, p.plan.Scenario.Connections.Count)
	if report == nil {
		return capacity.Measured{}, 0, err
	}
	m := capacity.Measure(report, p.plan.Scenario.Connections.Requests == 0)
	if m.Unanswered > 0 && p.plan.Scenario.Connections.Requests == 0 {
		err = p.rest()
	}
	return m, time.Since(from), err
}

// load offers arrivals for a time, and then nothing until the last reply has come.
func (p *prober) load(arrivals scenarios.Arrivals, length time.Duration, connections int) (*clients.Report, error) {
	plan := *p.plan
	s := plan.Scenario.Clone()
	s.Connections.Count = connections
	drain := min(time.Duration(s.Timeout), max(length+drainExtra, p.patience))
	s.Phases = []scenarios.Phase{
		{Name: "load", Load: "steady", For: scenarios.Duration(length), Arrivals: arrivals, Measure: true, Active: 100},
		{Name: drainPhase, Load: "steady", For: scenarios.Duration(max(drain, probeFor)), Active: 100},
	}
	plan.Scenario = *s
	plan.Seed += p.n
	p.n++
	engine, err := newEngine(&plan)
	if err != nil {
		return nil, usage(err)
	}
	runtime.GC() // between trials, so that none is needed within one
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	go endWhenDrained(ctx, engine, cancel)
	report, err := engine.Run(ctx, procfs.Monotonic())
	switch {
	case p.ctx.Err() != nil:
		return nil, errors.New("interrupted")
	case err != nil:
		return nil, err
	}
	holdAgainstFloor(&plan, report)
	p.reword(report)
	return report, nil
}

// drainPhase is the name of the phase in which nothing is offered.
const drainPhase = "drain"

// endWhenDrained ends a load when its engine told twice in the drain phase that nothing was in flight: once could be between
// a reply and the next request of a queue.
func endWhenDrained(ctx context.Context, engine clients.Engine, end func()) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for idleAt := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := engine.Progress()
		switch {
		case now.Phase != drainPhase || now.InFlight > 0:
			idleAt = 0
		case idleAt == 0:
			idleAt = now.TNs
		case now.TNs > idleAt:
			end()
			return
		}
	}
}

// rest waits until a server that was left with unanswered requests has worked them off: until its response time to a single
// connection stops falling.
func (p *prober) rest() error {
	last := 0.0
	for range restTries {
		report, err := p.load(scenarios.Arrivals{Closed: true}, probeFor, 1)
		if err != nil {
			return fmt.Errorf("waiting for the server to come to rest: %w", err)
		}
		now := report.Phases[0].ResponseNs.Mean
		if now > 0 && last > 0 && last <= restRatio*now {
			return nil
		}
		last = now
	}
	return nil // a server that never is at rest shows it in every trial
}
