package inference

import (
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/aclements/go-moremath/stats"
	"pgregory.net/rapid"
)

// The slow truth: every sign pattern, every Walsh average, every split of two samples.

// midranks by counting: the values below, and half of those that are equal.
func midranks(x []float64) []float64 {
	ranks := make([]float64, len(x))
	for i, a := range x {
		for _, b := range x {
			switch {
			case b < a:
				ranks[i]++
			case b == a:
				ranks[i] += 0.5
			}
		}
		ranks[i] += 0.5
	}
	return ranks
}

// twoSided is twice the smaller share of values at or below, and at or above, the one seen.
func twoSided(all []float64, seen float64) float64 {
	below, above := 0, 0
	for _, v := range all {
		if v <= seen {
			below++
		}
		if v >= seen {
			above++
		}
	}
	return min(1, 2*float64(min(below, above))/float64(len(all)))
}

func signedRankOracle(d []float64) float64 {
	size := make([]float64, len(d))
	for i, v := range d {
		size[i] = math.Abs(v)
	}
	ranks := midranks(size)
	seen := 0.0
	all := make([]float64, 1<<len(d))
	for i, v := range d {
		if v > 0 {
			seen += ranks[i]
		}
		for pattern := range all {
			if v != 0 && pattern>>i&1 == 1 {
				all[pattern] += ranks[i]
			}
		}
	}
	return twoSided(all, seen)
}

func signFlipOracle(d []float64) float64 {
	far, seen := 0, 0.0
	for _, v := range d {
		seen += v
	}
	for pattern := range 1 << len(d) {
		sum := 0.0
		for i, v := range d {
			if pattern>>i&1 == 1 {
				v = -v
			}
			sum += v
		}
		if math.Abs(sum) >= math.Abs(seen)-1e-9 {
			far++
		}
	}
	return float64(far) / float64(int(1)<<len(d))
}

func mannWhitneyOracle(x, y []float64) float64 {
	ranks := midranks(slices.Concat(x, y))
	seen := 0.0
	var all []float64
	for split := range uint(1) << len(ranks) {
		if bits.OnesCount(split) != len(x) {
			continue
		}
		sum := 0.0
		for i, r := range ranks {
			if split>>i&1 == 1 {
				sum += r
			}
		}
		all = append(all, sum)
		if split == 1<<len(x)-1 {
			seen = sum
		}
	}
	return twoSided(all, seen)
}

// values draws n of them: few different ones, so that ties and zeros are the rule, or of any size, on a grid that keeps sums exact.
func values(t *rapid.T, name string, least, most int) []float64 {
	one := rapid.IntRange(-3, 4)
	if rapid.Bool().Draw(t, name+" wide") {
		one = rapid.IntRange(-1_000_000, 1_000_000)
	}
	var x []float64
	for _, v := range rapid.SliceOfN(one, least, most).Draw(t, name) {
		x = append(x, float64(v)/64)
	}
	return x
}

func TestSignedRankAgreesWithAllSigns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := values(t, "d", 1, 11)
		e := SignedRank(d, 0.9)
		if want := signedRankOracle(d); math.Abs(e.P-want) > 1e-12 {
			t.Fatalf("p of %v = %v, want %v", d, e.P, want)
		}
		var walsh []float64
		for i := range d {
			for j := range i + 1 {
				walsh = append(walsh, (d[i]+d[j])/2)
			}
		}
		slices.Sort(walsh)
		if want := (walsh[(len(walsh)-1)/2] + walsh[len(walsh)/2]) / 2; e.Value != want {
			t.Fatalf("value of %v = %v, want %v", d, e.Value, want)
		}
		if len(d) > 1 && !(e.Lo <= e.Value && e.Value <= e.Hi) {
			t.Fatalf("%v: %+v", d, e)
		}
	})
}

// Without ties interval and p are one test: 0 lies in the interval exactly if p is above 1 − confidence.
func TestSignedRankIntervalIsTheTestTurnedRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfNDistinct(rapid.IntRange(1, 1_000_000), 2, 25, rapid.ID[int]).Draw(t, "sizes")
		d := make([]float64, len(sizes))
		for i, v := range sizes {
			d[i] = float64(v)
			if rapid.IntRange(0, 3).Draw(t, "sign") == 0 {
				d[i] = -d[i]
			}
		}
		e := SignedRank(d, 0.95)
		if in := e.Lo <= 0 && 0 <= e.Hi; in != (e.P > 1-e.Confidence+1e-12) {
			t.Fatalf("%v: %+v", d, e)
		}
	})
}

