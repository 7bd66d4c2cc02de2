package capacity

import (
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/quantity"
)

// Outcome is how a search ended.
type Outcome string

// The outcomes of a search.
const (
	Found       Outcome = "found"        // a rate met the objective, and one a little above it failed
	ClientBound Outcome = "client-bound" // a rate met it, and above it the client was the limit
	AtLeast     Outcome = "at-least"     // a rate met it; how far above it the edge lies is not known
	ShortOnly   Outcome = "short-only"   // rates met it in short trials only
	NoRate      Outcome = "no-rate"      // no rate that was tried met it
	Unknown     Outcome = "unknown"      // no trial says anything of the server
)

// Answer is what a search has found so far.
type Answer struct {
	Outcome Outcome `json:"outcome"`
	// RateRPS is the highest offered rate that met the objective, in a full-length trial unless Outcome is "short-only"; nil
	// without any. Met of the Trials at that rate and length did, of those that count.
	RateRPS *float64 `json:"rate_rps"`
	Met     int      `json:"met"`
	Trials  int      `json:"trials"`
	// FailedRPS is the lowest rate above it that failed, and FailedWhy by what; nil without any.
	FailedRPS *float64 `json:"failed_rps"`
	FailedWhy string   `json:"failed_why,omitempty"`
	// LimitedRPS is the lowest rate above it that the client could not offer, and Limit why; nil without any.
	LimitedRPS *float64 `json:"limited_rps"`
	Limit      string   `json:"limit,omitempty"`
	// Violations are rates below RateRPS that failed: the objective is not met at every rate below the answer.
	Violations []float64 `json:"violations_rps"`
	// Ended is why the search went no further.
	Ended string `json:"ended"`
	// Text says all this in one line.
	Text string `json:"text"`
}

// Answer is the best answer that the trials so far support, at any time.
func (s *Search) Answer() Answer {
	levels := levelsOf(s.trials, s.c.Objective.Longest())
	b := bracketOf(levels, Full)
	a := Answer{Outcome: AtLeast, Ended: or(s.ended, "the search goes on"), Violations: []float64{}}
	count := func(l *level) tally { return l.full }
	if b.lo == nil {
		if short := bracketOf(levels, allKinds); short.lo != nil || b.hi == nil {
			b, a.Outcome = short, ShortOnly
			count = func(l *level) tally { return l.short }
		}
	}
	if b.lo != nil {
		n := count(b.lo)
		a.RateRPS, a.Met, a.Trials = &b.lo.rate, n.met, n.met+n.failed
	}
	for i := range levels {
		l := &levels[i]
		switch st := l.state(); {
		case b.lo != nil && l.rate < b.lo.rate && st == failed:
			a.Violations = append(a.Violations, l.rate)
		case b.lo != nil && l.rate <= b.lo.rate, a.Outcome != ShortOnly && !l.founded():
		case st == failed && a.FailedRPS == nil:
			a.FailedRPS, a.FailedWhy = &l.rate, s.why(l.rate, false)
		case st == limited && a.LimitedRPS == nil:
			a.LimitedRPS, a.Limit = &l.rate, s.why(l.rate, true)
		}
	}
	switch limit := a.LimitedRPS != nil && (a.FailedRPS == nil || *a.LimitedRPS < *a.FailedRPS); {
	case a.RateRPS == nil && a.FailedRPS == nil:
		a.Outcome = Unknown
	case a.RateRPS == nil:
		a.Outcome = NoRate
	case a.Outcome == ShortOnly:
	case s.edge && limit:
		a.Outcome = ClientBound
	case s.edge && a.FailedRPS != nil:
		a.Outcome = Found
	}
	a.Text = s.text(&a)
	return a
}

// why is the reason that the last trial of a rate gives that failed, or that does not count.
func (s *Search) why(rate float64, limit bool) string {
	for i := len(s.trials) - 1; i >= 0; i-- {
		if t := &s.trials[i]; t.offered() == rate && t.Kind != Closed && t.Why != "" && (t.Met == nil) == limit {
			return t.Why
		}
	}
	return ""
}

func (s *Search) text(a *Answer) string {
	rate := func(v *float64) string { return quantity.Format(*v, quantity.PerSecond) }
	o := s.c.Objective.String()
	var parts []string
	switch a.Outcome {
	case Found:
		parts = append(parts, fmt.Sprintf("%s is the highest rate that met %s (%s)", rate(a.RateRPS), o, s.trialsOf(a)))
	case ClientBound:
		parts = append(parts, fmt.Sprintf("≥ %s met %s (%s): the client was the limit at %s: %s", rate(a.RateRPS), o, s.trialsOf(a), rate(a.LimitedRPS), a.Limit))
	case AtLeast:
		parts = append(parts, fmt.Sprintf("≥ %s met %s (%s), not narrowed down: %s", rate(a.RateRPS), o, s.trialsOf(a), a.Ended))
	case ShortOnly:
		parts = append(parts, fmt.Sprintf("about %s met %s, in short trials only: %s", rate(a.RateRPS), o, a.Ended))
	case NoRate:
		parts = append(parts, fmt.Sprintf("no rate met %s: %s, lowest of those tried, had %s; %s", o, rate(a.FailedRPS), a.FailedWhy, a.Ended))
	case Unknown:
		parts = append(parts, "unknown: "+a.Ended)
		if a.Limit != "" {
			parts = append(parts, "no trial says anything of the server: "+a.Limit)
		}
	}
	if a.RateRPS != nil && a.FailedRPS != nil {
		parts = append(parts, fmt.Sprintf("%s failed: %s", rate(a.FailedRPS), a.FailedWhy))
	}
	for _, v := range a.Violations {
		parts = append(parts, fmt.Sprintf("not monotone: %s failed too, below it: %s", rate(&v), s.why(v, false)))
	}
	return strings.Join(parts, "; ")
}

func (s *Search) trialsOf(a *Answer) string {
	return fmt.Sprintf("%d of %s of %v", a.Met, quantity.Count(a.Trials, "trial"), s.c.Full.Round(time.Millisecond))
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
