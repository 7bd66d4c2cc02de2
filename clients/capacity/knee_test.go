package capacity

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/hist"
)

// curve sweeps a mean response time over loads up to a rate, and saturates at the capacity.
func curve(points int, to, capacity float64, mean func(rate float64) float64) []Trial {
	trials := []Trial{{Kind: Closed, Measured: Measured{AchievedRPS: capacity}}}
	for i := range points {
		rate := to * float64(i+1) / float64(points)
		t := Trial{Kind: Point, OfferedRPS: &rate, Measured: Measured{AchievedRPS: min(rate, capacity), ResponseNs: hist.Summary{Mean: 1e9}}}
		if rate < capacity {
			t.ResponseNs.Mean = mean(rate) * 1e9
		}
		trials = append(trials, t)
	}
	return trials
}

// With service time 1/mu and ρ = λ/mu:
//
//	M/M/1: T = 1 ÷ (mu·(1−ρ)),               P = ρ(1−ρ)·mu² is highest at ρ = 1/2
//	M/D/1: T = (2−ρ) ÷ (2·mu·(1−ρ)),         P ∝ 2ρ(1−ρ)/(2−ρ): its derivative is zero at ρ² − 4ρ + 2 = 0, ρ = 2−√2
//	M/M/4: computed by Erlang's C formula and a fine grid below
func TestKneeOfKnownQueues(t *testing.T) {
	const mu = 10_000.0
	mm1 := func(rate float64) float64 { return 1 / (mu - rate) }
	md1 := func(rate float64) float64 { r := rate / mu; return (2 - r) / (2 * mu * (1 - r)) }
	mm4 := func(rate float64) float64 {
		const c = 4
		a := rate / (mu / c) // Erlangs
		sum, term := 0.0, 1.0
		for k := range c {
			sum += term
			term *= a / float64(k+1)
		}
		wait := term / (1 - a/c)
		return wait/(sum+wait)/(mu-rate) + c/mu
	}
	best := 0.0
	for r := 1.0; r < mu; r++ {
		if r/mm4(r) > best/mm4(max(best, 1)) {
			best = r
		}
	}
	for _, c := range []struct {
		name string
		mean func(float64) float64
		want float64
	}{{"M/M/1", mm1, mu / 2}, {"M/D/1", md1, mu * (2 - math.Sqrt2)}, {"M/M/4", mm4, best}} {
		for _, points := range []int{12, 23, 60} {
			for _, to := range []float64{0.97, 1.2, 1.6} { // of the capacity: the range must not matter
				k := FindKnee(curve(points, to*mu, mu, c.mean))
				if k.RPS == nil || math.Abs(*k.RPS/c.want-1) > 0.04 {
					t.Errorf("%s, %d points to %.0f %%: knee %+v, want %.0f/s ± 4 %%", c.name, points, 100*to, k, c.want)
				} else if k.FromRPS > *k.RPS || k.ToRPS < *k.RPS || k.FromRPS < c.want/2 || k.ToRPS > mu {
					t.Errorf("%s: interval %.0f to %.0f around %.0f", c.name, k.FromRPS, k.ToRPS, *k.RPS)
				}
			}
		}
	}
}

// A cliff: no queue at all up to the capacity, so that the knee is the last point before it.
func TestKneeOfACliff(t *testing.T) {
	k := FindKnee(curve(12, 12_000, 10_001, func(float64) float64 { return 0.001 }))
	if k.RPS == nil || math.Abs(*k.RPS-10_000) > 600 {
		t.Errorf("%+v", k)
	}
}

func TestNoKnee(t *testing.T) {
	flat := func(float64) float64 { return 0.001 }
	twice := func(rate float64) float64 { // power 1, 4, 1, 4, 1 …
		if int(rate/1000)%2 == 0 {
			return rate / 4e6
		}
		return rate / 1e6
	}
	invalid := curve(12, 12_000, 10_000, flat)
	for i := range invalid[4:] {
		invalid[4+i].Limit = "generator CPU"
	}
	for _, c := range []struct {
		name   string
		trials []Trial
		want   string
	}{
		{"below it", curve(10, 3000, 10_000, func(r float64) float64 { return 1 / (10_000 - r) }), "has not fallen at the last point, 3.00 k/s"},
		{"beyond it", curve(10, 3000, 1e9, func(r float64) float64 { return r * r }), "does not rise from the first point on, 300/s"},
		{"two of them", curve(9, 9000, 1e9, twice), "2.00 k/s and 4.00 k/s have the same power"},
		{"too few that count", invalid, "3 points count, a knee needs 5"},
		{"nothing", nil, "0 points count"},
	} {
		if k := FindKnee(c.trials); k.RPS != nil || !strings.Contains(k.Why, c.want) {
			t.Errorf("%s: %+v: want %q", c.name, k, c.want)
		}
	}
}

func TestParseSweep(t *testing.T) {
	loads, err := ParseSweep("20k, 50%,1k,1000")
	if err != nil {
		t.Fatal(err)
	}
	steps := Points(loads, 30_000, 0)
	want := []Step{{Point, 1000, 10400 * time.Millisecond}, {Point, 15_000, 3 * time.Second}, {Point, 20_000, 3 * time.Second}}
	if len(steps) != 3 || steps[0] != want[0] || steps[1] != want[1] || steps[2] != want[2] {
		t.Errorf("%v, want %v", steps, want)
	}
	auto, err := ParseSweep("auto")
	if steps := Points(auto, 12_345, time.Second); err != nil || len(steps) != 12 || steps[0].Rate != 1230 || steps[11].Rate != 14_800 || steps[3].Length != time.Second {
		t.Errorf("%v, %v", steps, err)
	}
	for text, want := range map[string]string{"": `"" is no rate above 0`, "fast": "no rate", "0": "no rate", "0%": "share", "1001%": "share", "-1k": "no rate", "1k,,2k": "no rate", "10%:90%": "share"} {
		if _, err := ParseSweep(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "want auto, shares") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := ParseSweep(strings.Repeat("1,", 100) + "1"); err == nil || !strings.Contains(err.Error(), "at most 100") {
		t.Errorf("101 points: %v", err)
	}
}
