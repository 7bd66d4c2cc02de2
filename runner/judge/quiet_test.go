package judge

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/runner/sut"
)

func TestCheckQuiet(t *testing.T) {
	check := func(usedNs, spanNs int64, state validity.State, value float64, reason string) {
		t.Helper()
		c := checkQuiet(sut.SamplerStats{ForeignCPUNs: usedNs, ForeignSpanNs: spanNs})
		if c.Name != "quiet host" || c.State != state || c.Value != value || c.Limit != 0.05 || !strings.Contains(c.Reason, reason) {
			t.Errorf("%d of %d ns: %+v", usedNs, spanNs, c)
		}
		if sound := c.State == validity.OK; sound != (c.Reason == "") || sound != (c.Remedy == "") {
			t.Errorf("%d of %d ns: reason %q, remedy %q", usedNs, spanNs, c.Reason, c.Remedy)
		}
	}
	check(0, 10e9, validity.OK, 0, "")
	check(5e8, 10e9, validity.OK, 0.05, "") // the limit itself is allowed
	check(6e8, 10e9, validity.Warn, 0.06, "took 6.0 % of a CPU (limit 5 %)")
	check(15e9, 10e9, validity.Warn, 1.5, "took 150.0 % of a CPU") // on several CPUs
	check(0, 0, validity.Unknown, 0, "not measured")
	check(7, 0, validity.Unknown, 0, "not measured")
}

func TestCheckProcesses(t *testing.T) {
	if c := checkProcesses(sut.Done{}); c.State != validity.NotApplicable {
		t.Errorf("of a server of ours: %+v", c)
	}
	expect(t, checkProcesses(sut.Done{Foreign: true}), validity.OK, "")
	expect(t, checkProcesses(sut.Done{Foreign: true, Sampler: sut.SamplerStats{Born: 2}}), validity.Unknown, "started 2 processes while it was sampled")
}