func TestSignFlipAgreesWithAllSigns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := values(t, "d", 1, 11)
		if p, _ := SignFlip(d, 0); math.Abs(p-signFlipOracle(d)) > 1e-12 {
			t.Fatalf("p of %v = %v, want %v", d, p, signFlipOracle(d))
		}
	})
}

func TestShiftAgreesWithAllSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := values(t, "x", 1, 6), values(t, "y", 1, 6)
		e := Shift(x, y, 0.9)
		if want := mannWhitneyOracle(x, y); math.Abs(e.P-want) > 1e-12 {
			t.Fatalf("p of %v and %v = %v, want %v", x, y, e.P, want)
		}
		if r := Shift(y, x, 0.9); r.Value != -e.Value || r.P != e.P || len(x)*len(y) > 1 && (r.Lo != -e.Hi || r.Hi != -e.Lo) {
			t.Fatalf("%v and %v: %+v one way, %+v the other", x, y, e, r)
		}
	})
}

func TestShiftAgreesWithMoremathWithoutTies(t *testing.T) {
	for n := 2; n <= 50; n += 12 {
		x, y := make([]float64, n), make([]float64, 50-n/2)
		for i := range x {
			x[i] = float64(i*i) + 0.5
		}
		for i := range y {
			y[i] = float64(3*i*i) + 5
		}
		want, err := stats.MannWhitneyUTest(x, y, stats.LocationDiffers)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "p", Shift(x, y, 0.95).P, want.P, 1e-9)
	}
}

func TestMedianAgreesWithSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := values(t, "x", 1, 200)
		sorted := slices.Sorted(slices.Values(x))
		want := (sorted[(len(x)-1)/2] + sorted[len(x)/2]) / 2
		if got := Median(x); got != want {
			t.Fatalf("median = %v, want %v", got, want)
		}
		if slices.Sort(x); !slices.Equal(x, sorted) {
			t.Fatal("values are lost")
		}
	})
}

// A shift of all differences shifts estimate and interval, a scale scales them, a sign turns them round; the order does not matter.
func TestEstimatesMoveWithTheirValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := values(t, "d", 2, 30)
		by := float64(rapid.IntRange(-1000, 1000).Draw(t, "by"))
		scale := math.Ldexp(-1, rapid.IntRange(-900, 900).Draw(t, "exponent"))
		moved, turned := make([]float64, len(d)), make([]float64, len(d))
		for i, v := range d {
			moved[len(d)-1-i], turned[i] = v+by, v*scale
		}
		for _, estimate := range []func([]float64, float64) Estimate{SignedRank, PairedT} {
			e, m, s := estimate(d, 0.95), estimate(moved, 0.95), estimate(turned, 0.95)
			close := func(got, want, size float64) {
				if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > 1e-9*(math.Abs(want)+size) {
					t.Fatalf("%v, want %v\n%+v\nmoved by %v %+v\nscaled by %v %+v", got, want, e, by, m, scale, s)
				}
			}
			close(m.Value, e.Value+by, 1000)
			close(m.Lo, e.Lo+by, 1000)
			close(m.Hi, e.Hi+by, 1000)
			close(s.Value/scale, e.Value, 1)
			close(s.Lo/scale, e.Hi, 1)
			close(s.Hi/scale, e.Lo, 1)
			close(s.P, e.P, 0)
		}
	})
}

func TestFriedmanOfTwoAgreesWithItsFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(2, 6).Draw(t, "k")
		var blocks [][]float64
		for range rapid.IntRange(2, 12).Draw(t, "n") {
			blocks = append(blocks, values(t, "block", k, k))
		}
		f, _, df2, p := Friedman(blocks)
		if !(f >= 0) || !(p >= 0 && p <= 1) || df2 != float64((k-1)*(len(blocks)-1)) {
			t.Fatalf("f %v, df2 %v, p %v", f, df2, p)
		}
		// The two-way analysis of variance of the ranks gives the same F.
		between, within := 0.0, 0.0
		sums := make([]float64, k)
		for _, b := range blocks {
			for j, r := range midranks(b) {
				sums[j] += r
				within += (r - float64(k+1)/2) * (r - float64(k+1)/2)
			}
		}
		n := float64(len(blocks))
		for _, s := range sums {
			between += (s/n - float64(k+1)/2) * (s/n - float64(k+1)/2) * n
		}
		rest := within - between
		if want := between / float64(k-1) / (rest / df2); rest > 1e-9 && math.Abs(f-want) > 1e-9*(1+want) {
			t.Fatalf("f = %v, want %v", f, want)
		}
	})
}
