package capacity

import (
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
)

// Kind is what a trial is for.
type Kind string

// The kinds of trials.
const (
	Closed Kind = "closed" // closed loop, to estimate the capacity
	Short  Kind = "short"  // as short as the objective allows, to come near the edge
	Full   Kind = "full"   // of full length, to decide
	Point  Kind = "point"  // of a sweep
)

// Step is a trial to be run.
type Step struct {
	Kind   Kind
	Rate   float64 // requests a second; zero in a closed loop
	Length time.Duration
}

// Measured is what a load measured in the phase that counts.
type Measured struct {
	Seconds     float64 `json:"seconds"`      // length of the phase
	AchievedRPS float64 `json:"achieved_rps"` // good replies that came within the phase, ÷ its length
	Planned     int64   `json:"planned"`
	// OK counts good replies, those that came after the phase included.
	OK int64 `json:"ok"`
	// ResponseNs counts from the intended time; requests without a good reply count as infinite. In a closed loop it is
	// connections ÷ throughput by Little's law, and nothing of interest.
	ResponseNs hist.Summary     `json:"response_ns"`
	Verdict    validity.Verdict `json:"verdict"`
	Reasons    []string         `json:"reasons"`
	// Limit is why the trial says nothing of the server: the check that made it INVALID through no fault of the server's,
	// and what to do about it. Empty where it counts.
	Limit string `json:"limit,omitempty"`
	// Unanswered is how many requests had no outcome of their own when the wait for them was given up.
	Unanswered int64 `json:"unanswered"`
}

// Trial is a step that was run.
type Trial struct {
	Kind Kind `json:"kind"`
	// OfferedRPS is nil in a closed loop.
	OfferedRPS *float64 `json:"offered_rps"`
	Measured
	// Met is whether the objective was met; nil where the trial does not count, and where there is no objective.
	Met *bool `json:"met"`
	// Why says by what the objective was missed, or why the trial does not count.
	Why string `json:"why,omitempty"`
	// TookSeconds is the time from the trial's begin to its end, connecting and waiting for the last replies included.
	TookSeconds float64 `json:"took_seconds"`
}

// offered is the rate of a trial, zero in a closed loop.
func (t *Trial) offered() float64 {
	if t.OfferedRPS == nil {
		return 0
	}
	return *t.OfferedRPS
}

// PlannedRPS is the rate that was offered by the schedule's own count, which differs from the one asked for by chance where
// arrivals are random.
func (m *Measured) PlannedRPS() float64 {
	if m.Seconds <= 0 {
		return 0
	}
	return float64(m.Planned) / m.Seconds
}

// okShare is the share of the planned requests that got a good reply.
func (m *Measured) okShare() float64 { return float64(m.OK) / float64(max(m.Planned, 1)) }

// servers are the checks that a server fails, not the client: their INVALID is an answer to the question.
var servers = []string{"good replies", "keep-alive truth"}

// Measure takes from a report what counts here: its first phase. kept says that the connections were to be kept open, and
// not opened by requests.
func Measure(r *clients.Report, kept bool) Measured {
	m := Measured{Verdict: r.Verdict, Reasons: r.Reasons}
	if len(r.Phases) == 0 {
		m.Limit = "no phase was measured"
		return m
	}
	p := &r.Phases[0]
	m.Seconds, m.AchievedRPS, m.ResponseNs = float64(p.ToNs-p.FromNs)/1e9, p.AchievedRPS, p.ResponseNs
	m.Planned, m.OK = p.Planned, p.Outcomes[clients.OK.String()]
	m.Unanswered = p.Outcomes[clients.InFlight.String()] + p.Outcomes[clients.Unsent.String()]
	for _, c := range r.Checks {
		if c.State != validity.Fail || slices.Contains(servers, c.Name) {
			continue
		}
		m.Limit = c.Name + ": " + c.Reason
		if c.Remedy != "" {
			m.Limit += " (" + c.Remedy + ")"
		}
		return m
	}
	switch n := p.Outcomes[clients.NoPort.String()]; {
	case n > 0:
		m.Limit = fmt.Sprintf("source ports: %d requests found none for their connection (give --source more addresses, or lower -c)", n)
	case kept && r.ConnectionsOpened-r.ConnectionsReopened < r.ConnectionsWanted:
		m.Limit = fmt.Sprintf("connections: %d of %d could be opened (lower -c, or raise the server's limit)", r.ConnectionsOpened-r.ConnectionsReopened, r.ConnectionsWanted)
	}
	return m
}

// NewTrial is a step with what it measured, judged by an objective; nil judges nothing.
func NewTrial(step Step, m Measured, took time.Duration, o *Objective) Trial {
	t := Trial{Kind: step.Kind, Measured: m, TookSeconds: took.Seconds()}
	if step.Rate > 0 {
		t.OfferedRPS = &step.Rate
	}
	switch {
	case m.Limit != "":
		t.Why = m.Limit
	case o != nil && step.Rate > 0:
		met, known, why := o.Judge(m)
		if t.Why = why; known {
			t.Met = &met
		}
	}
	return t
}
