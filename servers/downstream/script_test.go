package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustScript(t *testing.T, latency string, seed uint64, windows ...string) *script {
	t.Helper()
	var spans []span
	for _, w := range windows {
		s, err := parseSpan(w)
		if err != nil {
			t.Fatal(err)
		}
		spans = append(spans, s)
	}
	s, err := newScript(latency, seed, spans)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Request n of a seed has one draw, in whatever order requests are asked for and whatever window came before.
func TestDrawDependsOnSeedAndNumberAlone(t *testing.T) {
	a, b := mustScript(t, "lognormal=5ms,0.5", 7), mustScript(t, "lognormal=5ms,0.5", 7, "0s,1s,exponential=1ms")
	other := mustScript(t, "lognormal=5ms,0.5", 8)
	const n = 1000
	same := 0
	for i := range uint64(n) {
		b.due(n-i, 0) // another draw, of another distribution
		x := a.draw(&a.base, i)
		if y := b.draw(&b.base, i); x != y {
			t.Fatalf("request %d: %v and %v", i, x, y)
		}
		if x == other.draw(&other.base, i) {
			same++
		}
	}
	if same > n/100 {
		t.Errorf("%d of %d draws are those of another seed", same, n)
	}
}

// The draws of neighbouring numbers follow their distribution: the largest distance of the empirical distribution function is
// below the Kolmogorov–Smirnov bound at 0.1 %, 1.95/√n.
func TestDrawsFollowTheirDistribution(t *testing.T) {
	const n = 20000
	for latency, cdf := range map[string]func(x float64) float64{
		"exponential=10ms":  func(x float64) float64 { return 1 - math.Exp(-x/10e6) },
		"lognormal=5ms,0.5": func(x float64) float64 { return 0.5 * math.Erfc(-math.Log(x/5e6)/(0.5*math.Sqrt2)) },
	} {
		s := mustScript(t, latency, 3)
		var xs []float64
		for i := range uint64(n) {
			xs = append(xs, float64(s.draw(&s.base, i)))
		}
		slices.Sort(xs)
		far := 0.0
		for i, x := range xs {
			far = max(far, math.Abs(cdf(x)-float64(i)/n), math.Abs(cdf(x)-float64(i+1)/n))
		}
		if limit := 1.95 / math.Sqrt(n); far > limit {
			t.Errorf("%s: distance %.4f, want at most %.4f", latency, far, limit)
		}
	}
	if s := mustScript(t, "trace=1ms,2ms,3ms", 1); s.draw(&s.base, 4) != 2*time.Millisecond {
		t.Error("a trace is not taken in turn")
	}
	if s := mustScript(t, "exponential=1m", 1); slices.Max(func() (ds []time.Duration) {
		for i := range uint64(100) {
			ds = append(ds, s.draw(&s.base, i))
		}
		return ds
	}()) != maxDraw {
		t.Error("the tail is not cut")
	}
}

func TestDue(t *testing.T) {
	const ms = int64(time.Millisecond)
	s := mustScript(t, "constant=10ms", 1, "100ms,200ms,stall", "200ms,300ms,constant=50ms", "400ms,500ms,refuse", "505ms,600ms,stall")
	for _, c := range []struct {
		why     string
		at, due int64
	}{
		{"no window", 0, 10},
		{"answered before the stall", 89, 99},
		{"should be answered in the stall", 95, 200},
		{"arrives in the stall, taken up in the window behind it", 150, 250},
		{"another latency", 299, 349},
		{"a refusing window leaves latencies alone", 480, 490},
		{"refused, and into the stall", 496, 600},
		{"a stall and then the usual", 599, 610},
		{"before T0", -5, 5},
	} {
		if due := s.due(0, c.at*ms); due != c.due*ms {
			t.Errorf("%s: due at %v, want %d ms", c.why, time.Duration(due), c.due)
		}
	}
	for at, want := range map[int64]int64{0: 400, 400: 500, 499: 500} {
		if edge, ok := s.edge(at * ms); !ok || edge != want*ms {
			t.Errorf("edge after %d ms: %v, %v, want %d ms", at, time.Duration(edge), ok, want)
		}
	}
	if _, ok := s.edge(500 * ms); ok {
		t.Error("an edge after the last")
	}
}

func TestBadScripts(t *testing.T) {
	for _, text := range []string{"", "1s", "1s,2s", "2s,1s,stall", "1s,1s,stall", "-1s,1s,stall", "1s,2s,dance", "1s,2s,constant=2m"} {
		if _, err := parseSpan(text); err == nil || !strings.Contains(err.Error(), "FROM,TO,LATENCY") {
			t.Errorf("window %q: %v", text, err)
		}
	}
	a, _ := parseSpan("1s,3s,stall")
	b, _ := parseSpan("2s,4s,lognormal=1ms,0.5")
	if _, err := newScript("constant=1ms", 1, []span{b, a}); err == nil || !strings.Contains(err.Error(), "windows apart") {
		t.Errorf("overlap: %v", err)
	}
	if _, err := newScript("constant", 1, nil); err == nil || !strings.Contains(err.Error(), "--latency") {
		t.Errorf("latency: %v", err)
	}
}

// The heap gives what sorting gives.
func TestQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q queue
	var want []int64
	for range 2000 {
		if len(want) > 0 && r.IntN(3) == 0 {
			slices.SortFunc(want, cmp.Compare[int64])
			if got := q.pop().due; got != want[0] {
				t.Fatalf("popped %d, want %d", got, want[0])
			}
			want = want[1:]
			continue
		}
		due := r.Int64N(100)
		q.push(pending{due: due})
		want = append(want, due)
	}
	slices.Sort(want)
	for _, due := range want {
		if got := q.pop().due; got != due {
			t.Fatalf("popped %d, want %d", got, due)
		}
	}
	if len(q) > 0 {
		t.Errorf("%d left", len(q))
	}
}
