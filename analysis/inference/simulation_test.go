package inference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// Simulated truth: how often intervals hold what is known, and how often tests find what is not there. Seeded, so a change shows.

func TestIntervalsHoldTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const trials = 4000
	draws := map[string]func() float64{
		"normal":  random.NormFloat64,
		"outlier": func() float64 { return random.NormFloat64() / math.Sqrt(random.Float64()+1e-3) }, // heavy tails, symmetric
	}
	for name, draw := range draws {
		for _, n := range []int{6, 10, 20} {
			var held, rejected [2]int
			var confidence [2]float64
			d := make([]float64, n)
			for range trials {
				for i := range d {
					d[i] = 2 + draw()
				}
				for k, estimate := range []func([]float64, float64) Estimate{SignedRank, PairedT} {
					e := estimate(d, 0.95)
					confidence[k] = e.Confidence
					if e.Lo <= 2 && 2 <= e.Hi {
						held[k]++
					}
					for i := range d {
						d[i] -= 2
					}
					if estimate(d, 0.95).P <= 0.05 {
						rejected[k]++
					}
					for i := range d {
						d[i] += 2
					}
				}
			}
			near(t, name+": signed rank holds", float64(held[0])/trials, confidence[0], 0.01)
			near(t, name+": signed rank rejects", float64(rejected[0])/trials, 1-confidence[0], 0.01)
			if name == "normal" {
				near(t, name+": paired t holds", float64(held[1])/trials, 0.95, 0.01)
				near(t, name+": paired t rejects", float64(rejected[1])/trials, 0.05, 0.01)
			}
		}
	}
}

// Rounded values tie and give zeros: the interval holds at least what it says, the test rejects at most so often.
func TestTiesErrOnTheSafeSide(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 9))
	const trials = 4000
	for _, n := range []int{6, 10, 20} {
		held, rejected, confidence := 0, 0, 0.0
		d := make([]float64, n)
		for range trials {
			for i := range d {
				d[i] = math.Round(1.5 * random.NormFloat64())
			}
			e := SignedRank(d, 0.95)
			confidence = e.Confidence
			if e.Lo <= 0 && 0 <= e.Hi {
				held++
			}
			if e.P <= 0.05 {
				rejected++
			}
		}
		if got := float64(held) / trials; got < confidence-0.005 {
			t.Errorf("n = %d: the interval holds %v, says %v", n, got, confidence)
		}
		if got := float64(rejected) / trials; got > 0.055 {
			t.Errorf("n = %d: the test rejects %v", n, got)
		}
	}
}

func TestBootstrapHoldsTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(10, 11))
	const trials, resamples = 1500, 600
	for _, n := range []int{6, 10, 20} {
		x, scratch := make([]float64, n), make([]float64, n)
		mean := func(index []int) float64 {
			sum := 0.0
			for _, i := range index {
				sum += x[i]
			}
			return sum / float64(n)
		}
		median := func(index []int) float64 {
			for k, i := range index {
				scratch[k] = x[i]
			}
			return Median(scratch)
		}
		var means, medians int
		for trial := range trials {
			for i := range x {
				x[i] = random.NormFloat64()
			}
			if lo, hi := BlockBootstrap(n, resamples, 0.95, uint64(trial), mean); lo <= 0 && 0 <= hi {
				means++
			}
			if lo, hi := BlockBootstrap(n, resamples, 0.95, uint64(trial), median); lo <= 0 && 0 <= hi {
				medians++
			}
		}
		near(t, "the mean is held", float64(means)/trials, 0.93, 0.025) // less than it says: see TestBootstrapIntervalsCompared
		near(t, "the median is held", float64(medians)/trials, 0.955, 0.02)
	}
}

func TestBootstrapIsSeededAndAllocatesNothingPerDraw(t *testing.T) {
	x := []float64{5, 3, 8, 1, 9, 2, 7, 4}
	first := func(index []int) float64 { return x[index[0]] + x[index[7]] }
	lo, hi := BlockBootstrap(8, 500, 0.9, 42, first)
	again, _ := BlockBootstrap(8, 500, 0.9, 42, first)
	other := 0
	for seed := range uint64(20) {
		if l, h := BlockBootstrap(8, 500, 0.9, seed, first); l != lo || h != hi {
			other++
		}
	}
	if lo != again || other == 0 || !(lo < hi) {
		t.Errorf("[%v, %v], again %v, %d of 20 other seeds differ", lo, hi, again, other)
	}
	allocs := func(resamples int) float64 {
		return testing.AllocsPerRun(5, func() { BlockBootstrap(8, resamples, 0.9, 42, first) })
	}
	if few, many := allocs(10), allocs(5000); many > few {
		t.Errorf("%v allocations for 10 draws, %v for 5000", few, many)
	}
	calls := 0
	lo, hi = BlockBootstrap(8, 100, 0.9, 1, func([]int) float64 {
		if calls++; calls == 50 {
			return math.NaN()
		}
		return 1
	})
	if !math.IsNaN(lo) || !math.IsNaN(hi) {
		t.Errorf("one draw is NaN: [%v, %v], want NaN", lo, hi)
	}
}

