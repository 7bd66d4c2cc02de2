package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

var (
	lower      = results.Info{Name: "p50-latency-ns", Better: results.BetterLower}
	higher     = results.Info{Name: "goodput-rps", Better: results.BetterHigher}
	undirected = results.Info{Name: "time-wait-server", Better: results.BetterNone}
	nan        = math.NaN()
)

// of compares rows named a, b, c … that are all placed, with the first for a reference.
func of(info results.Info, rows ...[]float64) *Comparison {
	var names []string
	var placed []bool
	for i := range rows {
		names, placed = append(names, string(rune('a'+i))), append(placed, true)
	}
	return Values(info, names, rows, placed, 0)
}

// steps are n rounds of base·(1 + k·step) with k = 1 … n.
func steps(n int, base, step float64) []float64 {
	var list []float64
	for k := range n {
		list = append(list, base*(1+step*float64(k+1)))
	}
	return list
}

func same(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }

// near compares to nine digits; not a number is near itself only.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func tiersOf(c *Comparison) string {
	var list []string
	for _, r := range c.Rows {
		list = append(list, strings.Trim(fmt.Sprint(r.Tiers), "[]"))
	}
	return strings.Join(list, "|")
}

// Six rounds: the exact 95 % interval misses with 2 ÷ 2⁶ = 0.031, so that it runs from the smallest to the largest ratio, and
// the estimate is the median of the Walsh averages.
func TestSixRounds(t *testing.T) {
	reference := []float64{1, 2, 1, 4, 1, 2}
	logs := []float64{0.01, 0.02, 0.03, 0.04, 0.05, 0.06}
	var x []float64
	for i, d := range logs {
		x = append(x, reference[i]*math.Exp(d))
	}
	c := of(lower, reference, x)
	r := c.Rows[1].Ratio
	near(t, "ratio", r.Value, math.Exp(0.035)) // by symmetry
	near(t, "lower end", r.Lo, math.Exp(0.01))
	near(t, "upper end", r.Hi, math.Exp(0.06))
	near(t, "p", r.P, 2.0/64)
	near(t, "confidence asked for", c.Confidence, 0.95)
	near(t, "confidence reached", r.Confidence, 1-2.0/64)
	near(t, "median", c.Rows[0].Median, 1.5)
	if c.Rows[0].Min != 1 || c.Rows[0].Max != 4 {
		t.Errorf("reference from %v to %v, want 1 to 4", c.Rows[0].Min, c.Rows[0].Max)
	}
	// The paired t beside it: mean 0.035, sd 0.0187082869, t₅ 0.975 = 2.5705818366.
	if T := c.Rows[1].T; T.N != 6 {
		t.Errorf("no paired t below ten rounds: %+v", T)
	} else {
		near(t, "t's lower end", T.Lo, math.Exp(0.035-2.5705818366*0.01870828693387/math.Sqrt(6)))
	}
	if c.Why == "" || tiersOf(c) != "|" || len(c.Pairs) > 0 {
		t.Errorf("tiers %q of six rounds, why %q", tiersOf(c), c.Why)
	}
	near(t, "sd", c.SD, 0.01870828693387)
	near(t, "smallest", c.Smallest, math.Expm1(inference.SignedRankMDE(c.SD, 6, 0.05, 0.8)))
	if n := c.RoundsFor(c.Smallest); n != 6 {
		t.Errorf("%d rounds would have shown what six could, want 6", n)
	}
}

// What six rounds say of a longer run is at the level that the longer run will have.
func TestRoundsForTakesTheLevelOfTheLongerRun(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var rows [][]float64
	for range 6 {
		var row []float64
		for range 6 {
			row = append(row, math.Exp(0.05*rng.NormFloat64()))
		}
		rows = append(rows, row)
	}
	c := of(lower, rows...)
	n, alone := c.RoundsFor(0.02), RoundsFor(c.SD, 0.02, 1)
	if at := func(n int) float64 { return inference.SignedRankMDE(c.SD, n, 0.05/5, 0.8) }; !(at(n) <= math.Log(1.02) && at(n-1) > math.Log(1.02)) {
		t.Errorf("%d rounds would show 2 %%: %v, one less %v", n, at(n), at(n-1))
	}
	if float64(n) < 1.3*float64(alone) {
		t.Errorf("%d rounds for five comparisons, %d for one", n, alone)
	}
	near(t, "smallest of five rounds", of(lower, rows[0][:5], rows[1][:5]).Smallest, nan)
}

