package checks

import (
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/validity"
)

// Verified is how the known answers of `millrace selfcheck` last came out for an engine, on this host and kernel and with
// this program.
type Verified struct {
	// Never says why there is no result; empty where there is one.
	Never string
	At    time.Time
	// Passed is how many cases passed, Failed are the names of the others.
	Passed int
	Failed []string
}

// KnownAnswer judges whether the ruler was itself checked here. One that failed is a reason for doubt and no more, since a
// busy host fails it too. One that never ran is no evidence against the load at hand, which has its own checks: that is
// said, and does not count.
func KnownAnswer(v Verified) validity.Check {
	c := validity.Check{Name: "known answer", State: validity.OK, Value: float64(v.Passed), Limit: float64(v.Passed + len(v.Failed)), Unit: "cases"}
	switch {
	case v.Never != "" || c.Limit == 0:
		c.State, c.Value, c.Limit, c.Reason = validity.NotApplicable, 0, 0, v.Never
		if v.Never == "" {
			c.Reason = "no case was run: run `millrace selfcheck`"
		}
	case len(v.Failed) > 0:
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("the engine's selfcheck of %s failed %d of %.0f cases: %s", v.At.UTC().Format("2006-01-02 15:04"), len(v.Failed), c.Limit, strings.Join(v.Failed, ", "))
		c.Remedy = "run `millrace selfcheck` again when the host is quiet; if it fails then too, this client is not to be trusted here: please report it"
	}
	return c
}
