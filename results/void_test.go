package results

import (
	"testing"

	"github.com/millrace/millrace/internal/validity"
)

func TestALostAgentVoidsItsRound(t *testing.T) {
	lost := []validity.Check{{Name: AgentsCheck, State: validity.Fail}}
	fine := []validity.Check{{Name: AgentsCheck, State: validity.OK}}
	trials := []*Trial{
		{Round: 1, Variant: "a", Status: StatusDone, Verdict: validity.Valid, Checks: fine},
		{Round: 2, Variant: "b", Status: StatusDone, Verdict: validity.Valid, Checks: fine},
		{Round: 2, Variant: "a", Status: StatusFailed, Verdict: validity.Invalid, Checks: lost},
		{Round: 2, Variant: "c", Status: StatusDone, Verdict: validity.Suspect},
	}
	VoidRounds(trials[:2])
	VoidRounds(trials)
	VoidRounds(trials) // again: nothing more to do
	for i, want := range []validity.Verdict{validity.Valid, validity.Invalid, validity.Invalid, validity.Invalid} {
		tr := trials[i]
		if tr.Verdict != want {
			t.Errorf("round %d, %s: %s, want %s", tr.Round, tr.Variant, tr.Verdict, want)
		}
		if v, _ := validity.Judge(tr.Checks); v != want {
			t.Errorf("round %d, %s: its checks say %s, want %s: %+v", tr.Round, tr.Variant, v, want, tr.Checks)
		}
	}
	if len(trials[1].Checks) != 2 || len(trials[0].Checks) != 1 || len(trials[2].Checks) != 1 {
		t.Error("a trial has more checks than it should")
	}
}
