// Package compare says what the rounds of a run support about its variants, and no more: ratios to a reference with
// intervals, tiers of variants between which no difference is supported, and the smallest difference that could have been seen. The unit
// is the round: requests of different rounds are never pooled, and no round is dropped for being far off.
package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
)

const (
	// Tau is the ratio up to which variants count as alike: ±5 %.
	Tau = 0.05
	// Alpha is the probability of at least one wrong difference among the comparisons of a metric.
	Alpha = 0.05
	// Power is the probability with which the smallest difference is seen.
	Power = 0.80
	// IntervalRounds, TierRounds and TRounds are the numbers of rounds from which on there are intervals, tiers and adjusted
	// intervals, and below which the paired t interval stands beside the exact one. The exact test's smallest p is 0.031 at
	// 6 rounds and 0.002 at 10.
	IntervalRounds, TierRounds, TRounds = 6, 8, 10
)

// Comparison is what a metric's rounds say of the variants of a run.
type Comparison struct {
	Metric    results.Info
	Reference string
	// Rows are the variants in the order given, the reference among them.
	Rows []Row
	// Comparisons is how many variants have an interval of their ratio to the reference.
	Comparisons int
	// Confidence is the one that was asked of each interval: 1 − Alpha, where a variant shares TierRounds with the reference
	// 1 − Alpha ÷ Comparisons, so that all of them hold together. Zero where no interval is.
	Confidence float64
	// Friedman is the p of the hypothesis that the order of the variants is random in every round, over the Blocks rounds that
	// all variants with IntervalRounds of their own have; not a number where these are fewer than IntervalRounds.
	Friedman float64
	Blocks   int
	// Pairs are the comparisons of two variants each that the tiers rest on; empty where there are no tiers.
	Pairs []Pair
	// Smallest is the smallest ratio that this run could have seen with Power in the comparison with the reference that
	// scatters most, 0.04 for 4 %; not a number below IntervalRounds. SD is that comparison's standard deviation of the ln ratio
	// over Rounds rounds; not a number where no comparison has two.
	Smallest, SD float64
	Rounds       int
	// Why says why there are no tiers: too few rounds, one variant, or values that have no ratio. Empty where tiers stand.
	Why string
}

// Row is what is known of one variant.
type Row struct {
	Variant string
	// Values[r] is the value in round r+1, not a number where the trial doesn't count or lacks the metric.
	Values []float64
	// Median, Min and Max are over the rounds that count; not numbers if none does.
	Median, Min, Max float64
	// Placed is false where less than half of the rounds count: such a variant is not compared.
	Placed bool
	// Ratio to the reference over the rounds that both have, N of them: Hodges–Lehmann and its exact interval, or where so
	// few rounds can't reach Confidence the paired t's, as Method says. The interval is not a number below IntervalRounds.
	// The reference has 1 without an interval. Value is not a number where no round is shared or a value is not positive.
	Ratio inference.Estimate
	// T is the paired t interval of the same where the exact one is of fewer than TRounds; its N is 0 otherwise.
	T inference.Estimate
	// Tiers are the numbers of the tiers that the variant is in, 1 being the best, ascending; empty where there are none, and
	// NoTier says why where others have some.
	Tiers  []int
	NoTier string
	// Off says why the row has no ratio; empty where it has one.
	Off string
}

// Pair is the comparison of two variants, by their places in Rows: the ratio of A to B, whose P is adjusted by Holm's
// procedure over all pairs.
type Pair struct {
	A, B  int
	Ratio inference.Estimate
	// Apart tells that they can be told apart: P ≤ Alpha, and the interval does not lie within ±Tau.
	Apart bool
}

// Reference is the name of the variant that the others are compared with: the one of that name, with an empty name the one
// that the run recorded, and where it recorded none the first. It is empty in a run without variants.
func Reference(run *results.Run, name string) (string, error) {
	if name == "" {
		name = run.Reference
	}
	var known []string
	for _, v := range run.Variants {
		known = append(known, v.Name)
	}
	switch {
	case slices.Contains(known, name):
		return name, nil
	case name != "":
		return "", fmt.Errorf("reference %q: run %s has none of that name: want one of %s", name, run.ID, strings.Join(known, ", "))
	case len(known) == 0:
		return "", nil
	}
	return known[0], nil
}

