package analysis

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/results"
)

func TestPhaseFigures(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range PhaseMetrics {
		if seen[m.Name] || m.Unit == "" || m.Title == "" || strings.ContainsAny(m.Name, " /:") {
			t.Errorf("phase metric %+v: stands twice or lacks something", m)
		}
		seen[m.Name] = true
		if of, ok := results.Metric(m.Name); ok && of.Unit != m.Unit {
			t.Errorf("%s is in %s of a phase and in %s of a trial", m.Name, m.Unit, of.Unit)
		}
	}
	if _, ok := PhaseMetric("qps"); ok {
		t.Error("qps is a phase's metric")
	}
}

// A phase's figures are those that the trial's metrics hold of the same phase.
func TestPhaseAgreesWithMeasure(t *testing.T) {
	s := named(t, "burst")
	trial, readings := burstTrial(s)
	Measure(trial, readings, s)
	check := func(phase, name, metric string) {
		t.Helper()
		values, notes, err := Phase(trial, readings, phase)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := values[name]
		if want, measured := trial.Metrics[metric]; !ok || !measured || math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("%s of %s is %v (%v; %q), the trial's %s is %v (%v)", name, phase, got, ok, notes, metric, want, measured)
		}
	}
	check("burst", "cpu-per-req-ns", "cpu-per-req-ns")
	check("baseline", "cpu-per-req-ns", "baseline-cpu-per-req-ns")
	check("baseline", "p99-latency-ns", "baseline-p99-latency-ns")
	check("baseline", "RSS-bytes", "before-RSS-bytes")
	check("baseline", "goroutines", "before-goroutines")
	check("burst", "achieved-rps", "achieved-rps")
}

// What the trial's end cut off is told apart from what failed.
func TestPhaseTellsWhatWasCutOff(t *testing.T) {
	trial := &results.Trial{Phases: []results.Phase{{Name: "burst", Planned: 100, Outcomes: map[string]int64{"ok": 80, "unsent": 12, "in_flight": 3, "reset": 5}}}}
	values, _, err := Phase(trial, nil, "burst")
	if err != nil || values["failed-share"] != 0.2 || values["unanswered-share"] != 0.15 || values["refused-share"] != 0.05 {
		t.Errorf("failed %v, unanswered %v, refused %v: want 0.2, 0.15 and 0.05: %v", values["failed-share"], values["unanswered-share"], values["refused-share"], err)
	}
}

func TestPhaseSaysWhatIsMissing(t *testing.T) {
	s := named(t, "burst")
	trial, _ := burstTrial(s)
	values, notes, err := Phase(trial, nil, "baseline")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range PhaseMetrics {
		_, has := values[m.Name]
		told := slices.ContainsFunc(notes, func(n string) bool { return strings.HasPrefix(n, m.Name+": ") })
		if has == told {
			t.Errorf("%s: has a value %v, a note %v: want one of the two", m.Name, has, told)
		}
	}
	if _, ok := values["RSS-bytes"]; ok {
		t.Error("resident memory without a reading")
	}
	if _, _, err := Phase(trial, nil, "basline"); err == nil || !strings.Contains(err.Error(), "want one of warmup, baseline, burst, recovery") {
		t.Errorf("a phase that isn't there: %v, want the known ones named", err)
	}
}
