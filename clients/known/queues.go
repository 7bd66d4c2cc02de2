package known

import (
	"math"
	"slices"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

const (
	queueService = 4 * time.Millisecond
	queueRate    = 125 // a second, so that the server is busy ρ = 0.5 of the time
	// queueSeed is of the arrivals and of the service times. It was not chosen: it is the first one.
	queueSeed = 1
	// formulaTolerance is of what a formula says of a queue that runs forever. A sample of 8 s is off by more than its
	// square root, since waiting times hang together: of 2000 simulated samples 99 % come within it (queues_test.go).
	formulaTolerance = 0.40
)

// queue is Poisson arrivals of rate λ at one server, which takes D for each (M/D/1) or an exponential time of mean
// D (M/M/1), utilization ρ = λ·D = 0.5, on connections enough that the limit is never met. It is predicted twice:
//
// exactly for this sample, since arrivals and service times are seeded, by Lindley's recursion (see lindley);
//
// and by formula for a queue that runs forever, with a wide tolerance, so that the recursion itself is held against something that
// nobody here wrote (see mm1Response and md1Waiting).
func queue(quick, exponential bool) Case {
	length := 8 * time.Second
	if quick {
		length = 1500 * time.Millisecond
	}
	name, mean := "M/D/1", queueService
	if exponential {
		name = "M/M/1"
	}
	return Case{
		Name: name + " queue", Connections: 200, Except: onSharedThreads,
		Script: reflect.Script{Protocol: "http1", Service: queueService, Exponential: exponential, Seed: queueSeed},
		Phases: phases(steady(length, scenarios.Arrivals{Poisson: queueRate}), drain(300*time.Millisecond)),
		Judge: func(t *Trial) []Answer {
			responses := lindley(due(t.Plan), services(exponential, mean))
			out := []Answer{all(t, clients.OK), exactly("planned", "requests", int64(len(responses)), t.Report.Planned)}
			slices.Sort(responses)
			for _, q := range []quantile{p50, p90, p95, p99} {
				out = append(out, t.about(q.name, rank(responses, q.q), q.q))
			}
			if !quick {
				for _, q := range []quantile{p50, p95} {
					want := queueFormula(exponential, q.q)
					w := float64(want)
					out = append(out, within(q.name+" by formula", want, t.Response.Quantile(q.q),
						time.Duration(w*(1-formulaTolerance)), time.Duration(w*(1+formulaTolerance))+t.late(q.q)))
				}
			}
			return out
		},
	}
}

// queueFormula is the response time at quantile q of a queue that runs forever.
func queueFormula(exponential bool, q float64) time.Duration {
	if exponential {
		return mm1Response(q, queueRate, queueService)
	}
	return md1Waiting(q, queueRate, queueService) + queueService
}

// due are the arrivals of a plan's schedule after the first phase's start.
func due(p *clients.Plan) []time.Duration {
	var out []time.Duration
	c := arrivals.NewSchedule(&p.Scenario, p.Seed).Cursor(0, 1)
	for at, _, ok := c.Next(); ok; at, _, ok = c.Next() {
		out = append(out, at)
	}
	return out
}

// services returns the service times in the order in which requests arrive.
func services(exponential bool, mean time.Duration) func() time.Duration {
	if !exponential {
		return func() time.Duration { return mean }
	}
	draw := reflect.NewService(queueSeed)
	return func() time.Duration { return time.Duration(float64(mean) * draw.Next()) }
}

// lindley returns the response times of requests at one server, by Lindley's recursion
//
//	W₀ = 0        Wₖ₊₁ = max(0, Wₖ + Sₖ − (Aₖ₊₁ − Aₖ))        Rₖ = Wₖ + Sₖ
//
// Where: A = arrivals, S = service times, W = waiting times, R = response times. D. V. Lindley, The theory of queues with
// a single server, Proc. Cambridge Phil. Soc. 48, 1952.
func lindley(arrivals []time.Duration, service func() time.Duration) []time.Duration {
	out := make([]time.Duration, len(arrivals))
	var wait time.Duration
	for k, at := range arrivals {
		if k > 0 {
			wait = max(0, out[k-1]-(at-arrivals[k-1]))
		}
		out[k] = wait + service()
	}
	return out
}

// rank is the ⌈q·n⌉-th smallest of n sorted values, as hist has it.
func rank(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	const unit = 1e-9 // of rounding, so that 0.9·10 is 9
	return sorted[max(int(math.Ceil(q*float64(len(sorted))-unit)), 1)-1]
}

// mm1Response is the response time at quantile q of M/M/1, which is exponential:
//
//	P(R > t) = e^−(μ−λ)t        so        t = −ln(1−q) ÷ (μ−λ)
//
// Where: λ = rate of arrivals, μ = 1 ÷ mean service time, both per second, λ < μ. L. Kleinrock, Queueing Systems, volume I, 1975.
func mm1Response(q, rate float64, service time.Duration) time.Duration {
	return time.Duration(-math.Log1p(-q) / (1/service.Seconds() - rate) * float64(time.Second))
}

// md1Waiting is the waiting time at quantile q of M/D/1, found by halving in Erlang's distribution
//
//	P(W ≤ t) = (1−ρ) · Σ (λ(kD − t))ᵏ ÷ k! · e^−λ(kD−t)        k = 0 … ⌊t÷D⌋
//
// Where: λ = rate of arrivals, D = service time, ρ = λD < 1. A. K. Erlang 1909; C. D. Crommelin, Delay probability formulae
// when the holding times are constant, POEEJ 25, 1932. The terms alternate in sign, so that double precision holds up to some
// 20·D.
func md1Waiting(q, rate float64, service time.Duration) time.Duration {
	d := service.Seconds()
	below := func(t float64) float64 {
		var sum float64
		term := 1.0 // 1 ÷ k!
		for k := 0; k <= int(t/d); k++ {
			if k > 0 {
				term /= float64(k)
			}
			x := rate * (float64(k)*d - t)
			sum += math.Pow(x, float64(k)) * term * math.Exp(-x)
		}
		return (1 - rate*d) * sum
	}
	low, high := 0.0, 20*d
	for range 60 {
		if mid := (low + high) / 2; below(mid) < q {
			low = mid
		} else {
			high = mid
		}
	}
	return time.Duration(high * float64(time.Second))
}
