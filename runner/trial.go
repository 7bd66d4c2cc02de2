package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/clients/fleet"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/runner/judge"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

// trialSlack is how long a trial may take beyond its phases before it is given up: conforming a program for the first
// time, starting it, and what a stalled server can hold up.
const trialSlack = 60 * time.Second

// spec is one trial to be run.
type spec struct {
	round, position int
	variant         results.Variant
	step            string // of the sweep; empty in a run without one
	duet            *side  // nil of a trial by itself
}

// trialID names a trial and its directory.
func (r *run) trialID(s spec) string {
	return r.plan.TrialID(s.round, s.variant.Name, s.step)
}

// trial runs one scenario against one fresh server process and returns its record. It always returns one: what goes
// wrong is in Status and Failure.
func (r *run) trial(ctx context.Context, s spec) *results.Trial {
	t := &results.Trial{
		Schema: results.Schema, ID: r.trialID(s), Round: s.round,
		Position: s.position, Scenario: r.plan.Scenario.Name, Variant: s.variant.Name, Step: s.step, Started: time.Now().UTC(),
		Status: results.StatusDone, Verdict: validity.Invalid, Outcomes: map[string]int64{}, Metrics: map[string]float64{},
	}
	if s.duet != nil {
		t.Duet, t.DuetSlot = s.duet.partner, s.duet.slot.Index
	}
	defer func() { t.Seconds = time.Since(t.Started).Seconds() }()
	out, err := r.conduct(ctx, s, t)
	if err != nil {
		t.Status, t.Failure = results.StatusFailed, failureOf(err)
	}
	if broken(ctx) {
		t.Status = results.StatusInterrupted
	}
	if out == nil {
		return t
	}
	if len(out.Lost) > 0 { // also where there is nothing to record
		t.Checks = append(t.Checks, checks.Agents(agentIDs(out), out.Lost))
	}
	if len(out.Load) == 0 {
		return t
	}
	if err := r.record(s, t, out); err != nil && t.Status == results.StatusDone {
		t.Status, t.Failure = results.StatusFailed, failureOf(err)
	}
	return t
}

// conduct sends the plans through the fleet and collects what the agents measured into the trial's directory.
func (r *run) conduct(ctx context.Context, s spec, t *results.Trial) (*fleet.Outcome, error) {
	dir := r.dir.TrialDir(t.ID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("keeping trial: %w", err)
	}
	sc := r.plan.ScenarioOf(s.step)
	plan, err := json.Marshal(sut.Plan{
		Variant: s.variant, Protocol: sc.Protocol, Payload: sc.Payload, Push: pushFlags(sc), Work: sc.Work.Kind, CPUs: r.plan.Split.Server,
		Edges: EdgesOf(sc), CacheDir: r.config.CacheDir, Observe: r.observe(s), Replicas: sc.Replicas.Number(),
		Downstream: sut.PlanDownstream(sc, r.plan.Seed+uint64(s.round), r.plan.Split.Client),
	})
	if err != nil {
		return nil, fmt.Errorf("planning %s: %w", t.ID, err)
	}
	trial := fleet.Trial{
		ID: t.ID, SUT: plan, Dir: dir, Timeout: sc.Duration() + time.Duration(sc.Timeout) + trialSlack,
		Load: func(answer json.RawMessage, agent, agents int) (json.RawMessage, error) {
			var ready sut.Ready
			if err := json.Unmarshal(answer, &ready); err != nil {
				return nil, fmt.Errorf("reading the server's address: %w", err)
			}
			plan := r.loadPlan(s, ready.Addr, agent, agents)
			spread(&plan, ready.Addrs)
			return json.Marshal(plan)
		},
		Progress: func(role string, p json.RawMessage) { r.live.message(role, p) },
	}
	if s.duet != nil {
		trial.StartAt = s.duet.meeting.StartAt
		if s.duet.slot.Index > 0 {
			trial.Progress = nil // one of the two is shown
		}
	}
	return r.fleet.Conduct(ctx, trial)
}

