package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/validity"
)

// AgentsName is the name of the check that Agents returns.
const AgentsName = "agents"

// maxStartSkewNs is how far apart the agents of a load may start, from docs/METHOD.md.
const maxStartSkewNs = 5_000_000

// Agents judges whether all agents of a load lived to its end: a load that one of them left says nothing.
func Agents(all, lost []string) validity.Check {
	c := validity.Check{Name: AgentsName, State: validity.OK, Value: float64(len(all) - len(lost)), Limit: float64(len(all)), Unit: "agents"}
	if len(lost) > 0 {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("%d of %d agents were lost: %s, which voids the round", len(lost), len(all), strings.Join(lost, ", "))
		c.Remedy = "see the failure and the agent's standard error, and repeat the run"
	}
	return c
}

// StartSkew judges how late the last agent started.
func StartSkew(skewNs int64) validity.Check {
	c := validity.Check{Name: "start skew", State: validity.OK, Value: float64(skewNs), Limit: maxStartSkewNs, Unit: "ns"}
	if skewNs > maxStartSkewNs {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("the agents started %.1f ms apart (limit %d ms)", float64(skewNs)/1e6, maxStartSkewNs/1_000_000)
		c.Remedy = "keep other work off the host"
	}
	return c
}

// Spread shows how far the agents' own p99 lie apart, (largest − smallest) ÷ median: agents that see different servers
// are on different hosts, or share their CPUs with others. It is for information.
func Spread(p99Ns []int64) validity.Check {
	c := validity.Check{Name: "agents' p99 spread", State: validity.OK, Unit: "share"}
	if len(p99Ns) < 2 {
		c.State = validity.NotApplicable
		return c
	}
	sorted := slices.Sorted(slices.Values(p99Ns))
	n := len(sorted)
	middle := float64(sorted[(n-1)/2]+sorted[n/2]) / 2
	if middle == 0 { // most had no good reply
		c.State = validity.NotApplicable
		return c
	}
	c.Value = float64(sorted[n-1]-sorted[0]) / middle
	return c
}
