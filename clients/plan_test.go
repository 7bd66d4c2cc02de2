package clients

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/scenarios"
)

func TestCheckSlot(t *testing.T) {
	steady := scenarios.Scenario{Phases: []scenarios.Phase{{Name: "p", For: 1e9, Arrivals: scenarios.Arrivals{Constant: 1}}}}
	closed := scenarios.Scenario{Phases: []scenarios.Phase{{Name: "p", For: 1e9, Arrivals: scenarios.Arrivals{Closed: true}}}}
	duet := arrivals.Slot{Of: 2, LengthNs: 1e8}
	check := func(p Plan, want string) {
		t.Helper()
		if err := p.CheckSlot(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", p.Slot, err, want)
		}
	}
	check(Plan{Scenario: steady, Slot: duet}, "")
	check(Plan{Scenario: closed, StartWhenOpen: true}, "")
	check(Plan{Scenario: steady, Slot: duet, StartWhenOpen: true}, "start_when_open")
	check(Plan{Scenario: closed, Slot: duet}, "phases.p.arrivals.closed: want constant or poisson")
}
