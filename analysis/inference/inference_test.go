package inference

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var (
	nan = math.NaN()
	inf = math.Inf(1)
)

func (e Estimate) isNothing() bool {
	return math.IsNaN(e.Value) && math.IsNaN(e.Lo) && math.IsNaN(e.Hi) && math.IsNaN(e.Confidence) && math.IsNaN(e.P)
}

func TestWhatIsNotFiniteIsRefused(t *testing.T) {
	for _, bad := range [][]float64{nil, {}, {nan}, {1, nan, 3}, {inf}, {1, -inf, 2}} {
		good := []float64{1, 2, 3, 4, 5, 6}
		for _, e := range []Estimate{SignedRank(bad, 0.95), PairedT(bad, 0.95), Shift(bad, good, 0.95), Shift(good, bad, 0.95)} {
			if !e.isNothing() {
				t.Errorf("%v: %+v, want nothing but NaN", bad, e)
			}
		}
		if p, exact := SignFlip(bad, 1); !math.IsNaN(p) || exact {
			t.Errorf("SignFlip(%v) = %v, %v", bad, p, exact)
		}
		if f, _, _, p := Friedman([][]float64{bad, bad}); !math.IsNaN(f) || !math.IsNaN(p) {
			t.Errorf("Friedman of %v = %v, p %v", bad, f, p)
		}
		if l := TheilSen(bad, bad, 0.95); !math.IsNaN(l.Slope) || !math.IsNaN(l.Lo) {
			t.Errorf("TheilSen(%v) = %+v", bad, l)
		}
	}
}

func TestConfidenceOutsideIsRefused(t *testing.T) {
	d := []float64{1, 2, 3, 4, 5, 7}
	for _, c := range []float64{-1, 0, 1, 95, nan} {
		for _, e := range []Estimate{SignedRank(d, c), PairedT(d, c), Shift(d, d, c)} {
			if !math.IsNaN(e.Lo) || !math.IsNaN(e.Hi) || !math.IsNaN(e.Confidence) || math.IsNaN(e.Value) || math.IsNaN(e.P) {
				t.Errorf("confidence %v: %+v, want no interval", c, e)
			}
		}
		if lo, hi := ClopperPearson(1, 10, c); !math.IsNaN(lo) || !math.IsNaN(hi) || !math.IsNaN(ClopperPearsonUpper(1, 10, c)) {
			t.Errorf("ClopperPearson at %v = %v, %v", c, lo, hi)
		}
		if lo, _ := BlockBootstrap(6, 100, c, 1, func([]int) float64 { return 1 }); !math.IsNaN(lo) {
			t.Errorf("BlockBootstrap at %v = %v", c, lo)
		}
		if l := TheilSen(d, d, c); !math.IsNaN(l.Lo) || l.Slope != 1 {
			t.Errorf("TheilSen at %v = %+v", c, l)
		}
	}
}

func TestOneValue(t *testing.T) {
	if e := SignedRank([]float64{3}, 0.95); e.Value != 3 || !math.IsNaN(e.Lo) || e.P != 1 {
		t.Errorf("signed rank: %+v", e)
	}
	if e := PairedT([]float64{3}, 0.95); e.Value != 3 || !math.IsNaN(e.Lo) || !math.IsNaN(e.P) {
		t.Errorf("paired t: %+v", e)
	}
	if e := Shift([]float64{3}, []float64{1}, 0.95); e.Value != 2 || !math.IsNaN(e.Lo) || e.P != 1 {
		t.Errorf("shift: %+v", e)
	}
	if p, exact := SignFlip([]float64{3}, 1); p != 1 || !exact {
		t.Errorf("sign flip: %v, %v", p, exact)
	}
	if lo, hi := BlockBootstrap(1, 100, 0.95, 1, func([]int) float64 { return 1 }); !math.IsNaN(lo) || !math.IsNaN(hi) {
		t.Errorf("bootstrap: %v, %v", lo, hi)
	}
}