// loadPlan is the plan of one load agent. The seed is the round's: every variant of a round sees the same arrivals. The
// body of every http1 reply is compared with the contract's; the client compares a frame with what it sent by itself.
func (r *run) loadPlan(s spec, addr string, agent, agents int) clients.Plan {
	sc := *r.plan.ScenarioOf(s.step)
	url := sc.Protocol + "://" + addr
	var body []byte
	switch sc.Protocol {
	case scenarios.WS:
		url += "/"
	case "http1":
		url = "http://" + addr + "/"
		if sc.Request.Method != "POST" { // whose own body is to be echoed
			body = wire.Payload(sc.Payload)
		}
	}
	p := clients.Plan{
		URL: url, CheckBody: body, MayDrop: sc.Pushes() && sc.Push.Overflow == "drop-oldest", Scenario: sc, Engine: r.plan.Engine, Seed: r.plan.Seed + uint64(s.round), Agent: agent,
		Agents: agents, Sources: host.SourceAddresses(&sc), Spin: !r.plan.Split.Shared && !sc.Work.Calls(), // the downstream has the client's CPUs too
	}
	if s.duet != nil {
		p.Slot = s.duet.slot
	}
	return p
}

// pushFlags are the server's flags for what it sends on its own; nil where it doesn't.
func pushFlags(s *scenarios.Scenario) []string {
	if !s.Pushes() {
		return nil
	}
	flags := []string{"--push-queue", strconv.Itoa(s.Push.Queue), "--push-overflow", s.Push.Overflow}
	if s.Push.Rate > 0 {
		flags = append(flags, "--push-rate", strconv.FormatFloat(float64(s.Push.Rate), 'f', -1, 64)+"/s")
	}
	return flags
}

// EdgesOf lists where the phases of a resolved scenario begin, "connect" first and "end" last.
func EdgesOf(s *scenarios.Scenario) []sut.Edge {
	edges := []sut.Edge{{Name: "connect"}}
	at := s.ConnectFor()
	for _, p := range s.Phases {
		edges = append(edges, sut.Edge{Name: p.Name, AtNs: int64(at)})
		at += time.Duration(p.For)
	}
	return append(edges, sut.Edge{Name: sut.EndEdge, AtNs: int64(at)})
}

// record turns what the agents answered into the trial's record.
func (r *run) record(s spec, t *results.Trial, out *fleet.Outcome) error {
	var load clients.Report
	if err := json.Unmarshal(out.Load[0], &load); err != nil {
		return fmt.Errorf("reading the load agent's report: %w", err)
	}
	var done sut.Done
	if len(out.SUTFinished) > 0 {
		if err := json.Unmarshal(out.SUTFinished, &done); err != nil {
			return fmt.Errorf("reading the sut agent's answer: %w", err)
		}
	}
	dir := r.dir.TrialDir(t.ID)
	if err := os.WriteFile(filepath.Join(dir, "load.json"), out.Load[0], 0o644); err != nil {
		return fmt.Errorf("keeping the load's report: %w", err)
	}
	copyLoad(t, &load)
	t.Downstream = done.Downstream
	readings, err := results.ReadReadings(filepath.Join(dir, "readings.jsonl"))
	if err != nil {
		t.Notes = append(t.Notes, "readings: "+err.Error())
	}
	t.Checks = checks.Merge(load.Checks, judge.Trial(judge.Evidence{
		Load: &load, Done: done, Readings: readings, ReadErr: err, Payload: r.plan.ScenarioOf(s.step).Payload, Cores: r.plan.Env.Cores,
		SkewNs: out.StartSkewNs, Agents: agentIDs(out), Lost: out.Lost, P99Ns: p99s(out),
		Plan: r.loadPlan(s, "", 0, len(out.Load)), Floor: r.config.Floor,
	}))
	if why := judge.Stalled(&load, done); why != "" && t.Status == results.StatusDone {
		t.Status, t.Failure = results.StatusFailed, &results.Failure{Reason: why, Log: done.Log}
	}
	t.Verdict, _ = validity.Judge(t.Checks)
	if t.Status != results.StatusDone {
		t.Verdict = validity.Invalid
	}
	t.Notes = append(t.Notes, done.Sampler.Notes...)
	r.config.Measure(t, readings, r.plan.ScenarioOf(s.step))
	return nil
}

