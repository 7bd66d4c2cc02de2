// Package noise says how small a difference a host can resolve, from runs that compare a server with itself: how far the rounds
// scatter, how often an interval holds the truth, how often a verdict is false, and what a finer one costs in time.
package noise

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
)

// VerdictRounds is how many rounds in a row make a verdict: the fewest that have an interval.
const VerdictRounds = compare.IntervalRounds

// confidence of the intervals whose coverage is counted.
const confidence = 1 - compare.Alpha

// Study is what runs of one kind say together: the same server as A and B on one host, under one scenario and design.
type Study struct {
	// Runs are the runs' ids.
	Runs []string
	// Server, Scenario and Design are those of all of them. Scenario tells what was changed in it.
	Server, Scenario, Design string
	// Inject is the spin that B adds to each request, zero in plain A/A; Injected the share of A's CPU time that it was meant to be.
	Inject   time.Duration
	Injected float64
	// Rounds that are whole: both trials count. Left are those that are not.
	Rounds, Left int
	// PerRound is how long a round takes on the average, all around it included.
	PerRound time.Duration
	Metrics  []Metric
}

// Metric is what a study says of one metric. Ratios are of B to A.
type Metric struct {
	Info   results.Info
	Rounds int
	// Scatter is the standard deviation of ln(B ÷ A) over the rounds; Unpaired what it would be if B had been measured at another
	// time than A: √(var ln A + var ln B). Not numbers below two rounds.
	Scatter, Unpaired float64
	// Ratio is the estimate over all rounds.
	Ratio inference.Estimate
	// Truth is the ratio that is known: 1 in plain A/A, and with a spin the one that it makes in CPU time a request; not a number
	// where it is not known.
	Truth float64
	// Verdicts are those of VerdictRounds rounds each, in the order in which they were measured. Covered of them hold the truth in
	// their interval; Seen have an interval without 1; Beyond an interval that lies wholly beyond ±5 %: false positives in plain
	// A/A, findings with a spin.
	Verdicts, Covered, Seen, Beyond int
}

// BeyondBound is the largest rate of verdicts beyond ±5 % that the count allows, with 95 % confidence (Clopper–Pearson, one-sided).
func (m *Metric) BeyondBound() float64 {
	return inference.ClopperPearsonUpper(m.Beyond, m.Verdicts, confidence)
}

// Smallest is the smallest ratio, 0.05 for 5 %, that so much time would see: in a test at 5 % with a power of 80 %. Not a number
// where the time is too short for two rounds.
func (s *Study) Smallest(m *Metric, in time.Duration) float64 {
	n := int(in / s.PerRound)
	return math.Expm1(inference.MDE(m.Scatter, n, compare.Alpha, compare.Power))
}

// Takes is how long it takes to see a ratio of 1+effect, at least the rounds that an interval needs; zero if never.
func (s *Study) Takes(m *Metric, effect float64) time.Duration {
	n := inference.RoundsFor(m.Scatter, math.Log1p(effect), compare.Alpha, compare.Power)
	if n == 0 {
		return 0
	}
	return time.Duration(max(n, VerdictRounds)) * s.PerRound
}

// Studies groups the A/A runs among these by what they have in common, in the order of their first runs. Runs of another
// purpose are passed over.
func Studies(runs []*results.Result) []*Study {
	var order []string
	groups := map[string][]*results.Result{}
	for _, r := range runs {
		if r.Run.Purpose != results.PurposeAA || len(r.Run.Variants) != 2 {
			continue
		}
		key := keyOf(r.Run)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], r)
	}
	var list []*Study
	for _, key := range order {
		list = append(list, study(groups[key]))
	}
	return list
}

// keyOf is what runs must have in common to be one study.
func keyOf(r *results.Run) string {
	a, b := r.Variants[0], r.Variants[1]
	return fmt.Sprintf("%s|%d|%s|%s|%v|%v|%s|%s|%v|%g|%s|%v", r.Env.Host, r.Method, r.Env.Kernel, scenario(r), r.Split, r.Engine, a.Name, a.SHA256,
		b.Args, r.Injected, designOf(r), r.Env.Cores)
}

// designOf says how the rounds were made.
func designOf(r *results.Run) string {
	design := "one after the other"
	if r.Duet {
		design = "duets"
	}
	if r.Split.Shared {
		design += ", client and server on the same CPUs"
	}
	return design
}

// scenario names the scenario with what was changed in it.
func scenario(r *results.Run) string {
	name := r.Scenario.Name
	if r.Quick {
		name += " --quick"
	}
	for _, s := range r.Set {
		name += " " + s
	}
	return name
}

