package checks

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
)

// modesOf counts the bands of some latencies in ns.
func modesOf(latencies []int64) [len(Timers)]Mode {
	return Modes(func(from, to int64) (n int64) {
		for _, v := range latencies {
			if from <= v && v < to {
				n++
			}
		}
		return n
	})
}

// around draws n latencies in ns, lognormal about a median.
func around(r *rand.Rand, n int, median, sigma float64) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(median * math.Exp(sigma*r.NormFloat64()))
	}
	return out
}

func TestTimerFingerprints(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	judge := func(latencies []int64, change func(*Phase, *Load)) validity.Check {
		p := good(nil)
		p.Modes, p.Counted = modesOf(latencies), int64(len(latencies))
		l := sound()
		if change != nil {
			change(&p, &l)
		}
		return timerCheck(p, l)
	}
	fast := around(r, 20_000, 300_000, 0.5)
	marked := func(n int, at float64) []int64 { return append(slices.Clone(fast), around(r, n, at, 0.005)...) }
	remote := func(_ *Phase, l *Load) { l.Remote = []string{"b"} }

	expect(t, judge(fast, nil), validity.OK, "")
	// What neighbours explain, broad as it may be, and few.
	for _, median := range []float64{38e6, 42e6, 46e6, 190e6, 210e6, 1.05e9, 3.1e9} {
		expect(t, judge(around(r, 20_000, median, 0.3), remote), validity.OK, "")
	}
	expect(t, judge(marked(15, 42e6), nil), validity.OK, "")
	expect(t, judge(marked(100, 60e6), remote), validity.OK, "")
	// A stall of a second holds up requests for anything up to it.
	var stall []int64
	for i := range int64(1000) {
		stall = append(stall, i*1_000_000)
	}
	expect(t, judge(append(slices.Clone(fast), stall...), remote), validity.OK, "")

	expect(t, judge(marked(100, 42e6), nil), validity.Warn, "phase steady: 0.5 % took 40 ms to 44.8 ms, 100 more than the neighbours explain: the mark of the delayed ACK")
	expect(t, judge(marked(100, 205e6), remote), validity.Warn, "least retransmission timeout")
	expect(t, judge(marked(100, 1.03e9), remote), validity.Warn, "the mark of the SYN retransmission")
	expect(t, judge(marked(100, 3.05e9), remote), validity.Warn, "second SYN retransmission")
	// Explained: by counters, by both ends' counters being zero, by the scenario, by a closed loop's own arithmetic.
	expect(t, judge(marked(100, 205e6), func(_ *Phase, l *Load) { l.Remote, l.Kernel.Retransmits = []string{"b"}, 60 }), validity.OK, "")
	expect(t, judge(marked(100, 205e6), func(_ *Phase, l *Load) { l.Remote, l.Kernel.Retransmits = []string{"b"}, 40 }), validity.Warn, "")
	expect(t, judge(marked(100, 1.03e9), func(_ *Phase, l *Load) { l.Remote, l.Kernel.ListenDrops = []string{"b"}, 60 }), validity.OK, "")
	expect(t, judge(marked(100, 205e6), nil), validity.OK, "")
	expect(t, judge(marked(100, 205e6), func(_ *Phase, l *Load) { l.Kernel.Retransmits = Unknown }), validity.Warn, "")
	expect(t, judge(marked(100, 42e6), func(_ *Phase, l *Load) { l.WorkNs = []int64{41_000_000} }), validity.OK, "")
	expect(t, judge(marked(100, 42e6), func(p *Phase, _ *Load) { p.Closed, p.HeldNs, p.Finished = true, 42_000_000_000, 1000 }), validity.OK, "")
	expect(t, judge(marked(100, 42e6), func(p *Phase, _ *Load) { p.Overload = true }), validity.NotApplicable, "")

	l := sound()
	l.ConnectModes, l.Remote = modesOf(around(r, 50, 1.02e9, 0.005)), []string{"b"}
	expect(t, connectTimerCheck(l), validity.Warn, "connections: 50 % took 1 s to 1.12 s, 50 more")
	l.Kernel.SynRetransmits = 50
	expect(t, connectTimerCheck(l), validity.OK, "")
	expect(t, connectTimerCheck(Load{}), validity.NotApplicable, "")

	// The remedy names the hosts whose counters are not read here.
	for want, hosts := range map[string][]string{
		"the server's host": nil, "a, b, c": {"a", "b", "c"}, "a, b, c and 2 other hosts": {"a", "b", "c", "d", "e"},
	} {
		l.Remote, l.Kernel = hosts, Kernel{Unknown, Unknown, Unknown, Unknown, Unknown}
		if c := connectTimerCheck(l); c.State != validity.Warn || !strings.Contains(c.Remedy, "the counters of "+want+" (nstat)") {
			t.Errorf("%+v, want a remedy with %s", c, want)
		}
	}
}