func TestRoundsForIsTheSmallest(t *testing.T) {
	for _, k := range []int{1, 6, 7, 20} {
		for _, sd := range []float64{0.001, 0.02, 0.03, 0.04, 0.08, 0.3} {
			n := RoundsFor(sd, 0.05, k)
			if !(Smallest(sd, n, k) <= 0.05) {
				t.Errorf("%d rounds of %v, %d comparisons, show %v", n, sd, k, Smallest(sd, n, k))
			}
			for fewer := IntervalRounds; fewer < min(n, 40); fewer++ {
				if Smallest(sd, fewer, k) <= 0.05 {
					t.Errorf("%d rounds of %v, %d comparisons, are enough, not %d", fewer, sd, k, n)
				}
			}
		}
	}
	for _, c := range [][2]float64{{0.08, 0}, {0.08, -0.1}, {0.08, nan}, {nan, 0.05}, {1000, 1e-6}} {
		if n := RoundsFor(c[0], c[1], 1); n != 0 {
			t.Errorf("RoundsFor(%v, %v) = %d, want 0", c[0], c[1], n)
		}
	}
}

func TestRounds(t *testing.T) {
	for _, c := range []struct {
		n, variants     int
		interval, tiers bool
		confidence      float64
		ratio           string // method of the interval
		pair            string // method of the pairs
		t               bool   // the paired t beside it
		tier            string
		why             string
	}{
		{1, 3, false, false, 0, inference.SignedRankMethod, "", false, "||", "intervals"},
		{5, 3, false, false, 0, inference.SignedRankMethod, "", false, "||", "intervals"},
		{6, 3, true, false, 0.95, inference.SignedRankMethod, "", true, "||", "tiers"},
		{7, 3, true, false, 0.95, inference.SignedRankMethod, "", true, "||", "tiers"},
		// 2 ÷ 2⁸ = 0.0078 is below 0.05 ÷ 2 and 0.05 ÷ 3, not below 0.05 ÷ 15 (six variants) and 0.05 ÷ 7 (eight).
		{8, 3, true, true, 0.975, inference.SignedRankMethod, inference.SignedRankMethod, true, "1|2|3", ""},
		{8, 6, true, true, 0.99, inference.SignedRankMethod, inference.PairedTMethod, true, "1|2|3|4|5|6", ""},
		{8, 8, true, true, 1 - 0.05/7, inference.PairedTMethod, inference.PairedTMethod, false, "1|2|3|4|5|6|7|8", ""},
		{9, 6, true, true, 0.99, inference.SignedRankMethod, inference.PairedTMethod, true, "1|2|3|4|5|6", ""},
		{10, 6, true, true, 0.99, inference.SignedRankMethod, inference.SignedRankMethod, false, "1|2|3|4|5|6", ""},
	} {
		rng := rand.New(rand.NewPCG(1, uint64(c.n)))
		var rows [][]float64
		for i := range c.variants {
			var row []float64
			for range c.n {
				row = append(row, math.Exp(0.3*float64(i)+0.01*rng.NormFloat64()))
			}
			rows = append(rows, row)
		}
		got := of(lower, rows...)
		name := fmt.Sprintf("%d rounds, %d variants", c.n, c.variants)
		r := got.Rows[1]
		if r.Ratio.N != c.n || r.Ratio.Method != c.ratio || !math.IsNaN(r.Ratio.Lo) != c.interval || math.IsNaN(r.Ratio.P) == c.interval {
			t.Errorf("%s: ratio %+v", name, r.Ratio)
		}
		near(t, name+": confidence", got.Confidence, c.confidence)
		if (r.T.N > 0) != c.t {
			t.Errorf("%s: the paired t beside it: %+v, want it: %v", name, r.T, c.t)
		}
		if (len(got.Pairs) > 0) != c.tiers || tiersOf(got) != c.tier || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: %d pairs, tiers %q, why %q", name, len(got.Pairs), tiersOf(got), got.Why)
		}
		if len(got.Pairs) > 0 && got.Pairs[0].Ratio.Method != c.pair {
			t.Errorf("%s: pairs by %s, want %s", name, got.Pairs[0].Ratio.Method, c.pair)
		}
		if math.IsNaN(got.Friedman) == c.interval || c.interval && got.Friedman > 0.01 {
			t.Errorf("%s: Friedman p = %v", name, got.Friedman)
		}
	}
}

