// Package capacity decides how much load a server can take: what an objective asks for, which trial to run next to find
// the highest rate that meets it, and where the knee of a load–latency curve lies. It runs nothing itself: it says which
// trial it wants (Search.Next) and is told what that measured (Search.Add).
package capacity

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/quantity"
)

// Objective is what a rate must meet: every one of its terms. It comes from ParseObjective.
type Objective struct{ terms []term }

// term is an upper bound of a percentile of the response time, or a lower bound of the share of good replies.
type term struct {
	name    string        // "p99", or "ok"
	q       float64       // quantile; zero: the share of good replies
	below   time.Duration // the percentile is less than this
	percent float64       // the share of good replies is more than this
}

// percentiles are those that a report knows.
var percentiles = []struct {
	name string
	q    float64
	of   func(*hist.Summary) *int64
}{
	{"p50", 0.5, func(s *hist.Summary) *int64 { return s.P50 }},
	{"p90", 0.9, func(s *hist.Summary) *int64 { return s.P90 }},
	{"p95", 0.95, func(s *hist.Summary) *int64 { return s.P95 }},
	{"p99", 0.99, func(s *hist.Summary) *int64 { return s.P99 }},
	{"p99.9", 0.999, func(s *hist.Summary) *int64 { return s.P999 }},
}

// forms is what an objective may look like, for messages.
const forms = "want p50, p90, p95, p99 or p99.9 below a time (p99<5ms), ok above a share (ok>99.9%), or several, all of which must hold (p99<5ms,ok>99.9%)"

// The bounds of an objective: a histogram ends at ten minutes, and a share of all requests can't be exceeded.
const (
	longestBound = 10 * time.Minute
	mostPercent  = 99.999
)

// ParseObjective reads an objective such as "p99<5ms,ok>99.9%". Its error says which forms there are.
func ParseObjective(text string) (Objective, error) {
	var o Objective
	for part := range strings.SplitSeq(text, ",") {
		t, err := parseTerm(strings.Join(strings.Fields(part), ""))
		if err != nil {
			return Objective{}, fmt.Errorf("objective %q: %w: %s", text, err, forms)
		}
		if slices.ContainsFunc(o.terms, func(other term) bool { return other.name == t.name }) {
			return Objective{}, fmt.Errorf("objective %q: %s twice: %s", text, t.name, forms)
		}
		o.terms = append(o.terms, t)
	}
	return o, nil
}

func parseTerm(text string) (term, error) {
	name, bound, below := strings.Cut(text, "<")
	if !below {
		name, bound, _ = strings.Cut(text, ">")
	}
	switch {
	case text == "":
		return term{}, errors.New("nothing asked for")
	case name == text:
		return term{}, fmt.Errorf("%q has neither < nor >", text)
	case name == "ok" && below:
		return term{}, errors.New("ok is a share of good replies, which has a lower bound")
	case name == "ok":
		return parseShare(bound)
	case !below:
		return term{}, fmt.Errorf("%s is a time, which has an upper bound", name)
	}
	for _, p := range percentiles {
		if p.name != name {
			continue
		}
		d, err := time.ParseDuration(bound)
		if err != nil || d <= 0 || d > longestBound {
			return term{}, fmt.Errorf("%q is no time above 0 and up to %v", bound, longestBound)
		}
		return term{name: name, q: p.q, below: d}, nil
	}
	return term{}, fmt.Errorf("unknown figure %q", name)
}

func parseShare(text string) (term, error) {
	number, ok := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(v >= 0 && v <= mostPercent) {
		return term{}, fmt.Errorf("%q is no share from 0%% to %v%%", text, mostPercent)
	}
	return term{name: "ok", percent: v}, nil
}

// String writes the objective as ParseObjective reads it.
func (o Objective) String() string {
	var parts []string
	for _, t := range o.terms {
		parts = append(parts, t.String())
	}
	return strings.Join(parts, ",")
}

func (t term) String() string {
	if t.q == 0 {
		return "ok>" + strconv.FormatFloat(t.percent, 'f', -1, 64) + "%"
	}
	return t.name + "<" + t.below.String()
}

// okBeyond is how many requests must be allowed to fail for a share of good replies to be judged, so that a single one
// does not decide.
const okBeyond = 10

// requests is the fewest requests that a term can be judged by:
//
//	100 ÷ (1−q)    a percentile, as in every report
//	10 ÷ (1−s)     a share s of good replies
func (t term) requests() int64 {
	if t.q == 0 {
		return int64(math.Ceil(okBeyond/(1-t.percent/100) - 1e-6))
	}
	return int64(math.Ceil(100/(1-t.q) - 1e-6))
}

// Requests is the fewest requests that the objective can be judged by, and the term that asks for so many.
func (o Objective) Requests() (n int64, because string) {
	for _, t := range o.terms {
		if k := t.requests(); k > n {
			n, because = k, t.name
		}
	}
	return n, because
}

// Longest is the largest bound of a time in the objective, zero without any.
func (o Objective) Longest() time.Duration {
	var d time.Duration
	for _, t := range o.terms {
		d = max(d, t.below)
	}
	return d
}

// Judge reports whether what was measured meets the objective, and if not, by what. known is false where there are too few
// requests to say. A percentile that falls among requests without a good reply is infinite, and so beyond any bound.
func (o Objective) Judge(m Measured) (met, known bool, why string) {
	var reasons []string
	for _, t := range o.terms {
		if m.Planned < t.requests() {
			return false, false, fmt.Sprintf("%d requests, %s needs %d", m.Planned, t.name, t.requests())
		}
		if reason := t.judge(m); reason != "" {
			reasons = append(reasons, reason)
		}
	}
	return len(reasons) == 0, true, strings.Join(reasons, ", ")
}

// judge says what breaks the term, or nothing.
func (t term) judge(m Measured) string {
	if t.q == 0 {
		if share := m.okShare(); !(100*share > t.percent) {
			return "ok " + quantity.Share(share)
		}
		return ""
	}
	for _, p := range percentiles {
		if p.name != t.name {
			continue
		}
		v := p.of(&m.ResponseNs)
		switch {
		case v == nil:
			return fmt.Sprintf("%s without a good reply", t.name)
		case *v >= int64(t.below):
			return t.name + " " + quantity.Format(float64(*v), quantity.Time)
		}
	}
	return ""
}
