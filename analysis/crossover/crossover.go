// Package crossover says, of two variants and a metric, where over a swept number the winner changes: with an interval, and
// only where the rounds support that there is a winner on either side.
package crossover

import (
	"math"
	"slices"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
)

// Verdict is what the rounds support of a pair over all steps.
type Verdict string

// The verdicts.
const (
	// Undecided: a difference is supported at no step, and equality not at all of them.
	Undecided Verdict = "UNDECIDED"
	// Alike: at every step the interval of the ratio lies within ±compare.Tau.
	Alike Verdict = "alike"
	// Everywhere: the same variant is better at every step.
	Everywhere Verdict = "better at every step"
	// Somewhere: the same variant is better at some steps, and at the others nobody.
	Somewhere Verdict = "better at some steps"
	// Once and Several: one variant is better at some step, and the other one at a higher one.
	Once    Verdict = "one crossing"
	Several Verdict = "several crossings"
)

// Pair is what is known of two variants over the steps of a sweep.
type Pair struct {
	Metric results.Info
	A, B   string
	// Steps are in order of their values; those without a ratio are among them.
	Steps   []Step
	Verdict Verdict
	// Crossings are in order of their values; empty unless Verdict is Once or Several.
	Crossings []Crossing
}

// Step is what is known of two variants at one step.
type Step struct {
	Name  string
	Value float64
	// Ratio of A to B: as compare.Row.Ratio, of as many comparisons as there are steps. Value is not a number where there is none.
	Ratio inference.Estimate
	// Better is the variant that is better: the interval holds no 1, and does not lie within ±compare.Tau; empty for neither. Alike
	// tells that the interval lies within.
	Better string
	Alike  bool
}

// Crossing is a change of the winner between two steps at which there is one.
type Crossing struct {
	// From and To are the places of these steps in Pair.Steps; at those in between nobody is better.
	From, To int
	// Below is the variant that is better below, Above the one above.
	Below, Above string
	// Value is where the ratio is 1, [Lo, Hi] its interval at Confidence; not numbers where fewer than compare.IntervalRounds
	// rounds count at all of the steps From to To. Rounds is how many do.
	Value, Lo, Hi, Confidence float64
	Rounds                    int
}

// Confidence is that of a crossing's interval.
const Confidence = 1 - compare.Alpha

// resamples of the bootstrap: the ends of an interval of 95 % then rest on some 50 draws each.
const resamples = 2000

// Pairs compares every two variants of a sweep over numbers by a metric, in the order given. Of another run, or of a metric that
// has no better, there are none. The same run gives the same answers.
//
// At each step the ratio is that of compare, the step being one comparison of as many as there are steps. Between two steps at
// which different variants are better the crossing is where a line through the medians over rounds of ln A ÷ B meets 0; the line
// is straight in ln value from step to step (in value where a step is not positive). Where it meets 0 more than once
// it is the length of its parts on the side of the first winner. Its interval is by drawing whole rounds,
// inference.BlockBootstrap. That the truth is bent between two steps is not in the interval: more steps show it.
func Pairs(res *results.Result, metric string) []*Pair {
	info, known := results.Metric(metric)
	if !known || info.Better == results.BetterNone || !res.Run.Numeric() {
		return nil
	}
	order := slices.Clone(res.Run.Steps)
	slices.SortStableFunc(order, func(a, b results.Step) int {
		switch {
		case *a.Value < *b.Value:
			return -1
		case *a.Value > *b.Value:
			return 1
		}
		return 0
	})
	var steps []*compare.Comparison
	for _, s := range order {
		steps = append(steps, compare.Run(res.At(s.Name), metric, ""))
	}
	var list []*Pair
	for a := range res.Run.Variants {
		for b := a + 1; b < len(res.Run.Variants); b++ {
			p := &Pair{Metric: info, A: res.Run.Variants[a].Name, B: res.Run.Variants[b].Name}
			logs := make([][]float64, len(order))
			for k, s := range order {
				logs[k] = logRatios(&steps[k].Rows[a], &steps[k].Rows[b])
				p.Steps = append(p.Steps, Step{Name: s.Name, Value: *s.Value})
			}
			p.decide(logs, res.Run.Seed)
			list = append(list, p)
		}
	}
	return list
}

// logRatios is ln a ÷ b by round, not a number where one of the two doesn't count; none where one isn't placed or has a value
// without a logarithm.
func logRatios(a, b *compare.Row) []float64 {
	d := make([]float64, len(a.Values))
	usable := a.Placed && b.Placed && a.Min > 0 && b.Min > 0
	for r := range d {
		if d[r] = math.NaN(); usable && r < len(b.Values) {
			d[r] = math.Log(a.Values[r] / b.Values[r])
		}
	}
	return d
}

// decide fills in the steps' ratios, the verdict and the crossings, from logs[step][round].
func (p *Pair) decide(logs [][]float64, seed uint64) {
	var winners []int // places of the steps with one
	alike := 0
	for k := range p.Steps {
		s := &p.Steps[k]
		s.Ratio = compare.Paired(known(logs[k]), len(p.Steps))
		switch e := s.Ratio; {
		case compare.Alike(e):
			s.Alike = true
			alike++
		case e.Hi < 1 || e.Lo > 1:
			s.Better = p.A
			if (e.Hi < 1) != (p.Metric.Better == results.BetterLower) {
				s.Better = p.B
			}
			winners = append(winners, k)
		}
	}
	for i := 1; i < len(winners); i++ {
		if from, to := winners[i-1], winners[i]; p.Steps[from].Better != p.Steps[to].Better {
			p.Crossings = append(p.Crossings, p.crossing(logs, from, to, seed))
		}
	}
	switch n := len(p.Crossings); {
	case n == 1:
		p.Verdict = Once
	case n > 1:
		p.Verdict = Several
	case len(winners) == len(p.Steps):
		p.Verdict = Everywhere
	case len(winners) > 0:
		p.Verdict = Somewhere
	case alike == len(p.Steps):
		p.Verdict = Alike
	default:
		p.Verdict = Undecided
	}
}

func known(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}

// crossing finds where between two steps the winner changes.
func (p *Pair) crossing(logs [][]float64, from, to int, seed uint64) Crossing {
	nan := math.NaN()
	c := Crossing{From: from, To: to, Below: p.Steps[from].Better, Above: p.Steps[to].Better, Value: nan, Lo: nan, Hi: nan, Confidence: nan}
	l := newLine(p.Steps[from:to+1], logs[from:to+1], p.Steps[from].Ratio.Value < 1)
	if c.Rounds = len(l.rounds); c.Rounds < compare.IntervalRounds {
		return c
	}
	all := make([]int, c.Rounds)
	for i := range all {
		all[i] = i
	}
	lo, hi := inference.BlockBootstrap(c.Rounds, resamples, Confidence, seed, l.meets)
	c.Value, c.Lo, c.Hi, c.Confidence = l.at(l.meets(all)), l.at(lo), l.at(hi), Confidence
	return c
}