func TestAllZeros(t *testing.T) {
	zeros := make([]float64, 8)
	for _, e := range []Estimate{SignedRank(zeros, 0.95), Shift(zeros, zeros, 0.95)} {
		if e.Value != 0 || e.Lo != 0 || e.Hi != 0 || e.P != 1 || e.Confidence < 0.95 {
			t.Errorf("%+v", e)
		}
	}
	if e := PairedT(zeros, 0.95); e.Value != 0 || !math.IsNaN(e.Lo) || !math.IsNaN(e.P) {
		t.Errorf("paired t: %+v", e)
	}
	if p, _ := SignFlip(zeros, 1); p != 1 {
		t.Errorf("sign flip: %v", p)
	}
	if f, _, _, p := Friedman([][]float64{zeros, zeros, zeros}); f != 0 || p != 1 {
		t.Errorf("Friedman: %v, p %v", f, p)
	}
}

func TestAllEqual(t *testing.T) {
	d := slices.Repeat([]float64{0.3}, 6)
	if e := SignedRank(d, 0.95); e.Value != 0.3 || e.Lo != 0.3 || e.Hi != 0.3 || e.P != 0.03125 {
		t.Errorf("signed rank: %+v", e)
	}
	if e := PairedT(d, 0.95); math.Abs(e.Value-0.3) > 1e-15 || !math.IsNaN(e.Lo) || !math.IsNaN(e.P) {
		t.Errorf("paired t: %+v", e)
	}
	if p, _ := SignFlip(d, 1); p != 0.03125 {
		t.Errorf("sign flip: %v", p)
	}
}

func TestSmallestP(t *testing.T) {
	for n, want := range map[int]float64{5: 0.0625, 6: 0.03125, 8: 0.0078125, 10: 0.001953125, 20: math.Ldexp(1, -19)} {
		d := make([]float64, n)
		for i := range d {
			d[i] = float64(i + 1)
		}
		if e := SignedRank(d, 0.95); e.P != want {
			t.Errorf("n = %d: p = %v, want %v", n, e.P, want)
		}
		if p, _ := SignFlip(d, 1); p != want {
			t.Errorf("sign flip, n = %d: p = %v, want %v", n, p, want)
		}
	}
}

func TestConfidenceSaysWhatFewValuesCantGive(t *testing.T) {
	for n, want := range map[int]float64{2: 0.5, 3: 0.75, 4: 0.875, 5: 0.9375, 6: 0.96875} {
		d := make([]float64, n)
		for i := range d {
			d[i] = math.Sqrt(float64(i))
		}
		if e := SignedRank(d, 0.95); e.Confidence != want || e.Lo != d[0] || e.Hi != d[n-1] {
			t.Errorf("n = %d: %+v, want all from %v to %v at %v", n, e, d[0], d[n-1], want)
		}
	}
}

// The paradox that Pratt found. Without the 0 the signs of 12 ranks count, and p is 140/2¹². With −1 in place of the 0 the
// values are lower, and yet p is smaller, 218/2¹³. With the 0 ranked it is the smallest, as it should be.
func TestZerosAreRanked(t *testing.T) {
	example := []float64{0, 2, 3, 4, 6, 7, 8, 9, 11, 14, 15, 17, -18}
	near(t, "p without the zero", SignedRank(example[1:], 0.95).P, 140.0/4096, 1e-15)
	with := SignedRank(example, 0.95).P
	example[0] = -1
	lower := SignedRank(example, 0.95).P
	near(t, "p with -1", lower, 218.0/8192, 1e-15)
	if !(with < lower) {
		t.Errorf("p = %v with the zero, want less than the %v of lower values", with, lower)
	}
}

