package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/scenarios"
)

const (
	latencies = scenarios.Latencies
	// maxDraw cuts the tails of distributions: who waits for a minute has given up.
	maxDraw = time.Minute
)

// script says when a reply is due. It belongs to one goroutine.
type script struct {
	base  scenarios.Latency
	spans []span // in order of time, apart
	seed  uint64
	bits  rand.PCG
	rand  *rand.Rand
}

// span is a window: a time in which the downstream behaves otherwise.
type span struct {
	from, to int64 // ns after T0
	kind     string
	latency  scenarios.Latency // where kind is neither scenarios.Stall nor scenarios.Refuse
}

// parseSpan reads FROM,TO,LATENCY, where LATENCY may hold commas.
func parseSpan(text string) (span, error) {
	bad := fmt.Errorf("window %q: want FROM,TO,LATENCY with increasing times after T0 and LATENCY %s, %s, or %s", text, scenarios.Stall, scenarios.Refuse, latencies)
	parts := strings.SplitN(text, ",", 3)
	if len(parts) != 3 {
		return span{}, bad
	}
	from, err := time.ParseDuration(parts[0])
	to, err2 := time.ParseDuration(parts[1])
	if err != nil || err2 != nil || from < 0 || to <= from {
		return span{}, bad
	}
	w := span{from: int64(from), to: int64(to), kind: parts[2]}
	if w.kind == scenarios.Stall || w.kind == scenarios.Refuse {
		return w, nil
	}
	if w.latency, err = scenarios.ParseLatency(w.kind); err != nil {
		return span{}, fmt.Errorf("%w: %w", bad, err)
	}
	return w, nil
}

func newScript(latency string, seed uint64, spans []span) (*script, error) {
	base, err := scenarios.ParseLatency(latency)
	if err != nil {
		return nil, fmt.Errorf("--latency: %w", err)
	}
	s := &script{base: base, spans: slices.Clone(spans), seed: seed}
	s.rand = rand.New(&s.bits)
	slices.SortFunc(s.spans, func(a, b span) int { return int(min(max(a.from-b.from, -1), 1)) })
	for i := 1; i < len(s.spans); i++ {
		if a, b := s.spans[i-1], s.spans[i]; b.from < a.to {
			return nil, fmt.Errorf("--window from %v: begins before the one from %v ends: want windows apart", time.Duration(b.from), time.Duration(a.from))
		}
	}
	return s, nil
}

// at is the window in which a time after T0 lies; nil is none.
func (s *script) at(t int64) *span {
	for i := range s.spans {
		if w := &s.spans[i]; w.from <= t && t < w.to {
			return w
		}
	}
	return nil
}

// due is when request n, which arrived at t ns after T0, is to be answered. What arrives in a stall is taken up at its end;
// what should be answered in one is answered at its end.
func (s *script) due(n uint64, t int64) int64 {
	w := s.at(t)
	for w != nil && w.kind == scenarios.Stall {
		t = w.to
		w = s.at(t)
	}
	l := &s.base
	if w != nil && w.kind != scenarios.Refuse {
		l = &w.latency
	}
	t += int64(s.draw(l, n))
	for w = s.at(t); w != nil && w.kind == scenarios.Stall; w = s.at(t) {
		t = w.to
	}
	return t
}

// draw is the latency of request n: it depends on the seed and n alone, whatever was drawn before.
func (s *script) draw(l *scenarios.Latency, n uint64) time.Duration {
	s.bits.Seed(s.seed, n)
	d := float64(l.Center)
	switch l.Kind {
	case "exponential":
		d *= s.rand.ExpFloat64()
	case "lognormal":
		d *= math.Exp(l.Sigma * s.rand.NormFloat64())
	case "trace":
		return l.Trace[n%uint64(len(l.Trace))]
	}
	return time.Duration(min(d, float64(maxDraw)))
}

// edge is when the next window that refuses begins or ends, after t; false where none does.
func (s *script) edge(t int64) (int64, bool) {
	for _, w := range s.spans {
		switch {
		case w.kind != scenarios.Refuse || w.to <= t:
		case w.from > t:
			return w.from, true
		default:
			return w.to, true
		}
	}
	return 0, false
}