func TestStationarity(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	means := func(n int, f func(i int) float64) Phase {
		return good(func(p *Phase) {
			p.MeansNs = nil
			for i := range n {
				p.MeansNs = append(p.MeansNs, f(i)*(1+0.02*r.NormFloat64()))
			}
		})
	}
	grows := func(i int) float64 { return 1e6 * (1 + 0.02*float64(i)) }
	expect(t, stationaryCheck(means(20, func(int) float64 { return 1e6 })), validity.OK, "")
	expect(t, stationaryCheck(means(20, grows)), validity.Warn, "phase steady: the mean response time went by +29 %")
	expect(t, stationaryCheck(means(20, func(i int) float64 { return 1e6 * (1 - 0.02*float64(i)) })), validity.Warn, "went by -")
	expect(t, stationaryCheck(means(1000, func(i int) float64 { return 1e6 * (1 + 0.001*float64(i)) })), validity.Warn, "")
	// A trend too small to matter, one bad second, and too few seconds to tell.
	expect(t, stationaryCheck(means(200, func(i int) float64 { return 1e6 * (1 + 0.0003*float64(i)) })), validity.OK, "")
	expect(t, stationaryCheck(means(20, func(i int) float64 { return 1e6 * float64(1+i/19*9) })), validity.OK, "")
	expect(t, stationaryCheck(means(5, grows)), validity.NotApplicable, "")
	overload := means(20, grows)
	overload.Overload = true
	expect(t, stationaryCheck(overload), validity.NotApplicable, "")
	recovery := means(20, grows)
	recovery.Recovers = true
	expect(t, stationaryCheck(recovery), validity.NotApplicable, "")
	// The plan itself ramps the rate.
	ramp := means(20, grows)
	ramp.Windows = make([]Window, 200)
	for i := range ramp.Windows {
		ramp.Windows[i].Planned = int64(100 + i)
	}
	expect(t, stationaryCheck(ramp), validity.NotApplicable, "")
	ramp.Closed = true // where the rate follows the server
	expect(t, stationaryCheck(ramp), validity.Warn, "")
}

// A stationary series must be called a trend about once in a hundred times by the test alone.
func TestMannKendallHoldsItsLevel(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{6, 10, 30} {
		wrong := 0
		const rounds = 5000
		for range rounds {
			v := make([]float64, n)
			for i := range v {
				v[i] = r.Float64()
			}
			if p, _ := MannKendall(v); p < trendP {
				wrong++
			}
		}
		if wrong > rounds*15/1000 {
			t.Errorf("n = %d: %d of %d random series are trends, want about 1 %%", n, wrong, rounds)
		}
	}
	// S by hand: 10 pairs, of which 1–3 fall and 1 is even; with one tie of two, Var S = (5·4·15 − 2·1·9) ÷ 18.
	if p, s := MannKendall([]float64{1, 3, 2, 3, 4}); s != 7 || math.Abs(p-math.Erfc(6/math.Sqrt(282.0/18)/math.Sqrt2)) > 1e-12 {
		t.Errorf("S = %d, p = %v", s, p)
	}
	if p, s := MannKendall([]float64{2, 2, 2, 2, 2, 2}); s != 0 || p != 1 {
		t.Errorf("S = %d, p = %v of equal values", s, p)
	}
}
