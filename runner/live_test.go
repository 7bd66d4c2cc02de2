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
		plan := aPlan()
		const trial = 10*time.Second + TrialOverhead
		var got Event
		l := newLive(func(e Event) { got = e }, plan, 4, time.Time{}, false)
		check := func(when, kind string, number int, left time.Duration) {
			t.Helper()
			if got.Kind != kind || got.Trial != number || got.Trials != 4 || got.Left != left || got.AtMost {
				t.Errorf("%s: %s of trial %d of %d, %v left: want %s of %d of 4, %v", when, got.Kind, got.Trial, got.Trials, got.Left, kind, number, left)
			}
		}
		first := spec{round: 1, variant: results.Variant{Name: "gnet"}}
		l.wait(first)
		check("at the begin", "wait", 1, 4*trial)
		<-time.After(time.Second)
		l.begin()
		check("the host is quiet", "begin", 1, 4*trial-time.Second)
		if got.Round != 1 || got.Variant != "gnet" {
			t.Errorf("event %+v", got)
		}
		<-time.After(3 * time.Second)
		l.message("load", []byte(`{"phase":"steady"}`))
		check("after 4 s", "progress", 1, 4*trial-4*time.Second)
		l.message("load", []byte(`{garbled`))
		if got.Load.Phase != "steady" {
			t.Errorf("a garbled message changed the progress to %+v", got.Load)
		}
		<-time.After(trial)
		l.message("sut", []byte(`{"t_ns":5}`))
		check("overdue", "progress", 1, 3*trial)
		if got.Server.TNs != 5 {
			t.Errorf("server %+v", got.Server)
		}
		l.end(&results.Trial{ID: "r01"})
		learned := trial + 2*time.Second // the plan's and the first one's, which took 4 s longer
		check("at the end", "end", 1, 3*learned)
		if l.each() != learned {
			t.Errorf("a trial takes %v, want %v", l.each(), learned)
		}
		l.wait(spec{round: 1})
		check("at the next", "wait", 2, 3*learned)
		if got.Ended != nil || got.Server.TNs != 0 || got.Load.Phase != "" {
			t.Errorf("the next trial begins with what was left of the last: %+v", got)
		}
	})
}

// aPlan has two rounds of two variants, trials of 10 s.
func aPlan() *results.Run {
	return &results.Run{
		Rounds: 2, Variants: make([]results.Variant, 2),
		Scenario: scenarios.Scenario{Phases: []scenarios.Phase{{Name: "steady", For: scenarios.Duration(9 * time.Second)}}},
	}
}

func TestLiveKeepsToTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got Event
		emit := func(e Event) { got = e }
		l := newLive(emit, aPlan(), 3, time.Now().Add(20*time.Second), false) // one of four was run before
		l.wait(spec{round: 1})
		if got.Trial != 2 || got.Left != 20*time.Second || !got.AtMost {
			t.Errorf("%+v: want trial 2, and the 20 s of the budget", got)
		}
		l = newLive(emit, aPlan(), 4, time.Now().Add(time.Hour), false)
		if l.wait(spec{round: 1}); got.AtMost {
			t.Errorf("%+v: the budget doesn't matter", got)
		}
		l = newLive(emit, aPlan(), 0, time.Now().Add(time.Hour), true)
		l.look("too wide")
		if got.Kind != "look" || got.Why != "too wide" || got.Left != time.Hour || !got.AtMost {
			t.Errorf("%+v: want the hour that all rounds to come may take", got)
		}
		l.grow(2, 2)
		l.grow(3, 2)
		if l.wait(spec{round: 3}); got.Rounds != 3 || got.Trials != 6 || got.Trial != 5 {
			t.Errorf("%+v: want trial 5 of 6, of 3 rounds", got)
		}
	})
}
