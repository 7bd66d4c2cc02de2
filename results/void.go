package results

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/internal/validity"
)

// AgentsCheck is the name of the check that fails where an agent was lost.
const AgentsCheck = "agents"

// LostAgent reports whether an agent was lost in the trial.
func (t *Trial) LostAgent() bool {
	for _, c := range t.Checks {
		if c.Name == AgentsCheck && c.State == validity.Fail {
			return true
		}
	}
	return false
}

// voidedCheck is the name of the check that fails where another trial of the round lost an agent.
const voidedCheck = "round"

// VoidRounds makes every trial of a round in which an agent was lost INVALID, those that were over before included: whatever
// befell the host may have begun earlier, and a round is compared as a whole or not at all. The lines on disk stay as they
// were written. Called again with more trials it does the rest.
func VoidRounds(trials []*Trial) {
	lost := map[int]*Trial{}
	for _, t := range trials {
		if lost[t.Round] == nil && t.LostAgent() {
			lost[t.Round] = t
		}
	}
	for _, t := range trials {
		by := lost[t.Round]
		voided := slices.ContainsFunc(t.Checks, func(c validity.Check) bool { return c.Name == voidedCheck })
		if by == nil || t.LostAgent() || voided {
			continue
		}
		t.Checks = append(t.Checks, validity.Check{
			Name: voidedCheck, State: validity.Fail, Value: 1, Unit: "lost agents",
			Reason: fmt.Sprintf("round %d is void: an agent was lost in its trial of %s", t.Round, by.Variant),
			Remedy: "repeat the run",
		})
		t.Verdict = validity.Invalid
	}
}
