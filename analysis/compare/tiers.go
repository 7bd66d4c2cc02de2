package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
)

// tiers compares all placed variants with one another and groups those that can't be told apart.
//
// A tier is a largest set of variants no two of which are apart (the "compact letter display" of multiple comparisons, with
// numbers for letters; H.-P. Piepho, JCGS 13 (2004) 456–466). Being alike is not transitive, so a variant may be in several
// tiers: it is told apart from those with which it shares none.
func (c *Comparison) tiers() {
	var some, interval, tier []int // those with values, and with enough of them
	for i := range c.Rows {
		n := c.count(i)
		if n > 0 {
			some = append(some, i)
		}
		if n >= IntervalRounds {
			interval = append(interval, i)
		}
		if n >= TierRounds {
			tier = append(tier, i)
		}
	}
	if len(interval) >= 2 {
		c.Friedman = c.friedman(interval)
	}
	switch {
	case len(c.Rows) < 2:
		c.Why = "one variant: nothing to compare it with"
	case c.Metric.Better == results.BetterNone:
		c.Why = "neither more nor less of it is better"
	case len(some) < 2:
		c.Why = "fewer than two variants have values that can be compared"
	case len(interval) < 2:
		c.Why = fmt.Sprintf("too few rounds for intervals, which need %d", IntervalRounds)
	case len(tier) < 2:
		c.Why = fmt.Sprintf("too few rounds for tiers, which need %d", TierRounds)
	default:
		c.pairs(tier)
		c.number(tier, c.cover(tier))
	}
}

// friedman takes the rounds in which all of the variants count.
func (c *Comparison) friedman(in []int) float64 {
	var blocks [][]float64
	for r := range c.Rows[in[0]].Values {
		var block []float64
		for _, i := range in {
			if v := c.Rows[i].Values[r]; !math.IsNaN(v) {
				block = append(block, v)
			}
		}
		if len(block) == len(in) {
			blocks = append(blocks, block)
		}
	}
	if len(blocks) < IntervalRounds {
		return math.NaN()
	}
	_, _, _, p := inference.Friedman(blocks)
	return p
}

// pairs tests every two variants, adjusted by Holm.
func (c *Comparison) pairs(in []int) {
	comparisons := len(in) * (len(in) - 1) / 2
	var p []float64
	for k, a := range in {
		for _, b := range in[k+1:] {
			e := none()
			if d := c.logRatio(a, b); len(d) >= IntervalRounds {
				e = estimate(d, 1-Alpha/float64(comparisons))
			}
			c.Pairs = append(c.Pairs, Pair{A: a, B: b, Ratio: e})
			if math.IsNaN(e.P) {
				p = append(p, 1) // too few rounds in common to tell them apart
			} else {
				p = append(p, e.P)
			}
		}
	}
	for k, adjusted := range inference.Holm(p) {
		q := &c.Pairs[k]
		q.Ratio.P = adjusted
		alike := q.Ratio.Lo >= 1/(1+Tau) && q.Ratio.Hi <= 1+Tau
		q.Apart = adjusted <= Alpha && !alike
	}
}

// cover lists the tiers: it begins with one of all, and splits for every pair that is apart each tier that holds both, leaving
// out what lies within another.
func (c *Comparison) cover(in []int) [][]int {
	groups := [][]int{slices.Clone(in)}
	for _, pair := range c.Pairs {
		if !pair.Apart {
			continue
		}
		var next [][]int
		for _, g := range groups {
			if slices.Contains(g, pair.A) && slices.Contains(g, pair.B) {
				next = append(next, without(g, pair.A), without(g, pair.B))
			} else {
				next = append(next, g)
			}
		}
		groups = absorb(next)
	}
	return groups
}

// number orders the tiers from the best to the worst and writes their numbers into the rows. A variant's place is the mean of
// its ln ratios to all others, a tier's the mean of its variants'.
func (c *Comparison) number(in []int, groups [][]int) {
	place := make([]float64, len(c.Rows))
	for _, p := range c.Pairs {
		ln := math.Log(p.Ratio.Value)
		if math.IsNaN(ln) { // too few rounds in common
			ln = math.Log(c.Rows[p.A].Median / c.Rows[p.B].Median)
		}
		if c.Metric.Better == results.BetterHigher {
			ln = -ln
		}
		place[p.A] += ln
		place[p.B] -= ln
	}
	mean := func(g []int) float64 {
		sum := 0.0
		for _, i := range g {
			sum += place[i]
		}
		return sum / float64(len(g))
	}
	slices.SortStableFunc(groups, func(a, b []int) int { return cmp.Compare(mean(a), mean(b)) })
	for _, i := range in {
		for k, g := range groups {
			if slices.Contains(g, i) {
				c.Rows[i].Tiers = append(c.Rows[i].Tiers, k+1)
			}
		}
	}
}

// absorb leaves out the groups that lie within another, and repetitions. Groups are in ascending order of their members.
func absorb(groups [][]int) [][]int {
	var out [][]int
	for i, g := range groups {
		within := false
		for j, h := range groups {
			if i == j || len(g) > len(h) || len(g) == len(h) && (j > i || !slices.Equal(g, h)) {
				continue
			}
			within = within || !slices.ContainsFunc(g, func(v int) bool { return !slices.Contains(h, v) })
		}
		if !within {
			out = append(out, g)
		}
	}
	return out
}

func without(g []int, v int) []int {
	return slices.DeleteFunc(slices.Clone(g), func(x int) bool { return x == v })
}

// deviation is the standard deviation, 0 of fewer than two values.
func deviation(d []float64) float64 {
	if len(d) < 2 {
		return 0
	}
	return stat.StdDev(d, nil)
}
