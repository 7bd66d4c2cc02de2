package judge

import (
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/floor"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

func TestATrialIsHeldAgainstTheFloor(t *testing.T) {
	s, err := scenarios.Named("churn")
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Resolve(); err != nil {
		t.Fatal(err)
	}
	plan := clients.Plan{Scenario: *s, Engine: "epoll", Agents: 1}
	rate := 2000.0
	load := &clients.Report{Engine: "epoll", IntervalNs: 1e8, Outcomes: map[string]int64{}, Phases: []clients.PhaseReport{
		{Name: "connect"}, {Name: "warmup"}, {Name: "churn", Load: "steady", Measure: true, Planned: 20_000, OfferedRPS: &rate},
	}}
	check := func(f floor.Floor, state validity.State, reason string) {
		t.Helper()
		for _, c := range Trial(Evidence{Load: load, Plan: plan, Floor: f, Cores: 2}) {
			if c.Name == floor.CheckName {
				expect(t, c, state, reason)
			}
		}
	}
	kinds := floor.Kinds(&plan)
	if len(kinds) != 1 || kinds[0].Requests != 1 {
		t.Fatalf("kinds of churn: %v, want one of short connections", kinds)
	}
	reaches := func(rps float64) floor.Floor {
		return floor.Floor{Client: []int{1}, Shapes: []floor.Shape{{Kind: kinds[0], MaxRPS: rps}}}
	}
	check(reaches(40_000), validity.OK, "")
	check(reaches(3000), validity.Warn, "phase churn: 2.00 k/s is 67 % of the 3.00 k/s that this client reaches")
	check(floor.Floor{}, validity.Unknown, "was not measured here for http1, a connection for each request")
}