// round is a round of which both trials count.
type round struct{ a, b *results.Trial }

func study(runs []*results.Result) *Study {
	first := runs[0].Run
	s := &Study{Server: strings.TrimSuffix(first.Variants[0].Name, ":A"), Scenario: scenario(first), Design: designOf(first), Injected: first.Injected}
	s.Inject = injectOf(first.Variants[1].Args)
	var rounds []round
	var took time.Duration
	trials := 0
	for _, r := range runs {
		s.Runs = append(s.Runs, r.Run.ID)
		whole, left := roundsOf(r)
		rounds = append(rounds, whole...)
		s.Rounds += len(whole)
		s.Left += left
		took += span(r)
		trials += len(whole) + left
	}
	if trials > 0 {
		s.PerRound = took / time.Duration(trials)
	}
	for _, info := range results.Metrics {
		if info.Better == results.BetterNone {
			continue
		}
		if m := s.metric(info, rounds); m.Rounds > 0 {
			s.Metrics = append(s.Metrics, m)
		}
	}
	return s
}

// injectOf is the spin of B's arguments, zero without one.
func injectOf(args []string) time.Duration {
	if i := slices.Index(args, "--inject"); i >= 0 && i+1 < len(args) {
		d, _ := time.ParseDuration(args[i+1])
		return d
	}
	return 0
}

// roundsOf lists the whole rounds of a run, and counts the others that were begun.
func roundsOf(r *results.Result) (whole []round, left int) {
	by := map[int]*round{}
	var order []int
	for _, t := range r.Trials {
		p := by[t.Round]
		if p == nil {
			p = &round{}
			by[t.Round] = p
			order = append(order, t.Round)
		}
		switch {
		case t.LeftOut() != "":
		case t.Variant == r.Run.Variants[0].Name:
			p.a = t
		default:
			p.b = t
		}
	}
	slices.Sort(order)
	for _, n := range order {
		if p := by[n]; p.a != nil && p.b != nil {
			whole = append(whole, *p)
		} else {
			left++
		}
	}
	return whole, left
}

// span is from the begin of the first trial to the end of the last.
func span(r *results.Result) time.Duration {
	var from, to time.Time
	for _, t := range r.Trials {
		end := t.Started.Add(time.Duration(t.Seconds * float64(time.Second)))
		if from.IsZero() || t.Started.Before(from) {
			from = t.Started
		}
		if end.After(to) {
			to = end
		}
	}
	return to.Sub(from)
}

// metric leaves out the rounds in which one of the two has no value, or none that is positive.
func (s *Study) metric(info results.Info, rounds []round) Metric {
	m := Metric{Info: info, Truth: math.NaN(), Scatter: math.NaN(), Unpaired: math.NaN()}
	var d, la, lb, a []float64
	for _, r := range rounds {
		x, okX := r.a.Metrics[info.Name]
		y, okY := r.b.Metrics[info.Name]
		if okX && okY && x > 0 && y > 0 {
			d, la, lb, a = append(d, math.Log(y/x)), append(la, math.Log(x)), append(lb, math.Log(y)), append(a, x)
		}
	}
	m.Rounds = len(d)
	if len(d) == 0 {
		return m
	}
	switch {
	case s.Inject == 0:
		m.Truth = 1
	case strings.HasSuffix(info.Name, "cpu-per-req-ns"):
		slices.Sort(a)
		m.Truth = 1 + float64(s.Inject)/((a[(len(a)-1)/2]+a[len(a)/2])/2)
	}
	m.Ratio = ratio(d)
	if len(d) < 2 {
		return m
	}
	m.Scatter = stat.StdDev(d, nil)
	m.Unpaired = math.Sqrt(stat.Variance(la, nil) + stat.Variance(lb, nil))
	for ; len(d) >= VerdictRounds; d = d[VerdictRounds:] {
		e := ratio(d[:VerdictRounds])
		m.Verdicts++
		if e.Lo <= m.Truth && m.Truth <= e.Hi {
			m.Covered++
		}
		if e.Lo > 1 || e.Hi < 1 {
			m.Seen++
		}
		if Beyond(e) {
			m.Beyond++
		}
	}
	return m
}

// Beyond tells whether the interval of a ratio lies wholly beyond ±5 %.
func Beyond(e inference.Estimate) bool { return e.Lo > 1+compare.Tau || e.Hi < 1/(1+compare.Tau) }

func ratio(d []float64) inference.Estimate {
	e := inference.SignedRank(d, confidence)
	e.Value, e.Lo, e.Hi = math.Exp(e.Value), math.Exp(e.Lo), math.Exp(e.Hi)
	return e
}
