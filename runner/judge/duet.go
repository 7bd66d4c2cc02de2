package judge

import (
	"fmt"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

// Together adds to a trial what only both records of a duet show.
func Together(t, partner *results.Trial) {
	t.Checks = append(t.Checks, checkPartner(partner))
	if t.Verdict, _ = validity.Judge(t.Checks); t.Status != results.StatusDone {
		t.Verdict = validity.Invalid
	}
}

// checkPartner judges whether the other server was there and under load for the whole trial: alone on the CPU a server is in
// another state.
func checkPartner(partner *results.Trial) validity.Check {
	c := validity.Check{Name: "duet partner", State: validity.OK, Unit: "faults"}
	if partner.Status == results.StatusDone {
		return c
	}
	c.State, c.Value = validity.Fail, 1
	c.Reason = fmt.Sprintf("trial %s, the other one of this duet, is %s", partner.ID, partner.Status)
	if partner.Failure != nil {
		c.Reason += ": " + partner.Failure.Reason
	}
	c.Remedy = "mend what the other trial failed of, or compare without duets"
	return c
}
