package inference

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// MDE is the smallest difference that n rounds would have shown: PairedT at level alpha finds it with probability power, or of
// few rounds at a small level somewhat less often, 76 % for 80 % at eight rounds and 0.7 %: see PairedTMDE.
//
//	MDE = (t₁₋α/₂ + t_power) · sd ÷ √n
//
// Where: sd is the standard deviation of the paired differences, whose unit the result has, and t are quantiles of Student's
// distribution with n−1 degrees of freedom. Source: Bloom, Evaluation Review 19 (1995) 547–556. Fewer than two rounds, a
// negative sd, and alpha or power outside (0, 1) give NaN.
func MDE(sd float64, n int, alpha, power float64) float64 {
	if !(sd >= 0) || math.IsInf(sd, 0) || n < 2 || !level(alpha) || !level(power) {
		return math.NaN()
	}
	student := distuv.StudentsT{Sigma: 1, Nu: float64(n - 1)}
	return (student.Quantile(1-alpha/2) + student.Quantile(power)) * sd / math.Sqrt(float64(n))
}

// mostRounds bounds what RoundsFor answers: more is no plan.
const mostRounds = 1_000_000

// RoundsFor is the smallest number of rounds, at least 2, whose MDE is at most effect; 0 where a million are too few, or where
// effect is not above 0 or MDE is NaN.
func RoundsFor(sd, effect, alpha, power float64) int {
	if !(effect > 0) || !(MDE(sd, mostRounds, alpha, power) <= effect) {
		return 0
	}
	return 2 + sort.Search(mostRounds-2, func(i int) bool { return MDE(sd, 2+i, alpha, power) <= effect })
}

// SignedRankMDE is MDE of SignedRank, for differences that are normal with the standard deviation sd:
//
//	MDE = sd · q_power(W)
//
// Where: W is the (c+1)-th largest Walsh average of n standard normal values, c the one of SignedRank's interval at confidence
// 1 − alpha, and q_power a quantile: a shift by δ is found where it brings the interval's lower end, whose negative is
// distributed like W, above 0. What is found in the wrong direction is not found. Up to 24 rounds W is drawn 20 000 times, from
// a fixed seed (some 10 ms, then kept), which is good to a percent. Above, it is MDE · √(π/3), since the test's asymptotic
// efficiency is 3/π for normal values (Hodges & Lehmann, Annals of Mathematical Statistics 27 (1956) 324–335).
//
// NaN where MDE is, and where n rounds can't reach alpha: 2¹⁻ⁿ is above it.
func SignedRankMDE(sd float64, n int, alpha, power float64) float64 {
	t := MDE(sd, n, alpha, power)
	if n > drawnRounds || math.IsNaN(t) {
		return t * math.Sqrt(math.Pi/3)
	}
	c, tail := signedRankTail(n).critical(alpha / 2)
	if tail > alpha/2*(1+1e-9) {
		return math.NaN()
	}
	return sd * drawnQuantile(draws{x: n, c: c, power: power}, func(r *rand.Rand, all []float64) []float64 {
		d := normal(r, n)
		for i, a := range d {
			for _, b := range d[i:] {
				all = append(all, (a+b)/2)
			}
		}
		return all
	})
}

// PairedTMDE is MDE without its approximation, up to 24 rounds: drawn as that of SignedRankMDE is.
func PairedTMDE(sd float64, n int, alpha, power float64) float64 {
	t := MDE(sd, n, alpha, power)
	if n > drawnRounds || math.IsNaN(t) {
		return t
	}
	reach := distuv.StudentsT{Sigma: 1, Nu: float64(n - 1)}.Quantile(1-alpha/2) / math.Sqrt(float64(n))
	return sd * drawnQuantile(draws{x: n, alpha: alpha, power: power}, func(r *rand.Rand, all []float64) []float64 {
		mean, s := stat.MeanStdDev(normal(r, n), nil)
		return append(all, mean-reach*s, mean+reach*s)
	})
}

// ShiftMDE is MDE of Shift, for samples of x and y normal values with the standard deviation sd each, found like SignedRankMDE;
// for more than 576 pairs of values it is √(π/3) times that of the t test of two samples.
func ShiftMDE(sd float64, x, y int, alpha, power float64) float64 {
	if !(sd >= 0) || math.IsInf(sd, 0) || x < 1 || y < 1 || x+y < 3 || !level(alpha) || !level(power) {
		return math.NaN()
	}
	if x*y > drawnRounds*drawnRounds {
		student := distuv.StudentsT{Sigma: 1, Nu: float64(x + y - 2)}
		return (student.Quantile(1-alpha/2) + student.Quantile(power)) * sd * math.Sqrt((1/float64(x)+1/float64(y))*math.Pi/3)
	}
	c, tail := mannWhitneyTail(x, y).critical(alpha / 2)
	if tail > alpha/2*(1+1e-9) {
		return math.NaN()
	}
	return sd * drawnQuantile(draws{x: min(x, y), y: max(x, y), c: c, power: power}, func(r *rand.Rand, all []float64) []float64 {
		b := normal(r, y)
		for _, a := range normal(r, x) {
			for _, v := range b {
				all = append(all, a-v)
			}
		}
		return all
	})
}

// drawnRounds is the largest number of rounds whose smallest difference is drawn, drawnTimes how many values it rests on.
const drawnRounds, drawnTimes = 24, 20_000

// draws says what was drawn: the (c+1)-th largest average of x values, or where y is above 0 difference of x and y values; or
// where alpha is above 0 the upper end of the t interval of x values.
type draws struct {
	x, y, c      int
	alpha, power float64
}

// drawnQuantiles keeps what was drawn, draws → float64.
var drawnQuantiles sync.Map

// drawnQuantile is the quantile power of the (c+1)-th largest of what one draw appends to all, and of the (c+1)-th smallest with
// its sign turned, which is distributed alike.
func drawnQuantile(of draws, one func(r *rand.Rand, all []float64) []float64) float64 {
	if v, ok := drawnQuantiles.Load(of); ok {
		return v.(float64)
	}
	random := rand.New(rand.NewPCG(uint64(of.x), uint64(of.y)))
	values := make([]float64, 0, drawnTimes)
	var all []float64
	for len(values) < drawnTimes {
		all = one(random, all[:0])
		values = append(values, selectNth(all, len(all)-1-of.c), -selectNth(all, of.c))
	}
	slices.Sort(values)
	v := quantile(values, of.power)
	drawnQuantiles.Store(of, v)
	return v
}

func normal(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}
