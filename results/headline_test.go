package results_test

import (
	"slices"
	"testing"

	"github.com/millrace/millrace/results"
)

func TestHeadlinesAreMetricsOfTheirScenario(t *testing.T) {
	for _, scenario := range []string{"burst", "idle", "churn", "steady", "one of a user's own"} {
		list := results.Headline(scenario)
		if len(list) < 3 {
			t.Errorf("%s has the headline metrics %q, want at least three", scenario, list)
		}
		for _, name := range list {
			if info, known := results.Metric(name); !known || !info.In(scenario) || info.Better == results.BetterNone {
				t.Errorf("%s: %s is not a metric of it by which variants are compared", scenario, name)
			}
		}
		if sorted := slices.Compact(slices.Sorted(slices.Values(list))); len(sorted) != len(list) {
			t.Errorf("%s names a metric twice: %q", scenario, list)
		}
		list[0] = "changed"
		if results.Headline(scenario)[0] == "changed" {
			t.Errorf("%s: the list is not the caller's own", scenario)
		}
	}
}
