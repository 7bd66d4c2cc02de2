package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
)

// tiers compares the placed variants with one another and groups those between which no difference beyond ±Tau is supported.
// Only variants that share TierRounds with each other are in tiers, so that every two of them were compared.
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
		c.Friedman, c.Blocks = c.friedman(interval)
	}
	enough := len(tier)
	tier = c.acquainted(tier)
	switch {
	case len(c.Rows) < 2:
		c.Why = "one variant: nothing to compare it with"
	case c.Metric.Better == results.BetterNone:
		c.Why = "neither more nor less of it is better"
	case len(some) < 2:
		c.Why = "fewer than two variants have values that can be compared"
	case len(interval) < 2:
		c.Why = fmt.Sprintf("too few rounds that count for intervals, which need %d", IntervalRounds)
	case enough < 2:
		c.Why = fmt.Sprintf("too few rounds that count for tiers, which need %d", TierRounds)
	case len(tier) < 2:
		c.Why = fmt.Sprintf("too few rounds in common for tiers, which need %d", TierRounds)
	default:
		c.outside(some, tier)
		c.pairs(tier)
		c.number(tier, c.cover(tier))
	}
}

// acquainted leaves out variants until every two of those left share TierRounds: first the one that lacks them with most of the
// others, of several the one with the fewest rounds of its own, but the reference last. Who lacks them with none of those
// left comes back.
func (c *Comparison) acquainted(all []int) []int {
	in := slices.Clone(all)
	for {
		worst, most := -1, 0
		for _, a := range in {
			lacks := 0
			for _, b := range in {
				if a != b && c.common(a, b) < TierRounds {
					lacks++
				}
			}
			if lacks == 0 || lacks < most {
				continue
			}
			if lacks > most || c.Rows[worst].Variant == c.Reference || c.Rows[a].Variant != c.Reference && c.count(a) <= c.count(worst) {
				worst, most = a, lacks
			}
		}
		if worst < 0 {
			break
		}
		in = without(in, worst)
	}
	for _, a := range all {
		if !slices.Contains(in, a) && !slices.ContainsFunc(in, func(b int) bool { return c.common(a, b) < TierRounds }) {
			in = append(in, a)
		}
	}
	slices.Sort(in)
	return in
}

// common is in how many rounds both variants count.
func (c *Comparison) common(a, b int) int { return len(c.logRatio(a, b)) }

// outside says why variants that have values are in no tier.
func (c *Comparison) outside(some, tier []int) {
	for _, a := range some {
		switch i := slices.IndexFunc(tier, func(b int) bool { return a != b && c.common(a, b) < TierRounds }); {
		case slices.Contains(tier, a):
		case c.count(a) < TierRounds:
			c.Rows[a].NoTier = fmt.Sprintf("fewer than %d rounds", TierRounds)
		case i >= 0:
			b := tier[i]
			c.Rows[a].NoTier = fmt.Sprintf("%d rounds in common with %s, fewer than %d: not compared with it", c.common(a, b), c.Rows[b].Variant, TierRounds)
		}
	}
}

// friedman takes the rounds in which all of the variants count, and says how many these are.
func (c *Comparison) friedman(in []int) (p float64, rounds int) {
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
		return math.NaN(), len(blocks)
	}
	_, _, _, p = inference.Friedman(blocks)
	return p, len(blocks)
}

// pairs tests every two variants, adjusted by Holm.
func (c *Comparison) pairs(in []int) {
	comparisons := len(in) * (len(in) - 1) / 2
	var p []float64
	for k, a := range in {
		for _, b := range in[k+1:] {
			d := c.logRatio(a, b)
			e := estimate(d, confidenceOf(len(d), comparisons))
			c.Pairs = append(c.Pairs, Pair{A: a, B: b, Ratio: e})
			p = append(p, e.P)
		}
	}
	for k, adjusted := range inference.Holm(p) {
		q := &c.Pairs[k]
		q.Ratio.P = adjusted
		q.Apart = adjusted <= Alpha && !Alike(q.Ratio)
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

// TierText writes the tiers of a variant: 1, 1–2, or with a gap 1, 3; nothing where it is in none.
func (r *Row) TierText() string {
	tiers := r.Tiers
	var parts []string
	for from := 0; from < len(tiers); {
		to := from
		for to+1 < len(tiers) && tiers[to+1] == tiers[to]+1 {
			to++
		}
		if to > from {
			parts = append(parts, fmt.Sprintf("%d–%d", tiers[from], tiers[to]))
		} else {
			parts = append(parts, fmt.Sprint(tiers[from]))
		}
		from = to + 1
	}
	return strings.Join(parts, ", ")
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