// Above the exact limits the approximation meets the exact value from the other side.
func TestManyValues(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	d := make([]float64, signedRankExact+1)
	for i := range d {
		d[i] = random.NormFloat64() + 0.1
	}
	at, above := SignedRank(d[1:], 0.95), SignedRank(d, 0.95)
	near(t, "p", above.P, at.P, 0.25*at.P)
	near(t, "lo", above.Lo, at.Lo, 0.01)
	near(t, "hi", above.Hi, at.Hi, 0.01)
	near(t, "confidence", above.Confidence, 0.95, 1e-4)
	for i := range d {
		d[i] = math.Round(4 * d[i])
	}
	near(t, "p with ties", SignedRank(d, 0.95).P, countedSignedRank(d), 5e-4)

	x, y := d[:51], d[100:150]
	near(t, "shift's p with ties", Shift(x, y, 0.95).P, Shift(x[1:], y, 0.95).P, 0.05)
	for i := range d {
		d[i] += 1e-3 * random.Float64()
	}
	e, f := Shift(x, y, 0.95), Shift(x[1:], y, 0.95)
	near(t, "shift's p", e.P, f.P, 0.05)
	near(t, "shift's lo", e.Lo, f.Lo, 0.2)
	near(t, "shift's confidence", e.Confidence, 0.95, 1e-3)
	if e := Shift(make([]float64, 60), make([]float64, 60), 0.95); e.P != 1 || e.Lo != 0 || e.Hi != 0 {
		t.Errorf("60 equal values against 60: %+v", e)
	}
}

// countedSignedRank is the exact p beyond the limit, ties and zeros included.
func countedSignedRank(d []float64) float64 {
	size := make([]float64, len(d))
	for i, v := range d {
		size[i] = math.Abs(v)
	}
	ranks, _ := doubledRanks(size)
	var kept []int
	plus, minus := 0, 0
	for i, r := range ranks {
		switch {
		case d[i] > 0:
			plus += r
		case d[i] < 0:
			minus += r
		default:
			continue
		}
		kept = append(kept, r)
	}
	return 2 * subsetTail(kept, min(plus, minus))
}

func TestSignFlipAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	d := make([]float64, 100)
	for i := range d {
		d[i] = random.NormFloat64() + 0.2
	}
	p, exact := SignFlip(d, 11)
	again, _ := SignFlip(d, 11)
	other, _ := SignFlip(d, 12)
	if exact || p != again || p == other {
		t.Errorf("p = %v, again %v, from another seed %v, exact %v", p, again, other, exact)
	}
	near(t, "p against the paired t", p, PairedT(d, 0.95).P, 0.01)
	for i := range d {
		d[i] = 1
	}
	if p, _ := SignFlip(d, 1); p != 1.0/(1+signFlips) {
		t.Errorf("smallest p = %v, want 1 in %d, never 0", p, 1+signFlips)
	}
}

func TestFriedmanInAgreement(t *testing.T) {
	f, df1, df2, p := Friedman([][]float64{{1, 2, 3}, {10, 20, 30}, {4, 5, 6}, {0, 1, 9}})
	if !math.IsInf(f, 1) || df1 != 2 || df2 != 6 {
		t.Errorf("f = %v, %v and %v degrees of freedom", f, df1, df2)
	}
	near(t, "p", p, 1.0/(6*6*6), 1e-12)
	_, _, _, p = Friedman([][]float64{{1, 1, 3}, {2, 2, 3}})
	near(t, "p with ties", p, 1.0/3, 1e-12)
	for _, blocks := range [][][]float64{nil, {{1, 2}}, {{1}, {2}}, {{1, 2}, {1, 2, 3}}, {{}, {}}} {
		if f, _, _, _ := Friedman(blocks); !math.IsNaN(f) {
			t.Errorf("Friedman(%v) = %v, want NaN", blocks, f)
		}
	}
}

func TestHolmLeavesOutWhatWasNotTested(t *testing.T) {
	got := Holm([]float64{0.02, nan, 0.01, 1.5, -0.1})
	want := []float64{0.02, nan, 0.02, nan, nan}
	for i := range want {
		if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Errorf("Holm = %v, want %v", got, want)
		}
	}
	if len(Holm(nil)) != 0 {
		t.Error("p values of no test")
	}
}

