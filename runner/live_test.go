package runner

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// A trial takes a second of connecting, nine of its phase and TrialOverhead.
func TestLiveTellsTheTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := &results.Run{
			Rounds: 2, Variants: make([]results.Variant, 2),
			Scenario: scenarios.Scenario{Phases: []scenarios.Phase{{Name: "steady", For: scenarios.Duration(9 * time.Second)}}},
		}
		const trial = 10*time.Second + TrialOverhead
		var got Event
		l := newLive(func(e Event) { got = e }, plan)
		check := func(when, kind string, number int, left time.Duration) {
			t.Helper()
			if got.Kind != kind || got.Trial != number || got.Trials != 4 || got.Left != left {
				t.Errorf("%s: %s of trial %d of %d, %v left: want %s of %d of 4, %v", when, got.Kind, got.Trial, got.Trials, got.Left, kind, number, left)
			}
		}
		l.begin(spec{round: 1, variant: results.Variant{Name: "gnet"}})
		check("at the begin", "begin", 1, 4*trial)
		if got.Round != 1 || got.Variant != "gnet" || l.round() != 1 {
			t.Errorf("event %+v", got)
		}
		<-time.After(4 * time.Second)
		l.message("load", []byte(`{"phase":"steady"}`))
		check("after 4 s", "progress", 1, 4*trial-4*time.Second)
		l.message("load", []byte(`{garbled`))
		if got.Load.Phase != "steady" {
			t.Errorf("a garbled message changed the progress to %+v", got.Load)
		}
		<-time.After(time.Minute)
		l.message("sut", []byte(`{"t_ns":5}`))
		check("long overdue", "progress", 1, 3*trial)
		if got.Server.TNs != 5 {
			t.Errorf("server %+v", got.Server)
		}
		l.end(&results.Trial{ID: "r01"})
		check("at the end", "end", 1, 3*trial)
		l.begin(spec{round: 1})
		check("at the next", "begin", 2, 3*trial)
		if got.Ended != nil || got.Server.TNs != 0 || got.Load.Phase != "" {
			t.Errorf("the next trial begins with what was left of the last: %+v", got)
		}
	})
}