// Run compares the variants of a run by a metric; of a sweep take each step by itself, as Result.At gives it: a swept run has no
// values here, and Why says so. The reference is as Reference takes it, but that of an unknown name nothing
// is compared with, as with one that isn't placed.
func Run(res *results.Result, metric, reference string) *Comparison {
	info, _ := results.Metric(metric)
	names := make([]string, len(res.Run.Variants))
	values := make([][]float64, len(names))
	placed := make([]bool, len(names))
	rounds := 0
	for _, t := range res.Trials {
		rounds = max(rounds, t.Round)
	}
	for i, v := range res.Run.Variants {
		names[i], values[i] = v.Name, nans(rounds)
		counted, all := 0, 0
		for _, t := range res.Trials {
			if t.Variant != v.Name || len(res.Run.Steps) > 0 {
				continue
			}
			all++
			if t.LeftOut() != "" {
				continue
			}
			counted++
			if x, ok := t.Metrics[metric]; ok {
				values[i][t.Round-1] = x
			}
		}
		placed[i] = results.Placed(counted, all)
	}
	name, err := Reference(res.Run, reference)
	if err != nil {
		name = cmp.Or(reference, res.Run.Reference)
	}
	c := Values(info, names, values, placed, slices.Index(names, name))
	c.Reference = name
	if len(res.Run.Steps) > 0 {
		c.Why = "a sweep is compared step by step"
	}
	return c
}

// Values compares variants by the values of a metric: values[i][r] is that of names[i] in round r+1, not a number where none
// counts; placed[i] is false for those that are only shown. All rows are of the same length. ref is the reference's place,
// negative for none.
func Values(info results.Info, names []string, values [][]float64, placed []bool, ref int) *Comparison {
	nan := math.NaN()
	c := &Comparison{Metric: info, Friedman: nan, Smallest: nan, SD: nan}
	for i, name := range names {
		row := Row{Variant: name, Values: values[i], Placed: placed[i], Ratio: none(), T: none()}
		known := slices.DeleteFunc(slices.Clone(values[i]), math.IsNaN)
		row.Median, row.Min, row.Max = nan, nan, nan
		if len(known) > 0 {
			slices.Sort(known)
			row.Median, row.Min, row.Max = middle(known), known[0], known[len(known)-1]
		}
		c.Rows = append(c.Rows, row)
	}
	if ref >= 0 {
		c.Reference = names[ref]
	}
	c.ratios(ref)
	c.tiers()
	return c
}

// RoundsFor is how many rounds would have shown a ratio, 0.02 for 2 %, with Power where the comparisons scatter as they did
// here; 0 where no number below a million would, or the scatter isn't known.
func (c *Comparison) RoundsFor(ratio float64) int {
	return RoundsFor(c.SD, ratio, max(c.Comparisons, 1))
}

// confidenceOf is what is asked of each interval over so many rounds, where a metric has so many comparisons.
func confidenceOf(rounds, comparisons int) float64 {
	if rounds >= TierRounds {
		return 1 - Alpha/float64(comparisons)
	}
	return 1 - Alpha
}

// ratios fills in the comparisons with the reference.
func (c *Comparison) ratios(ref int) {
	logs := make([][]float64, len(c.Rows))
	most := 0
	for i := range c.Rows {
		if i == ref {
			continue
		}
		logs[i] = c.logRatio(i, ref)
		most = max(most, len(logs[i]))
		if len(logs[i]) >= IntervalRounds {
			c.Comparisons++
		}
	}
	asked := confidenceOf(most, c.Comparisons)
	if most >= IntervalRounds {
		c.Confidence = asked
	}
	for i := range c.Rows {
		row, d := &c.Rows[i], logs[i]
		switch {
		case i == ref && c.count(i) > 0:
			row.Ratio.Value, row.Ratio.N = 1, c.count(i)
			continue
		case len(d) == 0:
			row.Off = c.whyNoRatio(i, ref)
			continue
		}
		row.Ratio = estimate(d, asked)
		if len(d) < IntervalRounds {
			row.Ratio.Lo, row.Ratio.Hi, row.Ratio.Confidence, row.Ratio.P = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		} else if len(d) < TRounds && row.Ratio.Method == inference.SignedRankMethod {
			row.T = exp(inference.PairedT(d, asked))
		}
		if c.Comparisons > 0 && len(d) < IntervalRounds {
			continue // no comparison that was made
		}
		if sd := deviation(d); len(d) >= 2 && !(sd <= c.SD) {
			c.SD, c.Rounds = sd, len(d)
			c.Smallest = math.Expm1(smallest(sd, len(d), asked))
		}
	}
}

