// Package phases says what each phase of a scenario asks of the connections of all agents together.
package phases

import "github.com/millrace/millrace/scenarios"

// Phase is one of them.
type Phase struct {
	From   int64 // ns after the first phase's start
	Closed bool  // whether its loop is
	Open   int   // connections that are open from here on
	Active int   // of them, those that take requests
	Busy   int   // of these, those that get some: all, or none where no requests become due
}

// Of returns the phases of a scenario that is resolved, in order.
func Of(s *scenarios.Scenario) []Phase {
	var out []Phase
	var at int64
	count := s.Connections.Count
	if s.OpensLater() && s.Connections.Requests == 0 {
		count = 0
	}
	for _, p := range s.Phases {
		if p.Open > 0 {
			count = max(count, p.Open)
		}
		active := min(int((float64(count)*float64(p.Active)+99.999)/100), count)
		busy := active
		if p.Arrivals == (scenarios.Arrivals{}) {
			busy = 0
		}
		out = append(out, Phase{at, p.Arrivals.Closed, count, active, busy})
		at += int64(p.For)
	}
	return out
}
