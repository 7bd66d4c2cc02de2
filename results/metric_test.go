package results

import (
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/scenarios"
)

func named(t *testing.T, name string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMetricsTable(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Metrics {
		if seen[m.Name] || m.Title == "" || m.Unit == "" || m.Name == m.Title {
			t.Errorf("metric %+v: stands twice or lacks something", m)
		}
		seen[m.Name] = true
		if !slices.Contains([]string{BetterLower, BetterHigher, BetterNone}, m.Better) {
			t.Errorf("metric %s: better %q", m.Name, m.Better)
		}
		if strings.HasSuffix(m.Name, "-ns") != (m.Unit == "ns") || strings.ContainsAny(m.Name, " /:") {
			t.Errorf("metric %s: unit %s: want the unit last, and no slash", m.Name, m.Unit)
		}
	}
	if m, ok := Metric("drain-time-ns"); !ok || !m.In(named(t, "burst")) || m.In(named(t, "idle")) {
		t.Errorf("metric drain-time-ns: %+v, %v", m, ok)
	}
	if m, ok := Metric("p99-latency-ns"); !ok || !m.In(named(t, "churn")) {
		t.Errorf("metric p99-latency-ns: %+v, %v", m, ok)
	}
	if m, _ := Metric("residue-1s-goroutines"); !m.In(named(t, "burst")) || m.In(named(t, "steady")) {
		t.Errorf("metric residue-1s-goroutines: %+v", m)
	}
	if _, ok := Metric("qps"); ok {
		t.Error("qps is a metric")
	}
}
