package judge

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

func TestDuetIsJudgedTogether(t *testing.T) {
	trial := func(state validity.State) *results.Trial {
		return &results.Trial{ID: "t", Status: results.StatusDone, Checks: []validity.Check{{Name: "generator CPU", State: state, Value: 0.5, Limit: 0.8}}}
	}
	check := func(own, partner *results.Trial, want validity.Verdict, reason string) {
		t.Helper()
		Together(own, partner)
		_, why := validity.Judge(own.Checks)
		if own.Verdict != want || !strings.Contains(strings.Join(why, "\n"), reason) {
			t.Errorf("%s: %q, want %s for %q", own.Verdict, why, want, reason)
		}
	}
	check(trial(validity.OK), trial(validity.OK), validity.Valid, "")
	check(trial(validity.OK), trial(validity.Fail), validity.Valid, "") // each client is judged by itself
	failed := trial(validity.OK)
	failed.Status, failed.Failure = results.StatusFailed, &results.Failure{Reason: "it crashed"}
	check(trial(validity.OK), failed, validity.Invalid, "the other one of this duet, is failed: it crashed")
}
