package phases

import (
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/scenarios"
)

func TestConnectionsOfPhases(t *testing.T) {
	s := scenarios.Scenario{
		Connections: scenarios.Connections{Count: 10},
		Phases: []scenarios.Phase{
			{For: scenarios.Duration(time.Second), Arrivals: scenarios.Arrivals{Closed: true}, Active: 25},
			{For: scenarios.Duration(2 * time.Second), Active: 100},
		},
	}
	want := []Phase{
		{0, true, 10, 3, 3}, // a quarter, rounded up
		{1e9, false, 10, 10, 0},
	}
	if got := Of(&s); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	// Connections that are opened by and by count from the phase on that opens them, and are not closed again.
	s.Phases[0].Open, s.Phases[1].Open = 4, 2
	want[0].Open, want[0].Active, want[0].Busy = 4, 1, 1
	want[1].Open, want[1].Active = 4, 4
	if got := Of(&s); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
