package judge

import (
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

func TestCheckPushRate(t *testing.T) {
	check := func(overflow string, made int64, state validity.State, reason string) {
		t.Helper()
		e := Evidence{
			Plan: clients.Plan{Scenario: scenarios.Scenario{Push: scenarios.PushLoad{Rate: 5, Overflow: overflow}}},
			Readings: []results.Reading{
				{TNs: 0, Pushed: ptr(0)}, {TNs: 1e9, Pushed: ptr(1)}, {TNs: 2e9}, {TNs: 101e9, Pushed: ptr(1 + made)}, {TNs: 102e9},
			},
		}
		c := checkPushRate(e)
		if c.State == validity.NotApplicable && state == c.State && c.Value == float64(made) {
			return
		}
		expect(t, c, state, reason)
	}
	check("drop-oldest", 500, validity.OK, "")
	check("drop-oldest", 495, validity.OK, "")
	check("drop-oldest", 494, validity.Warn, "made 494 frames in 100.00 s, want 500 at 5/s")
	check("disconnect", 506, validity.Warn, "made 506 frames")
	check("block", 50, validity.NotApplicable, "")
	expect(t, checkPushRate(Evidence{}), validity.Unknown, "could not be read")
	if c := checkPushRate(Evidence{Done: sut.Done{Foreign: true}}); c.State != validity.NotApplicable {
		t.Errorf("of a foreign server: %+v", c)
	}
}
