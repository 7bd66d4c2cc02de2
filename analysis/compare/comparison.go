// Package compare says what the rounds of a run support about its variants, and no more: ratios to a reference with
// intervals, tiers of variants that can't be told apart, and the smallest difference that could have been seen. The unit
// is the round: requests of different rounds are never pooled, and no round is dropped for being far off.
package compare

import (
	"math"
	"slices"

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
	// Confidence is the one that was asked of each interval: 1 − Alpha, from TierRounds on 1 − Alpha ÷ comparisons, so that
	// all of them hold together. Zero where no interval is.
	Confidence float64
	// Friedman is the p of the hypothesis that the order of the variants is random in every round; not a number below
	// IntervalRounds or where the variants lack rounds in common.
	Friedman float64
	// Pairs are the comparisons of two variants each that the tiers rest on; empty where there are no tiers.
	Pairs []Pair
	// Smallest is the smallest ratio that this run could have seen with Power in the comparison with the reference that
	// scatters most, 0.04 for 4 %; SD is that comparison's standard deviation of the ln ratio over Rounds rounds. Not
	// numbers where no comparison has two rounds.
	Smallest, SD float64
	Rounds       int
	// Why says why there is no order: too few rounds, one variant, or values that have no ratio. Empty where tiers stand.
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
	// Ratio to the reference: Hodges–Lehmann and its interval over the rounds that both have. The reference has 1 without an
	// interval. Value is not a number where no round is shared or a value is not positive.
	Ratio inference.Estimate
	// T is the paired t interval of the same, below TRounds; its N is 0 otherwise.
	T inference.Estimate
	// Tiers are the numbers of the tiers that the variant is in, 1 being the best, ascending; empty where there are none.
	Tiers []int
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

// Run compares the variants of a run by a metric. An empty reference means the run's, which by default is the first variant.
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
			if t.Variant != v.Name {
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
	ref := max(0, slices.Index(names, reference))
	return Values(info, names, values, placed, ref)
}

// Values compares variants by the values of a metric: values[i][r] is that of names[i] in round r+1, not a number where none
// counts; placed[i] is false for those that are only shown. All rows are of the same length. ref is the reference's place.
func Values(info results.Info, names []string, values [][]float64, placed []bool, ref int) *Comparison {
	nan := math.NaN()
	c := &Comparison{Metric: info, Reference: names[ref], Friedman: nan, Smallest: nan, SD: nan}
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
	c.ratios(ref)
	c.tiers(ref)
	return c
}

// ratios fills in the comparisons with the reference.
func (c *Comparison) ratios(ref int) {
	logs := make([][]float64, len(c.Rows))
	comparisons, fewest := 0, math.MaxInt
	for i := range c.Rows {
		logs[i] = c.logRatio(i, ref)
		if n := len(logs[i]); i != ref && n > 0 {
			comparisons++
			fewest = min(fewest, n)
		}
	}
	if comparisons > 0 && fewest >= IntervalRounds {
		c.Confidence = 1 - Alpha
		if fewest >= TierRounds {
			c.Confidence = 1 - Alpha/float64(comparisons)
		}
	}
	for i := range c.Rows {
		row := &c.Rows[i]
		d := logs[i]
		switch {
		case i == ref:
			if row.Placed && len(slices.DeleteFunc(slices.Clone(row.Values), math.IsNaN)) > 0 {
				row.Ratio.Value = 1
			}
			continue
		case len(d) == 0:
			row.Off = c.whyNoRatio(i, ref)
			continue
		}
		row.Ratio = estimate(d, c.Confidence, comparisons)
		if len(d) < IntervalRounds {
			row.Ratio.Lo, row.Ratio.Hi, row.Ratio.Confidence, row.Ratio.P = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		} else if len(d) < TRounds && row.Ratio.Method != pairedT {
			row.T = exp(inference.PairedT(d, c.Confidence))
		}
		if sd := deviation(d); len(d) >= 2 && !(sd <= c.SD) {
			c.SD, c.Rounds = sd, len(d)
			c.Smallest = math.Expm1(inference.MDE(sd, len(d), Alpha/float64(comparisons), Power))
		}
	}
}

// logRatio lists ln(variant ÷ reference) of the rounds in which both count, or nothing where a value has no logarithm.
func (c *Comparison) logRatio(i, ref int) []float64 {
	a, b := &c.Rows[i], &c.Rows[ref]
	if !a.Placed || !b.Placed {
		return nil
	}
	var d []float64
	for r := range a.Values {
		x, y := a.Values[r], b.Values[r]
		switch {
		case math.IsNaN(x) || math.IsNaN(y):
		case x <= 0 || y <= 0:
			return nil
		default:
			d = append(d, math.Log(x/y))
		}
	}
	return d
}

func (c *Comparison) whyNoRatio(i, ref int) string {
	a, b := &c.Rows[i], &c.Rows[ref]
	switch {
	case !a.Placed:
		return "not placed"
	case !b.Placed:
		return "the reference " + b.Variant + " is not placed"
	case math.IsNaN(a.Median):
		return "not measured"
	case math.IsNaN(b.Median):
		return "not measured of the reference " + b.Variant
	case a.Min <= 0 || b.Min <= 0:
		return "values that are zero or negative have no ratio"
	}
	return "no round counts for both it and the reference " + b.Variant
}

const pairedT = "paired-t"

// estimate is the signed-rank estimate of a ratio; where so few rounds can't reach the confidence, the paired t's, which its
// Method tells.
func estimate(d []float64, confidence float64, comparisons int) inference.Estimate {
	if confidence == 0 {
		confidence = 1 - Alpha
	}
	if len(d) >= IntervalRounds && !reaches(len(d), comparisons) {
		return exp(inference.PairedT(d, confidence))
	}
	return exp(inference.SignedRank(d, confidence))
}

// reaches tells whether the exact test of n rounds can reach Alpha among so many comparisons: its smallest p is 2 ÷ 2ⁿ.
func reaches(n, comparisons int) bool {
	if n < TierRounds {
		return true // unadjusted
	}
	return math.Ldexp(1, 1-n)*float64(comparisons) <= Alpha
}

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