func TestBad(t *testing.T) {
	ten := steps(10, 1, 0.01)
	withZero := slices.Clone(ten)
	withZero[3] = 0
	negative := slices.Clone(ten)
	negative[0] = -1
	few := slices.Repeat([]float64{nan}, 10)
	copy(few, ten[:4])
	for _, c := range []struct {
		name     string
		got      *Comparison
		why, off string // off is that of the last row
		ratio    float64
	}{
		{"one variant", of(lower, ten), "one variant", "", 1},
		{"one variant, one round", of(lower, []float64{3}), "one variant", "", 1},
		{"two variants, one round", of(lower, []float64{2}, []float64{3}), "too few rounds that count for intervals", "", 1.5},
		{"no variant", Values(lower, nil, nil, nil, -1), "one variant", "", nan},
		{"no round", of(lower, nil, nil), "fewer than two", "not measured", nan},
		{"all invalid", Values(lower, []string{"a", "b"}, [][]float64{ten, ten}, []bool{false, false}, 0), "fewer than two", "not placed", nan},
		{"reference not placed", Values(lower, []string{"a", "b"}, [][]float64{ten, ten}, []bool{false, true}, 0), "fewer than two", "the reference a is not placed", nan},
		{"no reference", Values(lower, []string{"a", "b"}, [][]float64{ten, ten}, []bool{true, true}, -1), "", "no reference", nan},
		{"zero", of(lower, ten, withZero), "fewer than two", "zero or negative", nan},
		{"reference zero", of(lower, withZero, ten), "fewer than two", "zero or negative", nan},
		{"all zero", of(lower, same(10, 0), same(10, 0)), "fewer than two", "zero or negative", nan},
		{"negative residue", of(lower, ten, negative), "fewer than two", "zero or negative", nan},
		{"missing of the reference", of(lower, slices.Repeat([]float64{nan}, 10), ten), "fewer than two", "not measured of the reference a", nan},
		{"disjoint", of(lower, []float64{1, nan}, []float64{nan, 1}), "too few rounds", "no round counts for both", nan},
		{"few of ten", of(lower, ten, few), "too few rounds that count for intervals", "", 1},
		{"no direction", of(undirected, ten, steps(10, 3, 0.01)), "neither more nor less", "", 3},
	} {
		if !strings.Contains(c.got.Why, c.why) || (c.why == "") != (c.got.Why == "") {
			t.Errorf("%s: why %q, want %q", c.name, c.got.Why, c.why)
		}
		if len(c.got.Rows) == 0 {
			continue
		}
		last := c.got.Rows[len(c.got.Rows)-1]
		if !strings.Contains(last.Off, c.off) || (c.off == "") != (last.Off == "") {
			t.Errorf("%s: off %q, want %q", c.name, last.Off, c.off)
		}
		if v := last.Ratio.Value; math.IsNaN(v) != math.IsNaN(c.ratio) || math.Abs(v-c.ratio) > 0.01 {
			t.Errorf("%s: ratio %v, want %v", c.name, v, c.ratio)
		}
		if c.why != "" && strings.Trim(tiersOf(c.got), "|") != "" {
			t.Errorf("%s: tiers %s", c.name, tiersOf(c.got))
		}
	}
}

