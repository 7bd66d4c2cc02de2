package judge

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

func TestDuetIsJudgedTogether(t *testing.T) {
	trial := func(cpu float64, state validity.State) *results.Trial {
		return &results.Trial{ID: "t", Status: results.StatusDone, Checks: []validity.Check{{Name: generatorCPU, State: state, Value: cpu, Limit: 0.8}}}
	}
	check := func(own, partner *results.Trial, want validity.Verdict, reason string) {
		t.Helper()
		Together(own, partner, partner.Checks)
		_, why := validity.Judge(own.Checks)
		if own.Verdict != want || !strings.Contains(strings.Join(why, "\n"), reason) {
			t.Errorf("%s: %q, want %s for %q", own.Verdict, why, want, reason)
		}
	}
	check(trial(0.4, validity.OK), trial(0.3, validity.OK), validity.Valid, "")
	check(trial(0.5, validity.OK), trial(0.4, validity.OK), validity.Invalid, "both clients of the duet took 90.0 % of a CPU")
	check(trial(0, validity.NotApplicable), trial(0.9, validity.Fail), validity.Valid, "")
	failed := trial(0.1, validity.OK)
	failed.Status, failed.Failure = results.StatusFailed, &results.Failure{Reason: "it crashed"}
	check(trial(0.1, validity.OK), failed, validity.Invalid, "the other one of this duet, is failed: it crashed")
}
