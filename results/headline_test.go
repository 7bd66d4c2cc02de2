package results_test

import (
	"slices"
	"testing"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

func TestHeadlinesAreMetricsOfTheirScenario(t *testing.T) {
	for _, name := range append(scenarios.Names, "") {
		s := &scenarios.Scenario{Name: "one of a user's own"}
		if name != "" {
			var err error
			if s, err = scenarios.Named(name); err != nil {
				t.Fatal(err)
			}
		}
		list := results.Headline(s)
		if len(list) < 3 {
			t.Errorf("%s has the headline metrics %q, want at least three", s.Name, list)
		}
		for _, name := range list {
			if info, known := results.Metric(name); !known || !info.In(s) || info.Better == results.BetterNone {
				t.Errorf("%s: %s is not a metric of it by which variants are compared", s.Name, name)
			}
		}
		if sorted := slices.Compact(slices.Sorted(slices.Values(list))); len(sorted) != len(list) {
			t.Errorf("%s names a metric twice: %q", s.Name, list)
		}
		list[0] = "changed"
		if results.Headline(s)[0] == "changed" {
			t.Errorf("%s: the list is not the caller's own", s.Name)
		}
	}
}

// The headline metrics of a sweep are those of any step, each once.
func TestHeadlineOfSteps(t *testing.T) {
	steady := scenarios.Scenario{Phases: []scenarios.Phase{{Name: "p", Measure: true, Arrivals: scenarios.Arrivals{Constant: 1}}}}
	short := steady
	short.Connections.Requests = 1
	run := &results.Run{Steps: []results.Step{{Name: "pooled", Scenario: steady}, {Name: "short", Scenario: short}}}
	if got, want := run.Headline(), []string{"p50-latency-ns", "p99-latency-ns", "cpu-per-req-ns", "p50-connect-ns", "p99-connect-ns"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