func TestNoneOf59(t *testing.T) {
	if upper := ClopperPearsonUpper(0, 59, 0.95); !(upper < 0.05) {
		t.Errorf("0 of 59 bounds by %v, want below 0.05", upper)
	}
	if upper := ClopperPearsonUpper(0, 58, 0.95); !(upper > 0.05) {
		t.Errorf("0 of 58 bounds by %v, want above 0.05", upper)
	}
	for _, c := range [][2]int{{0, 0}, {-1, 5}, {6, 5}} {
		if lo, hi := ClopperPearson(c[0], c[1], 0.95); !math.IsNaN(lo) || !math.IsNaN(hi) || !math.IsNaN(ClopperPearsonUpper(c[0], c[1], 0.95)) {
			t.Errorf("ClopperPearson(%d, %d) = %v, %v, want NaN", c[0], c[1], lo, hi)
		}
	}
}

func TestRoundsForIsTheSmallest(t *testing.T) {
	for _, effect := range []float64{0.01, 0.02, 0.05, 0.3, 4} {
		n := RoundsFor(0.08, effect, 0.05, 0.8)
		if MDE(0.08, n, 0.05, 0.8) > effect || n > 2 && MDE(0.08, n-1, 0.05, 0.8) <= effect {
			t.Errorf("effect %v: %d rounds", effect, n)
		}
	}
	for _, c := range [][2]float64{{0.08, 0}, {0.08, -1}, {0.08, nan}, {nan, 0.05}, {-1, 0.05}, {1000, 1e-6}} {
		if n := RoundsFor(c[0], c[1], 0.05, 0.8); n != 0 {
			t.Errorf("RoundsFor(%v, %v) = %d, want 0", c[0], c[1], n)
		}
	}
	if n := RoundsFor(0, 0.05, 0.05, 0.8); n != 2 {
		t.Errorf("no scatter asks for %d rounds, want 2", n)
	}
	for _, v := range []float64{MDE(0.1, 1, 0.05, 0.8), MDE(0.1, 5, 0, 0.8), MDE(0.1, 5, 0.05, 1), MDE(nan, 5, 0.05, 0.8)} {
		if !math.IsNaN(v) {
			t.Errorf("MDE = %v, want NaN", v)
		}
	}
}

func TestMedianOfMany(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	for range 3000 {
		x := make([]float64, 20+random.IntN(100))
		for i := range x {
			x[i] = float64(random.IntN(len(x)))
		}
		sorted := slices.Sorted(slices.Values(x))
		if m, want := Median(x), (sorted[(len(x)-1)/2]+sorted[len(x)/2])/2; m != want {
			t.Fatalf("median of %v = %v, want %v", sorted, m, want)
		}
	}
}

func TestMedianOfNone(t *testing.T) {
	for _, x := range [][]float64{nil, {1, nan, 2}} {
		if m := Median(x); !math.IsNaN(m) {
			t.Errorf("Median(%v) = %v, want NaN", x, m)
		}
	}
	if m := Median([]float64{math.MaxFloat64, math.MaxFloat64}); m != math.MaxFloat64 {
		t.Errorf("median of the largest = %v", m)
	}
}

func TestInputIsKept(t *testing.T) {
	d := []float64{3, -1, 2, 0, 5, -4}
	p := []float64{0.5, 0.01, 0.2}
	SignedRank(d, 0.95)
	PairedT(d, 0.95)
	SignFlip(d, 1)
	Shift(d, d, 0.95)
	Friedman([][]float64{d, d})
	TheilSen([]float64{6, 5, 4, 3, 2, 1}, d, 0.95)
	Holm(p)
	if !slices.Equal(d, []float64{3, -1, 2, 0, 5, -4}) || !slices.Equal(p, []float64{0.5, 0.01, 0.2}) {
		t.Errorf("input is now %v and %v", d, p)
	}
}
