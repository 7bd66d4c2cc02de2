package known

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// sample simulates n responses of the queue with a seed.
func sample(n int, exponential bool, seed uint64) []time.Duration {
	rng := rand.New(rand.NewPCG(seed, 7))
	at := make([]time.Duration, n)
	var now float64
	for i := range at {
		now += rng.ExpFloat64() / queueRate
		at[i] = time.Duration(now * float64(time.Second))
	}
	out := lindley(at, func() time.Duration {
		if exponential {
			return time.Duration(rng.ExpFloat64() * float64(queueService))
		}
		return queueService
	})
	slices.Sort(out)
	return out
}

// A recursion and two formulas that know nothing of one another agree on a million requests.
func TestFormulasAgreeWithTheRecursion(t *testing.T) {
	for _, exponential := range []bool{true, false} {
		s := sample(1_000_000, exponential, 1)
		for _, q := range []float64{0.5, 0.9, 0.95, 0.99, 0.999} {
			got, want := rank(s, q).Seconds(), queueFormula(exponential, q).Seconds()
			tolerance := 0.02
			if q > 0.99 {
				tolerance = 0.05 // a thousand values lie above
			}
			if off := math.Abs(got/want - 1); off > tolerance {
				t.Errorf("exponential %v, quantile %v: simulated %v s, by formula %v s", exponential, q, got, want)
			}
		}
	}
}

// By Pollaczek's and Khinchine's formula the mean waiting time of M/D/1 is ρD ÷ 2(1−ρ), at ρ = 0.5 half of D, which the
// distribution must integrate to.
func TestErlangsDistributionHasPollaczeksMean(t *testing.T) {
	const steps = 20_000
	var mean float64
	for i := range steps {
		mean += md1Waiting((float64(i)+0.5)/steps, queueRate, queueService).Seconds() / steps
	}
	if want := 0.5 * queueService.Seconds(); math.Abs(mean/want-1) > 0.005 {
		t.Errorf("mean waiting time %v s, want %v", mean, want)
	}
}

// 99 % of the samples of the length that a case takes come within formulaTolerance.
func TestFormulaToleranceIsThatOfSuchSamples(t *testing.T) {
	const samples = 2000
	n := queueRate * 8
	for _, exponential := range []bool{true, false} {
		outside := 0
		for seed := range uint64(samples) {
			s := sample(n, exponential, seed+100)
			for _, q := range []float64{0.5, 0.95} {
				if math.Abs(rank(s, q).Seconds()/queueFormula(exponential, q).Seconds()-1) > formulaTolerance {
					outside++
					break
				}
			}
		}
		t.Logf("exponential %v: %.2f %% outside", exponential, 100*float64(outside)/samples)
		if share := float64(outside) / samples; share > 0.01 {
			t.Errorf("exponential %v: %.1f %% of the samples are outside ±%v", exponential, 100*share, formulaTolerance)
		}
	}
}

func TestLindleyByHand(t *testing.T) {
	const ms = time.Millisecond
	got := lindley([]time.Duration{0, 1 * ms, 2 * ms, 20 * ms}, func() time.Duration { return 4 * ms })
	if want := []time.Duration{4 * ms, 7 * ms, 10 * ms, 4 * ms}; !slices.Equal(got, want) {
		t.Errorf("responses %v, want %v", got, want)
	}
	if got := rank([]time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9); got != 9 {
		t.Errorf("the quantile 0.9 of 1 to 10 is %d", got)
	}
}
