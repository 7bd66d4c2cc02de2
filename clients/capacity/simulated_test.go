package capacity

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
)

// server is a simulated one: the response time's p50 and p99 in seconds at a rate, and the rate that it achieves. A limit
// of zero is a client without one.
type server struct {
	curve    func(rate float64) (p50, p99 float64)
	capacity float64 // what the closed loop finds, and the most that is achieved; zero: no end
	limit    float64 // the client's
	noise    float64 // standard deviation of the logarithm of a percentile in a trial of one second
	stolen   float64 // slices of the CPU a second, of 5 to 20 ms
	void     float64 // share of the trials that are INVALID by the client's fault, at any rate
}

// mm1 is a queue of random arrivals and one server with random service of rate mu:
//
//	quantile q of the response time = −ln(1−q) ÷ (mu − λ)
func mm1(mu float64) func(float64) (float64, float64) {
	return func(rate float64) (float64, float64) {
		if rate >= mu {
			return math.Inf(1), math.Inf(1)
		}
		return math.Ln2 / (mu - rate), math.Log(100) / (mu - rate)
	}
}

// steps is a p99 of at[i].p99 up to the rate at[i].to, and of a second beyond.
func steps(at ...struct{ to, p99 float64 }) func(float64) (float64, float64) {
	return func(rate float64) (float64, float64) {
		for _, a := range at {
			if rate <= a.to {
				return a.p99 / 3, a.p99
			}
		}
		return 0.5, 1
	}
}

// run is a trial of the server.
func (s *server) run(step Step, rng *rand.Rand) Measured {
	m := Measured{Seconds: step.Length.Seconds(), Verdict: validity.Valid}
	rate := step.Rate
	if step.Kind == Closed {
		rate = s.capacity * math.Exp(0.05*rng.NormFloat64())
		if s.capacity == 0 {
			rate = 50_000
		}
		m.AchievedRPS, m.Planned = rate, int64(rate*m.Seconds)
		m.OK = m.Planned
		return m
	}
	m.Planned = int64(rate * m.Seconds)
	m.OK, m.AchievedRPS = m.Planned, rate
	p50, p99 := s.curve(rate)
	if s.capacity > 0 && rate > s.capacity {
		behind := m.Seconds * (1 - s.capacity/rate)
		p50, p99, m.AchievedRPS = behind/2, behind*0.99, s.capacity
	}
	n := math.Exp(s.noise / math.Sqrt(m.Seconds) * rng.NormFloat64())
	p50, p99 = p50*n, p99*n
	for range int(s.stolen*m.Seconds + rng.Float64()) { // those due in a slice of length d wait for d to 0
		d := 0.005 + 0.015*rng.Float64()
		if share := d / m.Seconds; share > 0.01 {
			p99 = max(p99, d*(1-0.01/share))
		}
	}
	ns := func(v float64) *int64 { n := int64(min(v, 600) * 1e9); return &n }
	m.ResponseNs = hist.Summary{Count: m.OK, P50: ns(p50), P90: ns(p99 / 2), P95: ns(p99 / 1.5), P99: ns(p99), P999: ns(p99 * 1.5), Mean: p50 * 1e9}
	if s.limit > 0 && rate > s.limit || rng.Float64() < s.void {
		m.Verdict, m.Limit = validity.Invalid, "generator CPU: a load thread took 97 % of a CPU (give the client more CPUs, or lower the rate)"
	}
	return m
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// search runs a whole search and returns it with its answer.
func search(c Config, s *server, seed uint64) (*Search, Answer, error) {
	rng := newRand(seed)
	find, err := NewSearch(c)
	if err != nil {
		return nil, Answer{}, err
	}
	for {
		step, more := find.Next()
		if !more {
			return find, find.Answer(), nil
		}
		took := step.Length + 100*time.Millisecond
		find.Add(NewTrial(step, s.run(step, rng), took, &c.Objective))
	}
}
