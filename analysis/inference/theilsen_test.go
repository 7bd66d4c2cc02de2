package inference

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %v, want %v ± %v", what, got, want, tolerance)
	}
}

func TestTheilSenFindsTheLine(t *testing.T) {
	l := TheilSen([]float64{1000, 5000, 10000, 15000}, []float64{13e6, 33e6, 58e6, 83e6}, 0.95)
	near(t, "slope", l.Slope, 5000, 1e-9)
	near(t, "intercept", l.Intercept, 8e6, 1e-3)
	near(t, "lo", l.Lo, 5000, 1e-9)
	near(t, "hi", l.Hi, 5000, 1e-9)
	// Four points: the exact distribution allows 1 − 2/24 at most.
	near(t, "confidence", l.Confidence, 1-2.0/24, 1e-12)
}

func TestTheilSenIgnoresOneOutlier(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	y := []float64{2, 4, 6, 8, 10, 12, 14, 900}
	l := TheilSen(x, y, 0.95)
	near(t, "slope", l.Slope, 2, 1e-9)
	if l.Hi <= l.Slope || l.Confidence < 0.95 {
		t.Errorf("interval [%v, %v] at %v does not show the outlier", l.Lo, l.Hi, l.Confidence)
	}
}

// The quantiles of Kendall's S are tabulated: at n = 10 the two-sided 5 % point leaves M = 11 discordant pairs, P(T ≤ 11) = 0.0233
// (Hollander & Wolfe, Nonparametric Statistical Methods, table A.30: P(K ≥ 23) = 0.023).
func TestSenRankAgreesWithTheTable(t *testing.T) {
	m, tail := senRank(10, 0.025)
	if m != 11 {
		t.Errorf("M = %d, want 11", m)
	}
	near(t, "P(T ≤ 11)", tail, 0.0233, 0.0001)
}

func TestInversionsAreADistribution(t *testing.T) {
	for n := 1; n <= 20; n++ {
		sum, p := 0.0, inversions(n)
		for _, v := range p {
			sum += v
		}
		near(t, "sum", sum, 1, 1e-9)
		if len(p) != n*(n-1)/2+1 {
			t.Errorf("n = %d: %d values", n, len(p))
		}
	}
}

// Simulated truth: the interval holds the true slope as often as it says.
func TestTheilSenCoverage(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const trials = 4000
	for _, n := range []int{4, 10} {
		held, confidence := 0, 0.0
		for range trials {
			x, y := make([]float64, n), make([]float64, n)
			for i := range x {
				x[i] = float64(i)
				y[i] = 3*x[i] + rnd.NormFloat64()
			}
			l := TheilSen(x, y, 0.95)
			confidence = l.Confidence
			if l.Lo <= 3 && 3 <= l.Hi {
				held++
			}
		}
		near(t, "coverage", float64(held)/trials, confidence, 0.015)
	}
}

func TestTheilSenWithoutEnough(t *testing.T) {
	for _, x := range [][]float64{nil, {1}, {2, 2}} {
		if l := TheilSen(x, make([]float64, len(x)), 0.95); !math.IsNaN(l.Slope) {
			t.Errorf("TheilSen(%v) = %+v, want NaN", x, l)
		}
	}
}
