// Package noise says how small a difference a host can resolve, from runs that compare a server with itself: how far the rounds
// scatter, how often an interval holds the truth, how often a verdict is false, and what a finer one costs in time.
package noise

import (
	"encoding/json"
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
	// Injected is the share of its CPU time a request by which B was meant to be slower, zero in plain A/A. What a spin takes
	// depends on the host: the ratio that was measured says what it was.
	Injected float64
	// Rounds that are whole: both trials count. Left are those that are not.
	Rounds, Left int
	// Took is how long all rounds took, everything around them included.
	Took    time.Duration
	Metrics []Metric
	// Off are the metrics that have no ratio, since a value was zero or negative, by name.
	Off []string
}

// Metric is what a study says of one metric. Ratios are of B to A.
type Metric struct {
	Info results.Info
	// Rounds are those in which both have a value.
	Rounds int
	// Scatter is the standard deviation of ln(B ÷ A) over the rounds; Unpaired what it would be if B had been measured at another
	// time than A: √(var ln A + var ln B). Not numbers below two rounds.
	Scatter, Unpaired float64
	// Ratio is the estimate over all rounds; it has no interval below VerdictRounds.
	Ratio inference.Estimate
	// Verdicts are those of VerdictRounds rounds of a run each, in the order in which they were measured. Seen of them have an
	// interval without 1, Beyond one that lies wholly beyond ±5 %: false in plain A/A, findings with a spin.
	Verdicts, Seen, Beyond int
}

// AtMost is the largest rate that so many of the verdicts allow, with 95 % confidence (Clopper–Pearson, one-sided).
func (m *Metric) AtMost(verdicts int) float64 {
	return inference.ClopperPearsonUpper(verdicts, m.Verdicts, confidence)
}

// AtLeast is the smallest rate that so many of the verdicts allow, with 95 % confidence.
func (m *Metric) AtLeast(verdicts int) float64 {
	return 1 - inference.ClopperPearsonUpper(m.Verdicts-verdicts, m.Verdicts, confidence)
}

// PerRound is how long it takes to get a round in which the metric counts; zero where none does.
func (s *Study) PerRound(m *Metric) time.Duration {
	if m.Rounds == 0 {
		return 0
	}
	return s.Took / time.Duration(m.Rounds)
}

// Smallest is the smallest ratio, 0.05 for 5 %, that so much time would see: in a test at 5 % with a power of 80 %. Not a number
// where the time is too short for an interval, or how long a round takes is not known.
func (s *Study) Smallest(m *Metric, in time.Duration) float64 {
	each := s.PerRound(m)
	if each <= 0 || in/each < VerdictRounds {
		return math.NaN()
	}
	return compare.Smallest(m.Scatter, int(in/each), 1)
}

// Takes is how long it takes to see a ratio of 1+effect, at least the rounds that an interval needs; zero if never, or if how
// long a round takes is not known.
func (s *Study) Takes(m *Metric, effect float64) time.Duration {
	return time.Duration(compare.RoundsFor(m.Scatter, effect, 1)) * s.PerRound(m)
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
	load, err := json.Marshal(r.Scenario)
	if err != nil {
		panic("noise: a scenario that was read can be written: " + err.Error())
	}
	a := r.Variants[0]
	return fmt.Sprintf("%s|%d|%s|%v|%v|%s|%s|%v|%g|%v|%s", r.Env.Host, r.Method, r.Env.Kernel, r.Split, r.Engine, a.Name, a.SHA256,
		a.Args, r.Injected, r.Duet, load)
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
	var rounds [][]round
	for _, r := range runs {
		s.Runs = append(s.Runs, r.Run.ID)
		whole, left := roundsOf(r)
		rounds = append(rounds, whole)
		s.Rounds += len(whole)
		s.Left += left
		s.Took += span(r)
	}
	for _, info := range results.Metrics {
		if info.Better == results.BetterNone {
			continue
		}
		switch m, ok := metric(info, rounds); {
		case !ok:
			s.Off = append(s.Off, info.Name)
		case m.Rounds > 0:
			s.Metrics = append(s.Metrics, m)
		}
	}
	return s
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

// metric looks at the rounds of each run in which both trials have a value. It is not ok where one is zero or negative: leaving
// such rounds out would be a choice.
func metric(info results.Info, runs [][]round) (m Metric, ok bool) {
	m = Metric{Info: info, Scatter: math.NaN(), Unpaired: math.NaN(), Ratio: ratio(nil)}
	var all, la, lb []float64
	for _, rounds := range runs {
		var d []float64
		for _, r := range rounds {
			x, okX := r.a.Metrics[info.Name]
			y, okY := r.b.Metrics[info.Name]
			if !okX || !okY {
				continue
			}
			if x <= 0 || y <= 0 {
				return m, false
			}
			d, la, lb = append(d, math.Log(y/x)), append(la, math.Log(x)), append(lb, math.Log(y))
		}
		m.judge(d)
		all = append(all, d...)
	}
	if m.Rounds = len(all); m.Rounds == 0 {
		return m, true
	}
	m.Ratio = ratio(all)
	if m.Rounds >= 2 {
		m.Scatter = stat.StdDev(all, nil)
		m.Unpaired = math.Sqrt(stat.Variance(la, nil) + stat.Variance(lb, nil))
	}
	return m, true
}

// judge adds the verdicts on the rounds of one run.
func (m *Metric) judge(d []float64) {
	for ; len(d) >= VerdictRounds; d = d[VerdictRounds:] {
		e := ratio(d[:VerdictRounds])
		m.Verdicts++
		if e.Lo > 1 || e.Hi < 1 {
			m.Seen++
		}
		if compare.Beyond(e) {
			m.Beyond++
		}
	}
}

// ratio is the estimate of a ratio by its logarithms, without an interval below VerdictRounds.
func ratio(d []float64) inference.Estimate {
	e := inference.SignedRank(d, confidence)
	e.Value, e.Lo, e.Hi = math.Exp(e.Value), math.Exp(e.Lo), math.Exp(e.Hi)
	if len(d) < VerdictRounds {
		nan := math.NaN()
		e.Lo, e.Hi, e.Confidence, e.P = nan, nan, nan, nan
	}
	return e
}