func agentIDs(out *fleet.Outcome) []string {
	var ids []string
	for _, a := range out.Agents {
		ids = append(ids, a.ID)
	}
	return ids
}

// p99s are the response p99 of the load agents whose reports support one.
func p99s(out *fleet.Outcome) []int64 {
	var all []int64
	for _, data := range out.Load {
		var load clients.Report
		if json.Unmarshal(data, &load) == nil && load.ResponseNs.P99 != nil {
			all = append(all, *load.ResponseNs.P99)
		}
	}
	return all
}

// copyLoad takes over what the client measured.
func copyLoad(t *results.Trial, load *clients.Report) {
	t.Planned, t.Outcomes = load.Planned, load.Outcomes
	t.Response, t.Lag = load.ResponseNs, load.LagNs
	t.SecondsNs, t.IntervalNs = load.Seconds, load.IntervalNs
	for _, p := range load.Phases {
		t.Phases = append(t.Phases, results.Phase{
			Name: p.Name, Load: p.Load, Measure: p.Measure, FromNs: p.FromNs, ToNs: p.ToNs, Planned: p.Planned,
			Outcomes: p.Outcomes, OfferedRPS: p.OfferedRPS, AchievedRPS: p.AchievedRPS, Response: p.ResponseNs,
			Service: p.ServiceNs, Lag: p.LagNs, Connect: p.ConnectNs, DrainedNs: p.DrainedNs,
			Work: sideOf(p.Work), Bystander: sideOf(p.Bystander),
		})
	}
	copyPush(t, load.Push)
	for _, i := range load.Intervals {
		t.Intervals = append(t.Intervals, results.Interval{Planned: i.Planned, Sent: i.Sent, OK: i.OK, Failed: i.Failed, Opened: i.Opened, P99Ns: i.P99Ns})
	}
}

// copyPush takes over what the client's subscribers received, if it had any.
func copyPush(t *results.Trial, p *clients.PushReport) {
	if p == nil {
		return
	}
	t.Push = &results.Push{
		Subscribers: p.Subscribers, Subscriptions: p.Subscriptions, PushCounts: results.PushCounts(p.PushCounts), Expected: p.Expected, Lost: p.Lost,
		Away: p.Away, Delivery: p.DeliveryNs, Refused: p.Refused, Heartbeats: p.Heartbeats,
	}
	if s := p.Slow; s != nil {
		t.Push.Slow = &results.PushSlow{
			Subscribers: s.Subscribers, Subscriptions: s.Subscriptions, PushCounts: results.PushCounts(s.PushCounts), Expected: s.Expected, Lost: s.Lost,
		}
	}
	for i, ph := range p.Phases {
		if i < len(t.Phases) {
			t.Phases[i].Push = &results.PushPhase{PushCounts: results.PushCounts(ph.PushCounts), Delivery: ph.DeliveryNs}
		}
	}
}

func sideOf(s *clients.Side) *results.Side {
	if s == nil {
		return nil
	}
	return &results.Side{Planned: s.Planned, OK: s.OK, Response: s.ResponseNs}
}

// failureOf takes the server's last words from an error that carries them.
func failureOf(err error) *results.Failure {
	f := &results.Failure{Reason: err.Error()}
	var agent *fleet.AgentError
	if errors.As(err, &agent) {
		var details struct {
			Log []string `json:"log"`
		}
		if json.Unmarshal(agent.Details, &details) == nil {
			f.Log = details.Log
		}
	}
	return f
}
