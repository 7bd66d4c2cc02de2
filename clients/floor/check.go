package floor

import (
	"fmt"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// Limit is how much of the floor's maximum a load may take before its figures are doubted: with half of its time to spare
// the client keeps its pace.
const Limit = 0.5

// CheckName is the name of the check.
const CheckName = "floor"

// Kinds are what a plan's measured phases with requests are to the client, each once. The scenario must be resolved.
func Kinds(p *clients.Plan) []Kind {
	var kinds []Kind
	seen := map[Kind]bool{}
	for i, ph := range p.Scenario.Phases {
		if k := kindOf(p, i, max(p.Scenario.Payload, len(p.Body))); ph.Measure && offers(ph.Arrivals) && !seen[k] {
			seen[k] = true
			kinds = append(kinds, k)
		}
	}
	return kinds
}

func offers(a scenarios.Arrivals) bool { return a != scenarios.Arrivals{} }

// kindOf is what phase i of a plan is to one agent's client.
func kindOf(p *clients.Plan, i, payload int) Kind {
	s := &p.Scenario
	k := Kind{Engine: p.Engine, Protocol: s.Protocol, Pipeline: max(s.Connections.Pipeline, 1), Requests: s.Connections.Requests, Payload: payload}
	if k.Protocol == scenarios.WS {
		k.Protocol = "frame" // a message is a frame behind another head; masking it is cheap beside two system calls
	}
	if k.Requests > 0 {
		k.Connections, k.Close = ShortConnections, s.Connections.Close
		return k
	}
	count := s.Connections.Count
	if s.OpensLater() {
		count = 0
	}
	for _, ph := range s.Phases[:i+1] {
		count = max(count, ph.Open)
	}
	active := int((float64(count)*float64(s.Phases[i].Active) + 99.999) / 100)
	k.Connections = max(clients.Share(active, p.Agent, max(p.Agents, 1)), 1)
	return k
}

// Check holds a load against the floor: in every measured phase its rate is at most Limit of what the client reaches with
// the same kind of load. The rate is
//
//	steady, open loop    what was planned in the busiest second
//	closed loop          good replies ÷ time
//	overload             good replies ÷ time until it was drained, since more is offered than anybody can send
//
// of a load in slots as many times that as loads take turns, which is the rate inside its slots.
//
// It is never worse than SUSPECT. Where no shape judges a phase it is unknown, and not applicable to an engine without Grid.
func (f Floor) Check(p *clients.Plan, r *clients.Report) validity.Check {
	worst := validity.Check{Name: CheckName, State: validity.NotApplicable, Limit: Limit, Unit: "share"}
	offset := len(r.Phases) - len(p.Scenario.Phases) // "connect" may come first
	payload := bodyBytes(r)
	ran := *p
	ran.Engine = r.Engine // perhaps in place of one that the kernel does not offer
	for i, ph := range p.Scenario.Phases {
		if offset < 0 || Grid(r.Engine) == nil || !ph.Measure || !offers(ph.Arrivals) || r.Phases[offset+i].Planned == 0 {
			continue
		}
		rp := &r.Phases[offset+i]
		c := f.judge(kindOf(&ran, i, payload), rp.Name, p.Slot.Density()*rateOf(r, rp, ph.Arrivals.Closed), rp.Load == "overload")
		if worst.State == validity.NotApplicable || rank(c) > rank(worst) || rank(c) == rank(worst) && c.Value > worst.Value {
			worst = c
		}
	}
	return worst
}

func rank(c validity.Check) int {
	switch c.State {
	case validity.Unknown:
		return 1
	case validity.Warn:
		return 2
	}
	return 0
}

// judge holds one phase's rate against the floor.
func (f Floor) judge(k Kind, phase string, rate float64, overload bool) validity.Check {
	c := validity.Check{Name: CheckName, State: validity.OK, Limit: Limit, Unit: "share"}
	s, ok := f.Nearest(k)
	if !ok || s.MaxRPS <= 0 {
		c.State = validity.Unknown
		c.Reason = fmt.Sprintf("phase %s: what this client reaches at most was not measured here for %v", phase, k)
		c.Remedy = "run `" + k.Command() + "`, once for each host, kernel and program"
		return c
	}
	if c.Value = rate / s.MaxRPS; c.Value <= Limit {
		return c
	}
	who := ""
	if overload {
		who = "client-bound: "
	}
	c.State = validity.Warn
	c.Reason = fmt.Sprintf("%sphase %s: %s is %.0f %% of the %s that this client reaches on CPU %v against the raw reflector with %v, limit %.0f %%",
		who, phase, quantity.Format(rate, quantity.PerSecond), 100*c.Value, quantity.Format(s.MaxRPS, quantity.PerSecond), f.Client, s.Kind, 100*Limit)
	c.Remedy = "part of the figures is the client's own: lower the rate, or give the client more CPUs"
	return c
}

// Command measures the floor of this kind.
func (k Kind) Command() string {
	text := "millrace calibrate"
	if k.Engine != clients.Engines[0] {
		text += " --engine " + k.Engine
	}
	var all Floor
	for _, s := range Grid(k.Engine) {
		all.Add(Shape{Kind: s})
	}
	if _, ok := all.Nearest(k); ok {
		return text
	}
	if k.Protocol != "http1" {
		text += " --protocol " + k.Protocol
	}
	if k.Requests > 0 {
		text += fmt.Sprintf(" --requests %d --close %s", k.Requests, k.Close)
	} else {
		text += fmt.Sprintf(" -c %d", k.Connections)
	}
	if k.Pipeline > 1 {
		text += fmt.Sprintf(" --pipeline %d", k.Pipeline)
	}
	if payloadClass(k.Payload) > 0 {
		text += fmt.Sprintf(" --payload %d", k.Payload)
	}
	return text
}

// rateOf is the rate of a phase that the floor is held against, in requests a second.
func rateOf(r *clients.Report, p *clients.PhaseReport, closed bool) float64 {
	switch {
	case closed:
		return p.AchievedRPS
	case p.Load == "overload":
		return drainRate(r, p)
	}
	busiest := 0.0
	if p.OfferedRPS != nil {
		busiest = *p.OfferedRPS
	}
	perSecond := int(1e9 / r.IntervalNs)
	for from := int((p.FromNs + r.IntervalNs - 1) / r.IntervalNs); int64(from+perSecond)*r.IntervalNs <= p.ToNs && from+perSecond <= len(r.Intervals); from++ {
		var n int64
		for _, in := range r.Intervals[from : from+perSecond] {
			n += in.Planned
		}
		busiest = max(busiest, float64(n))
	}
	return busiest
}

// drainRate is that of the good replies from an overload's begin until its last request had its outcome.
func drainRate(r *clients.Report, p *clients.PhaseReport) float64 {
	to := max(p.ToNs, p.DrainedNs)
	if p.DrainedNs == 0 {
		to = int64(len(r.Intervals)) * r.IntervalNs
	}
	var n int64
	from := p.FromNs / r.IntervalNs
	last := min((to+r.IntervalNs-1)/r.IntervalNs, int64(len(r.Intervals)))
	for _, in := range r.Intervals[min(from, last):last] {
		n += in.OK
	}
	if last <= from {
		return 0
	}
	return float64(n) / (float64((last-from)*r.IntervalNs) / 1e9)
}

// bodyBytes is the mean size of a body, of requests or of replies, whichever is larger.
func bodyBytes(r *clients.Report) int {
	var size int64
	if n := r.Outcomes[clients.OK.String()] + r.Outcomes[clients.HTTPError.String()] + r.Outcomes[clients.BadPayload.String()]; n > 0 {
		size = (r.BodyBytesIn + n - 1) / n
	}
	if r.Planned > 0 {
		size = max(size, r.BodyBytesOut/r.Planned)
	}
	return int(size)
}