// One variant with few rounds takes the intervals and the tiers of no other.
func TestMissingRounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	row := func(base float64, present int) []float64 {
		list := slices.Repeat([]float64{nan}, 10)
		for i := range present {
			list[9-i] = base * math.Exp(0.01*rng.NormFloat64())
		}
		return list
	}
	c := of(lower, row(1, 10), row(2, 10), row(3, 5), row(4, 7))
	near(t, "confidence", c.Confidence, 1-0.05/2) // of the two that have intervals
	if c.Comparisons != 2 || c.Rows[1].Ratio.N != 10 || c.Rows[2].Ratio.N != 5 || c.Rows[3].Ratio.N != 7 {
		t.Errorf("%d comparisons, rounds %d, %d and %d", c.Comparisons, c.Rows[1].Ratio.N, c.Rows[2].Ratio.N, c.Rows[3].Ratio.N)
	}
	if math.IsNaN(c.Rows[1].Ratio.Lo) || !math.IsNaN(c.Rows[2].Ratio.Lo) || math.IsNaN(c.Rows[3].Ratio.Lo) {
		t.Errorf("intervals from %v, %v and %v, want one of the second and the fourth", c.Rows[1].Ratio.Lo, c.Rows[2].Ratio.Lo, c.Rows[3].Ratio.Lo)
	}
	if got := tiersOf(c); got != "1|2||" {
		t.Errorf("tiers %s, want 1|2||", got)
	}
}

// Two variants that share four rounds are not compared, so they are not in one tier, however many rounds each has.
func TestVariantsWithoutCommonRoundsAreNotTied(t *testing.T) {
	row := func(base float64, from, to int) []float64 {
		list := slices.Repeat([]float64{nan}, 12)
		for i := from; i < to; i++ {
			list[i] = base * (1 + 0.001*float64(i%5))
		}
		return list
	}
	c := of(lower, row(1, 0, 12), row(10, 0, 8), row(1, 4, 12))
	if got := tiersOf(c); got != "1|2|" || c.Rows[2].NoTier != "4 rounds in common with b, fewer than 8: not compared with it" {
		t.Errorf("tiers %s, the third %q", got, c.Rows[2].NoTier)
	}
	for _, p := range c.Pairs {
		if p.Ratio.N < TierRounds || math.IsNaN(p.Ratio.P) {
			t.Errorf("pair %+v", p)
		}
	}
	// The reference stays, and so do those that share enough.
	c = of(lower, row(10, 0, 8), row(1, 4, 12), row(1, 0, 12))
	if got := tiersOf(c); got != "2||1" {
		t.Errorf("tiers %s where the reference has few in common with the second, want 2||1", got)
	}
	// The third lacks rounds with both others; without it they share enough.
	c = of(lower, row(1, 0, 9), row(3, 0, 8), row(2, 3, 12))
	if got := tiersOf(c); got != "1|2|" {
		t.Errorf("tiers %s, want 1|2|", got)
	}
	if c = of(lower, row(1, 0, 8), row(10, 4, 12)); c.Why != "too few rounds in common for tiers, which need 8" || len(c.Pairs) > 0 {
		t.Errorf("why %q, pairs %v", c.Why, c.Pairs)
	}
}

