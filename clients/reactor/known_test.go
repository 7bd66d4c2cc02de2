package reactor

import (
	"math"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

// near checks a time against arithmetic: nothing comes early by more than the histogram's 0.1 %, and a busy host may be
// late by so much.
func near(t *testing.T, what string, ns *int64, want, late time.Duration) {
	t.Helper()
	switch {
	case ns == nil:
		t.Errorf("%s: too few samples, want %v", what, want)
	case float64(*ns) < 0.995*float64(want) || *ns > int64(want+late):
		t.Errorf("%s is %v, want %v and at most %v more", what, time.Duration(*ns), want, late)
	}
}

func TestFixedDelay(t *testing.T) {
	const delay = 20 * time.Millisecond
	srv := start(t, reflect.Script{Delay: delay})
	r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = 100
		s.Phases = []scenarios.Phase{steady(500, 2000), drain(100)}
	}))
	only(t, r, "ok")
	near(t, "p50 of the response", r.ResponseNs.P50, delay, 10*time.Millisecond)
	near(t, "p90 of the service", r.ServiceNs.P90, delay, 20*time.Millisecond)
	if l := find(r, "bookkeeping (Little's law)"); math.Abs(l.Value-1) > 0.02 && l.Value != 0 {
		t.Errorf("Little's law: %+v", l)
	}
}

// A server that freezes for F during a load of T at a constant rate delays the arrivals of the freeze by what is left of
// it: uniformly 0 to F, a share F ÷ T of all. So for 1−q < F/T
//
//	response quantile q = F − (1−q)·T
//
// whether a request waits in the server (many connections) or in the client's queue (few). With few, hardly any request
// is in the server, and service times show nothing of it: what a closed or an omitting client would report.
func TestFreezeIsSeenFromTheIntendedTime(t *testing.T) {
	freeze := time.Second
	if testing.Short() {
		freeze /= 4
	}
	length := 4 * freeze
	for _, connections := range []int{20, 3000} {
		srv := start(t, reflect.Script{FreezeAt: length / 4, FreezeFor: freeze})
		r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
			s.Connections.Count = connections
			s.Phases = []scenarios.Phase{steady(int(length.Milliseconds()), 10_500/length.Seconds()), drain(300)}
		}))
		only(t, r, "ok")
		late := max(freeze/4, 100*time.Millisecond) // the drain of what piled up
		at := func(q float64) time.Duration { return freeze - time.Duration((1-q)*float64(length)) }
		near(t, "p90", r.Phases[0].ResponseNs.P90, at(0.90), late)
		near(t, "p95", r.Phases[0].ResponseNs.P95, at(0.95), late)
		near(t, "p99", r.Phases[0].ResponseNs.P99, at(0.99), late)
		if p50 := r.Phases[0].ResponseNs.P50; p50 == nil || *p50 > int64(late) {
			t.Errorf("p50 is %v, though half of the requests met no freeze", p50)
		}
		if p99 := r.Phases[0].ServiceNs.P99; connections == 20 && (p99 == nil || *p99 > int64(late)) {
			t.Errorf("p99 of the service is %v, though only 20 requests were in the server", p99)
		}
	}
}

// One connection that takes D a request, offered twice what it can do: request k is due at k·D/2 and done at (k+1)·D,
// so its response time is D + k·D/2, of n requests at the median D + n·D/4.
func TestQueueGrowsAsArithmeticSays(t *testing.T) {
	const delay, n = 3 * time.Millisecond, 240
	srv := start(t, reflect.Script{Delay: delay})
	r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = 1
		s.Phases = []scenarios.Phase{steady(n*3/2, 1000/1.5), drain(700)}
		s.Phases[0].Load = "overload"
	}))
	only(t, r, "ok")
	near(t, "p50", r.ResponseNs.P50, n*delay/4, 150*time.Millisecond)
	near(t, "the last", r.ResponseNs.Max, delay+(n-1)*delay/2, 300*time.Millisecond)
	if lag := r.LagNs.P50; lag == nil || *lag > int64(time.Millisecond) {
		t.Errorf("p50 of the generator lag is %v ns: waiting for the connection is not the client's fault", lag)
	}
	if r.Phases[0].DrainedNs < int64(n*delay) {
		t.Errorf("drained after %v, before %d requests of %v each", time.Duration(r.Phases[0].DrainedNs), n, delay)
	}
}