// count is how many values a variant has to be compared by: none if it isn't placed or one of them has no logarithm.
func (c *Comparison) count(i int) int {
	row := &c.Rows[i]
	if !row.Placed || !(row.Min > 0) {
		return 0
	}
	n := 0
	for _, v := range row.Values {
		if !math.IsNaN(v) {
			n++
		}
	}
	return n
}

// logRatio lists ln(a ÷ b) of the rounds in which both variants count; nothing where one of them has no values to be
// compared by, or is none.
func (c *Comparison) logRatio(a, b int) []float64 {
	if a < 0 || b < 0 || c.count(a) == 0 || c.count(b) == 0 {
		return nil
	}
	var d []float64
	for r, x := range c.Rows[a].Values {
		if y := c.Rows[b].Values[r]; !math.IsNaN(x) && !math.IsNaN(y) {
			d = append(d, math.Log(x/y))
		}
	}
	return d
}

func (c *Comparison) whyNoRatio(i, ref int) string {
	a := &c.Rows[i]
	switch {
	case !a.Placed:
		return "not placed"
	case math.IsNaN(a.Median):
		return "not measured"
	case ref < 0:
		return "no reference"
	}
	b := &c.Rows[ref]
	switch {
	case !b.Placed:
		return "the reference " + b.Variant + " is not placed"
	case math.IsNaN(b.Median):
		return "not measured of the reference " + b.Variant
	case a.Min <= 0 || b.Min <= 0:
		return "a value is zero or negative"
	}
	return "no round counts for both it and the reference " + b.Variant
}

// estimate is the signed-rank estimate of a ratio; where so few rounds can't reach the confidence the paired t's, as its
// Method tells. Rounds without any scatter have no paired t: they keep the exact interval with the confidence that it reaches.
func estimate(d []float64, confidence float64) inference.Estimate {
	if len(d) >= IntervalRounds && !reaches(len(d), confidence) {
		if e := inference.PairedT(d, confidence); !math.IsNaN(e.P) {
			return exp(e)
		}
	}
	return exp(inference.SignedRank(d, confidence))
}

// Paired is the estimate of a ratio from ln ratios of rounds, at its share of Alpha in so many comparisons: as Row.Ratio is of a
// variant, with an interval from IntervalRounds on. Without any it is no number.
func Paired(logs []float64, comparisons int) inference.Estimate {
	if len(logs) == 0 {
		return none()
	}
	e := estimate(logs, confidenceOf(len(logs), comparisons))
	if len(logs) < IntervalRounds {
		e.Lo, e.Hi, e.Confidence, e.P = math.NaN(), math.NaN(), math.NaN(), math.NaN()
	}
	return e
}

// reaches tells whether the exact interval of n rounds can have the confidence: the widest misses with 2 ÷ 2ⁿ.
func reaches(n int, confidence float64) bool { return math.Ldexp(1, 1-n) <= (1-confidence)*(1+1e-9) }

// exp turns an estimate of a logarithm into one of a ratio.
func exp(e inference.Estimate) inference.Estimate {
	e.Value, e.Lo, e.Hi = math.Exp(e.Value), math.Exp(e.Lo), math.Exp(e.Hi)
	return e
}

func none() inference.Estimate {
	nan := math.NaN()
	return inference.Estimate{Value: nan, Lo: nan, Hi: nan, Confidence: nan, P: nan}
}

func nans(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = math.NaN()
	}
	return list
}

// middle is the median of sorted values.
func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