// A positive control: a shift of one standard deviation in 20 rounds is found about as often as power calculations say.
func TestPowerIsAsPromised(t *testing.T) {
	random := rand.New(rand.NewPCG(12, 13))
	const trials, n = 3000, 20
	effect := MDE(1, n, 0.05, 0.8)
	found := 0
	d := make([]float64, n)
	for range trials {
		for i := range d {
			d[i] = effect + random.NormFloat64()
		}
		if PairedT(d, 0.95).P <= 0.05 {
			found++
		}
	}
	near(t, "power", float64(found)/trials, 0.8, 0.025)
}

// The same of each test by itself, at the few rounds where they need more than the formula says, and on both sides of the limit up to
// which the difference is drawn.
func TestPowerOfEachTestIsAsPromised(t *testing.T) {
	random := rand.New(rand.NewPCG(14, 15))
	const trials = 4000
	draw := func(n int, shift float64) []float64 {
		d := make([]float64, n)
		for i := range d {
			d[i] = shift + 2*random.NormFloat64()
		}
		return d
	}
	for _, c := range []struct {
		n     int
		alpha float64
	}{{6, 0.05}, {7, 0.05}, {8, 0.05}, {8, 0.05 / 6}, {10, 0.05}, {10, 0.01}, {16, 0.05}, {drawnRounds, 0.05 / 6}, {drawnRounds + 1, 0.05}, {40, 0.05}, {40, 0.05 / 6}} {
		effect, shift, paired := SignedRankMDE(2, c.n, c.alpha, 0.8), ShiftMDE(2, c.n, c.n+1, c.alpha, 0.8), PairedTMDE(2, c.n, c.alpha, 0.8)
		found, shifted, pairs := 0, 0, 0
		for range trials {
			if SignedRank(draw(c.n, effect), 1-c.alpha).Lo > 0 {
				found++
			}
			if Shift(draw(c.n, shift), draw(c.n+1, 0), 1-c.alpha).Lo > 0 {
				shifted++
			}
			if PairedT(draw(c.n, paired), 1-c.alpha).Lo > 0 {
				pairs++
			}
		}
		name := fmt.Sprintf("%d rounds, alpha %.3g", c.n, c.alpha)
		near(t, name+": power of the signed rank", float64(found)/trials, 0.8, 0.02)
		near(t, name+": power of the shift", float64(shifted)/trials, 0.8, 0.02)
		near(t, name+": power of the paired t", float64(pairs)/trials, 0.8, 0.02)
	}
	// Six rounds need one sign in all of them: Φ(δ)⁶ = 0.8.
	near(t, "six rounds", SignedRankMDE(1, 6, 0.05, 0.8), distuv.UnitNormal.Quantile(math.Pow(0.8, 1.0/6)), 0.018)
	if a, b := SignedRankMDE(1, 12, 0.05, 0.8), SignedRankMDE(3, 12, 0.05, 0.8); math.Abs(b-3*a) > 1e-12 {
		t.Errorf("three times the scatter: %v and %v", a, b)
	}
	if v := SignedRankMDE(0, 10, 0.05, 0.8); v != 0 {
		t.Errorf("no scatter: %v, want 0", v)
	}
	for _, v := range []float64{SignedRankMDE(1, 5, 0.05, 0.8), SignedRankMDE(1, 8, 0.05/7, 0.8), SignedRankMDE(math.NaN(), 8, 0.05, 0.8), SignedRankMDE(1, 8, 0, 0.8), PairedTMDE(1, 1, 0.05, 0.8),
		ShiftMDE(1, 3, 3, 0.05, 0.8), ShiftMDE(-1, 8, 8, 0.05, 0.8), ShiftMDE(1, 8, 8, 0.05, 1), ShiftMDE(1, 8, 0, 0.05, 0.8)} {
		if !math.IsNaN(v) {
			t.Errorf("%v, want NaN", v)
		}
	}
}
