package reactor

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/scenarios"
)

func TestNewRefusesSlotsOfAClosedLoop(t *testing.T) {
	p := clients.Plan{
		URL: "http://127.0.0.1:1/", Engine: "epoll", Slot: arrivals.Slot{Of: 2, LengthNs: 1e8},
		Scenario: scenarios.Scenario{
			Name: "s", Why: "to test", Protocol: "http1", Connections: scenarios.Connections{Count: 1},
			Phases: []scenarios.Phase{{Name: "main", For: 1e9, Arrivals: scenarios.Arrivals{Closed: true}}},
		},
	}
	if _, err := New(&p); err == nil || !strings.Contains(err.Error(), "phases.main.arrivals.closed") {
		t.Errorf("%v, want that a closed loop has no slots", err)
	}
	p.Slot = arrivals.Slot{}
	if _, err := New(&p); err != nil {
		t.Error(err)
	}
}
