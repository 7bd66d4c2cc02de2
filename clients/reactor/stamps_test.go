package reactor

import (
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

// The kernel's stamps put a server's delay where it belongs, and the parts add up.
func TestStampsSplitTheResponseTime(t *testing.T) {
	const delay = 20 * time.Millisecond
	for _, protocol := range []string{"http1", "frame"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			r := start(t, reflect.Script{Protocol: protocol, Delay: delay})
			s := run(t, plan(r.URL(), func(_ *clients.Plan, sc *scenarios.Scenario) {
				sc.Connections.Count = 40
				sc.Phases = []scenarios.Phase{steady(1000, 1000), drain(100)}
			})).Split
			if s == nil {
				t.Fatal("no time stamps: want some of every Linux")
			}
			// Of each shard one is under way at a time: at most 1 s ÷ 20 ms.
			if most := int64(50 * min(cpus(), MaxShards)); s.Samples < 10 || s.Samples > most {
				t.Errorf("%d samples, want at most %d and not much less", s.Samples, most)
			}
			if s.WireServerNs.Mean < float64(delay) {
				t.Errorf("wire and server took %.0f ns, want at least the delay of %v", s.WireServerNs.Mean, delay)
			}
			parts := s.SendingNs.Mean + s.WireServerNs.Mean + s.ReceivingNs.Mean
			if whole := s.ResponseNs.Mean; parts > 1.01*whole || s.ClientNs.Mean > whole-s.WireServerNs.Mean+0.01*whole {
				t.Errorf("of %.0f ns: sending %.0f, wire and server %.0f, receiving %.0f; client in all %.0f", whole,
					s.SendingNs.Mean, s.WireServerNs.Mean, s.ReceivingNs.Mean, s.ClientNs.Mean)
			}
		})
	}
}

// With several requests in flight on a connection, whose reply a packet belongs to is not known: none are sampled.
func TestStampsOnlyOfRequestsAlone(t *testing.T) {
	r := start(t, reflect.Script{Protocol: "http1", Delay: time.Millisecond})
	s := run(t, plan(r.URL(), func(_ *clients.Plan, sc *scenarios.Scenario) {
		sc.Connections.Count, sc.Connections.Pipeline = 1, 8
		sc.Phases = []scenarios.Phase{{Name: "closed", Load: "steady", For: scenarios.Duration(200 * time.Millisecond), Measure: true,
			Active: 100, Arrivals: scenarios.Arrivals{Closed: true}}}
	})).Split
	if s != nil && s.Samples > 2 {
		t.Errorf("%d samples among pipelined requests", s.Samples)
	}
}
