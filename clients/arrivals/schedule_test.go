package arrivals

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/scenarios"
)

type arrival struct {
	at     time.Duration
	phase  int
	number int64
}

func phases(ps ...scenarios.Phase) *scenarios.Scenario { return &scenarios.Scenario{Phases: ps} }

func phase(d time.Duration, a scenarios.Arrivals) scenarios.Phase {
	return scenarios.Phase{Name: "p", For: scenarios.Duration(d), Arrivals: a}
}

func all(c *Cursor) (out []arrival) {
	for {
		number := c.Number()
		at, phase, ok := c.Next()
		if !ok {
			return out
		}
		out = append(out, arrival{at, phase, number})
	}
}

// anyScenario draws a few phases of all kinds.
func anyScenario(t *rapid.T) *scenarios.Scenario {
	s := &scenarios.Scenario{}
	for range rapid.IntRange(1, 4).Draw(t, "phases") {
		d := time.Duration(rapid.Int64Range(int64(10*time.Millisecond), int64(3*time.Second)).Draw(t, "for"))
		rate := scenarios.Rate(rapid.Float64Range(0.1, 2000).Draw(t, "rate"))
		var a scenarios.Arrivals
		kind := rapid.SampledFrom([]string{"constant", "poisson", "burst", "ramp", "random ramp", "trace", "closed", "none"}).Draw(t, "kind")
		switch kind {
		case "constant":
			a.Constant = rate
		case "poisson":
			a.Poisson = rate
		case "burst":
			a.Burst = rapid.IntRange(1, 3000).Draw(t, "burst")
		case "ramp", "random ramp":
			a.Ramp = anyRamp(t)
			a.Ramp.Poisson = kind == "random ramp"
		case "trace":
			times := rapid.SliceOfN(rapid.Int64Range(0, int64(d)-1), 1, 300).Draw(t, "times")
			slices.Sort(times)
			a.Trace = &scenarios.Trace{TimesNs: times}
		case "closed":
			a.Closed = true
		}
		s.Phases = append(s.Phases, phase(d, a))
	}
	return s
}

func TestArrivalsLieInTheirPhasesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyScenario(t)
		got := all(NewSchedule(s, rapid.Uint64().Draw(t, "seed")).Cursor(0, 1))
		counts := make([]int, len(s.Phases))
		var last time.Duration
		for i, a := range got {
			from := time.Duration(0)
			for _, p := range s.Phases[:a.phase] {
				from += time.Duration(p.For)
			}
			if a.at < last || a.at < from || a.at >= from+time.Duration(s.Phases[a.phase].For) || a.number != int64(i) {
				t.Fatalf("arrival %d: %+v after %v, in a phase from %v", i, a, last, from)
			}
			last = a.at
			counts[a.phase]++
		}
		for i, p := range s.Phases {
			want := -1
			switch {
			case p.Arrivals.Constant > 0:
				want = int(math.Floor(float64(p.Arrivals.Constant)*time.Duration(p.For).Seconds() + rateRounding))
			case p.Arrivals.Burst > 0:
				want = p.Arrivals.Burst
			case p.Arrivals.Ramp.Poisson:
			case p.Arrivals.Ramp != scenarios.Ramp{}:
				want = int(math.Floor(p.Arrivals.Rate(0)*time.Duration(p.For).Seconds() + rateRounding))
			case p.Arrivals.Trace != nil:
				want = len(p.Arrivals.Trace.TimesNs)
			case p.Arrivals.Poisson == 0:
				want = 0
			}
			if want >= 0 && counts[i] != want {
				t.Fatalf("phase %d, %+v: %d arrivals, want %d", i, p, counts[i], want)
			}
		}
	})
}

func TestCursorsShareTheStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSchedule(anyScenario(t), rapid.Uint64().Draw(t, "seed"))
		stride := rapid.IntRange(1, 7).Draw(t, "stride")
		var shared []arrival
		for i := range stride {
			mine := all(s.Cursor(i, stride))
			for _, a := range mine {
				if a.number%int64(stride) != int64(i) {
					t.Fatalf("cursor %d of %d took arrival %d", i, stride, a.number)
				}
			}
			shared = append(shared, mine...)
		}
		slices.SortFunc(shared, func(a, b arrival) int { return int(a.number - b.number) })
		if whole := all(s.Cursor(0, 1)); !slices.Equal(whole, shared) {
			t.Fatalf("%d arrivals together, %d in the stream", len(shared), len(whole))
		}
	})
}

func TestSkipToCountsWhatNextWouldTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSchedule(anyScenario(t), rapid.Uint64().Draw(t, "seed"))
		stride := rapid.IntRange(1, 5).Draw(t, "stride")
		index := rapid.IntRange(0, stride-1).Draw(t, "index")
		fast, slow := s.Cursor(index, stride), s.Cursor(index, stride)
		times := rapid.SliceOfN(rapid.Int64Range(0, int64(13*time.Second)), 1, 20).Draw(t, "times")
		slices.Sort(times)
		for _, at := range times {
			var want int64
			for {
				next, _, ok := slow.Peek()
				if !ok || next > time.Duration(at) {
					break
				}
				_, _, _ = slow.Next()
				want++
			}
			if got := fast.SkipTo(time.Duration(at)); got != want {
				t.Fatalf("SkipTo(%v) took %d, want %d", time.Duration(at), got, want)
			}
			fastAt, _, fastOK := fast.Peek()
			slowAt, _, slowOK := slow.Peek()
			if fastOK != slowOK || fastOK && (fastAt != slowAt || fast.Number() != slow.Number()) {
				t.Fatalf("after SkipTo(%v): next at %v, want %v", time.Duration(at), fastAt, slowAt)
			}
		}
	})
}

func TestTheSeedDecides(t *testing.T) {
	s := phases(phase(time.Second, scenarios.Arrivals{Poisson: 1000}), phase(time.Second, scenarios.Arrivals{Poisson: 1000}))
	a, b, c := all(NewSchedule(s, 1).Cursor(0, 1)), all(NewSchedule(s, 1).Cursor(0, 1)), all(NewSchedule(s, 2).Cursor(0, 1))
	if !slices.Equal(a, b) {
		t.Error("one seed, two streams")
	}
	if slices.Equal(a, c) {
		t.Error("two seeds, one stream")
	}
	first := slices.IndexFunc(a, func(x arrival) bool { return x.phase == 1 })
	if a[0].at == a[first].at-time.Second {
		t.Error("two phases begin alike")
	}
}

// The distances of a Poisson stream are exponential: mean 1/R, standard deviation the same.
func TestPoissonDistances(t *testing.T) {
	const rate, seconds = 10_000, 10
	got := all(NewSchedule(phases(phase(seconds*time.Second, scenarios.Arrivals{Poisson: rate})), 7).Cursor(0, 1))
	n := float64(len(got))
	if math.Abs(n-rate*seconds) > 5*math.Sqrt(rate*seconds) {
		t.Errorf("%v arrivals, want %d ± %v", n, rate*seconds, math.Sqrt(rate*seconds))
	}
	var sum, squares float64
	for i := 1; i < len(got); i++ {
		d := (got[i].at - got[i-1].at).Seconds() * rate
		sum, squares = sum+d, squares+d*d
	}
	mean := sum / (n - 1)
	if sd := math.Sqrt(squares/(n-1) - mean*mean); math.Abs(mean-1) > 0.02 || math.Abs(sd-1) > 0.03 {
		t.Errorf("mean %v and standard deviation %v of the distances, want 1 and 1", mean, sd)
	}
}

func TestConstantCounts(t *testing.T) {
	check := func(rate float64, d time.Duration, want int) {
		t.Helper()
		if got := len(all(NewSchedule(phases(phase(d, scenarios.Arrivals{Constant: scenarios.Rate(rate)})), 0).Cursor(0, 1))); got != want {
			t.Errorf("%v/s for %v: %d arrivals, want %d", rate, d, got, want)
		}
	}
	check(10_000, 5*time.Second, 50_000)
	check(0.1, 30*time.Second, 3) // 0.1·30 is below 3 in binary
	check(3, time.Second/3, 1)    // 0.999999999 is a rounded third
	check(1.5, time.Second, 1)
	check(1e6, 10*time.Millisecond, 10_000)
}

func TestAsksForWork(t *testing.T) {
	for _, share := range []scenarios.Percent{0, 1, 50, 100} {
		const n = 100_000
		var asked float64
		for i := range int64(n) {
			if AsksForWork(3, i, share) {
				asked++
			}
		}
		p := float64(share) / 100
		if math.Abs(asked-n*p) > 5*math.Sqrt(n*p*(1-p)) {
			t.Errorf("%v: %v of %d ask", share, asked, n)
		}
	}
}

func BenchmarkCursor(b *testing.B) {
	for name, a := range map[string]scenarios.Arrivals{
		"constant": {Constant: 1e6}, "poisson": {Poisson: 1e6}, "ramp": {Ramp: scenarios.Ramp{From: 1e6, To: 1e5}},
		"random ramp": {Ramp: scenarios.Ramp{From: 1e6, To: 1e5, Poisson: true}},
	} {
		b.Run(name, func(b *testing.B) {
			s := NewSchedule(phases(phase(time.Hour, a)), 1)
			c := s.Cursor(0, 1)
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = c.Next()
			}
		})
	}
}