func TestTiesEverywhere(t *testing.T) {
	for _, n := range []int{6, 8, 10} {
		c := of(lower, same(n, 5), same(n, 5), same(n, 5), same(n, 5), same(n, 5), same(n, 5))
		r := c.Rows[1].Ratio
		if r.Value != 1 || r.Lo != 1 || r.Hi != 1 || r.P != 1 || c.Friedman != 1 || c.Smallest != 0 {
			t.Errorf("%d rounds: ratio %+v, Friedman %v, smallest %v", n, r, c.Friedman, c.Smallest)
		}
		if got := tiersOf(c); n >= TierRounds && got != "1|1|1|1|1|1" {
			t.Errorf("%d rounds: tiers %s", n, got)
		}
	}
	// The same difference in every round: no scatter, so no paired t either; the exact interval stands for it.
	c := of(lower, same(8, 1), same(8, 2), same(8, 3), same(8, 4), same(8, 5), same(8, 6), same(8, 7), same(8, 8))
	r := c.Rows[1].Ratio
	if r.Method != inference.SignedRankMethod || r.Lo != r.Value || r.Hi != r.Value || r.Confidence >= c.Confidence {
		t.Errorf("ratio %+v, want an exact one that says how little it reaches", r)
	}
	near(t, "ratio", r.Value, 2)
}

// Apart by the test, alike within ±5 %: they share a tier.
func TestWithinTau(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	row := func(base float64) []float64 {
		var list []float64
		for range 20 {
			list = append(list, base*math.Exp(0.002*rng.NormFloat64()))
		}
		return list
	}
	c := of(lower, row(1), row(1.03), row(1.08))
	if got := tiersOf(c); got != "1|1|2" {
		// 1.08 ÷ 1.03 is 1.049, whose interval reaches beyond 1.05.
		t.Errorf("tiers %s, want 1|1|2", got)
	}
	if p := c.Pairs[0]; p.Ratio.P > Alpha || p.Apart {
		t.Errorf("pair %+v: want a small p and not apart", p)
	}
	if got := tiersOf(of(higher, row(1), row(1.3), row(1.31))); got != "2|1|1" {
		t.Errorf("tiers %s where more is better, want 2|1|1", got)
	}
}

func TestIntransitive(t *testing.T) {
	// b differs from a and from c by as much as they scatter together in b, a and c clearly: 1, 1–2, 2.
	a, b, c := same(10, 100), same(10, 107), same(10, 114)
	for i := range 10 {
		a[i] *= 1 + 0.002*float64(i%3)
		c[i] *= 1 + 0.002*float64(i%4)
		b[i] *= 1 + 0.12*float64(i%2*2-1)
	}
	if got := tiersOf(of(lower, a, b, c)); got != "1|1 2|2" {
		t.Errorf("tiers %s, want 1|1 2|2", got)
	}
	if got := tiersOf(of(higher, a, b, c)); got != "2|1 2|1" {
		t.Errorf("tiers %s where more is better, want 2|1 2|1", got)
	}
}

func TestTierText(t *testing.T) {
	for want, tiers := range map[string][]int{"1": {1}, "1–2": {1, 2}, "1, 3": {1, 3}, "2–4, 6": {2, 3, 4, 6}, "1–3, 5": {1, 2, 3, 5}, "": nil} {
		if got := (&Row{Tiers: tiers}).TierText(); got != want {
			t.Errorf("%v reads %q, want %q", tiers, got, want)
		}
	}
}

// cover against every subset: tiers are exactly the largest sets in which no two are apart, and two variants share one
// exactly when they are not apart.
func TestCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		n := 2 + rng.IntN(7)
		c := &Comparison{}
		apart := map[[2]int]bool{}
		var in []int
		for a := range n {
			in = append(in, a)
			for b := a + 1; b < n; b++ {
				p := Pair{A: a, B: b, Apart: rng.Float64() < 0.4}
				c.Pairs = append(c.Pairs, p)
				apart[[2]int{a, b}] = p.Apart
			}
		}
		alike := func(set uint) bool {
			for pair, is := range apart {
				if is && set>>pair[0]&1 == 1 && set>>pair[1]&1 == 1 {
					return false
				}
			}
			return true
		}
		var want []uint
		for set := uint(1); set < 1<<n; set++ {
			largest := alike(set)
			for v := range n {
				largest = largest && (set>>v&1 == 1 || !alike(set|1<<v))
			}
			if largest {
				want = append(want, set)
			}
		}
		var got []uint
		for _, g := range c.cover(in) {
			set := uint(0)
			for _, v := range g {
				set |= 1 << v
			}
			got = append(got, set)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("tiers %b of %v, want %b", got, apart, want)
		}
		for pair, is := range apart {
			both := uint(1)<<pair[0] | 1<<pair[1]
			if shared := slices.ContainsFunc(got, func(g uint) bool { return g&both == both }); shared == is {
				t.Fatalf("%v: apart %v, in one tier %v", pair, is, shared)
			}
		}
	}
}

