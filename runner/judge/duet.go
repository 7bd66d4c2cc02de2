package judge

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

// Together adds to a trial what only both records of a duet show. The partner's checks are those before this.
func Together(t, partner *results.Trial, checks []validity.Check) {
	t.Checks = append(t.Checks, checkPartner(partner))
	for i := range t.Checks {
		if other := slices.IndexFunc(checks, func(c validity.Check) bool { return c.Name == t.Checks[i].Name }); t.Checks[i].Name == generatorCPU && other >= 0 {
			t.Checks[i] = bothCPU(t.Checks[i], checks[other])
		}
	}
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

// generatorCPU is the name of the check of the busiest load thread.
const generatorCPU = "generator CPU"

// bothCPU judges the busiest load threads of both clients as one, since they take turns on the same CPUs.
func bothCPU(own, partner validity.Check) validity.Check {
	if own.State == validity.NotApplicable || partner.State == validity.NotApplicable {
		return own
	}
	c := own
	if c.Value += partner.Value; c.Value > c.Limit && own.State == validity.OK {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("the load threads of both clients of the duet took %s of a CPU, limit %s",
			quantity.Share(c.Value), quantity.Share(c.Limit))
		c.Remedy = "give the client more CPUs, or lower the rate"
	}
	return c
}