func TestRun(t *testing.T) {
	res := &results.Result{Run: &results.Run{ID: "x", Variants: []results.Variant{{Name: "a"}, {Name: "b"}, {Name: "c"}}, Reference: "b"}}
	for r := range 3 {
		for i, name := range []string{"a", "b", "c"} {
			t := &results.Trial{Round: r + 1, Variant: name, Status: results.StatusDone, Verdict: validity.Valid,
				Metrics: map[string]float64{"p50-latency-ns": float64((i + 1) * (r + 1))}}
			if name == "c" && r < 2 || name == "a" && r == 1 {
				t.Verdict = validity.Invalid
			}
			res.Trials = append(res.Trials, t)
		}
	}
	c := Run(res, "p50-latency-ns", "")
	if c.Reference != "b" || c.Rows[1].Ratio.Value != 1 {
		t.Errorf("reference %s: %+v", c.Reference, c.Rows[1])
	}
	if a := c.Rows[0]; !a.Placed || a.Ratio.N != 2 || math.Abs(a.Ratio.Value-0.5) > 1e-12 || !math.IsNaN(a.Values[1]) || a.Values[2] != 3 {
		t.Errorf("a is %+v, want 0.5 of b over the two rounds that count", a)
	}
	if c := c.Rows[2]; c.Placed || c.Off != "not placed" || !math.IsNaN(c.Ratio.Value) {
		t.Errorf("c is %+v, valid in one of three rounds: want it not placed", c)
	}
	if c := Run(res, "p50-latency-ns", "a"); c.Reference != "a" || math.Abs(c.Rows[1].Ratio.Value-2) > 1e-12 {
		t.Errorf("reference %s, ratio %v, want a and 2", c.Reference, c.Rows[1].Ratio.Value)
	}
	if c := Run(res, "p50-latency-ns", "z"); c.Reference != "z" || c.Rows[1].Off != "no reference" {
		t.Errorf("an unknown reference: %+v", c.Rows[1])
	}
	res.Run.Reference = "gone"
	if c := Run(res, "p50-latency-ns", ""); c.Reference != "gone" || c.Rows[1].Off != "no reference" {
		t.Errorf("an unknown recorded reference: %s, %+v", c.Reference, c.Rows[1])
	}
	if c := Run(&results.Result{Run: &results.Run{}}, "p50-latency-ns", ""); len(c.Rows) > 0 || c.Why == "" {
		t.Errorf("a run without variants: %+v", c)
	}
}

func TestReference(t *testing.T) {
	run := &results.Run{ID: "x", Variants: []results.Variant{{Name: "a"}, {Name: "b"}}}
	check := func(recorded, name, want, problem string) {
		t.Helper()
		run.Reference = recorded
		got, err := Reference(run, name)
		if got != want || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("recorded %q, asked for %q: %q, %v", recorded, name, got, err)
		}
	}
	check("", "", "a", "")
	check("b", "", "b", "")
	check("b", "a", "a", "")
	check("", "z", "", `reference "z": run x has none of that name: want one of a, b`)
	check("gone", "", "", `"gone"`)
}

// A table of 20 rounds and 12 variants: ratios, 66 pairs, Friedman and tiers of one metric.
func BenchmarkValues(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	var rows [][]float64
	for i := range 12 {
		var row []float64
		for range 20 {
			row = append(row, math.Exp(0.03*float64(i)+0.05*rng.NormFloat64()))
		}
		rows = append(rows, row)
	}
	for b.Loop() {
		of(lower, rows...)
	}
}
