package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/results"
)

func TestCourse(t *testing.T) {
	at := time.Date(2026, 11, 21, 3, 15, 0, 0, time.UTC)
	end := at.Add(25 * time.Minute)
	session := func(number int, reason, why string) results.Session {
		s := results.Session{Sitting: number, Started: at, BootID: "a", Rounds: 2, Most: 2}
		if reason != "" {
			s.Ended, s.Reason, s.Why = &end, reason, why
		}
		return s
	}
	trials := func(n int) (list []*results.Trial) {
		for i := range n {
			list = append(list, &results.Trial{Round: i/2 + 1, Variant: string(rune('a' + i%2)), Status: results.StatusDone})
		}
		return list
	}
	purpose := ""
	check := func(what string, res *results.Result, whole int, want ...string) {
		t.Helper()
		res.Run = &results.Run{ID: "ID", Purpose: purpose, Rounds: 2, Variants: make([]results.Variant, 2)}
		got, n := (&document{res: res}).course()
		if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(got, "\n")); diff != "" || n != whole {
			t.Errorf("%s: %d whole rounds, want %d: %s", what, n, whole, diff)
		}
	}
	check("a run without sittings", &results.Result{Trials: trials(4)}, 2)
	check("cut off, without sittings", &results.Result{Trials: trials(3)}, 1,
		"Not finished: 3 of 4 trials were run to their end, 1 of 2 rounds are whole.")
	check("done", &results.Result{Trials: trials(4), Sessions: []results.Session{session(1, results.EndedDone, "")}}, 2,
		"Measured 2026-11-21 03:15–03:40 UTC.")
	check("killed", &results.Result{Trials: trials(1), Sessions: []results.Session{session(1, "", "")}}, 0,
		"Not finished: 1 of 4 trials were run to their end, 0 of 2 rounds are whole. The last sitting is under way, or was killed. Go on with: millrace run --resume ID",
		"Measured 2026-11-21 03:15–? UTC.")

	for _, other := range [][2]string{
		{results.PurposeAA, " For more rounds start millrace aa again: they accumulate."}, {results.PurposePilot, ""}, {results.PurposeExplain, ""},
	} {
		purpose = other[0]
		check("killed "+purpose, &results.Result{Trials: trials(1), Sessions: []results.Session{session(1, "", "")}}, 0,
			"Not finished: 1 of 4 trials were run to their end, 0 of 2 rounds are whole. The last sitting is under way, or was killed."+other[1],
			"Measured 2026-11-21 03:15–? UTC.")
	}
	purpose = ""

	broken := trials(3)
	broken[1].Status = results.StatusInterrupted
	check("interrupted in the first round", &results.Result{Trials: broken[:2], Sessions: []results.Session{session(1, results.EndedInterrupted, "")}}, 0,
		"Not finished: 1 of 4 trials were run to their end, 0 of 2 rounds are whole. The run was interrupted. Go on with: millrace run --resume ID",
		"Measured 2026-11-21 03:15–03:40 UTC.")

	second := session(2, results.EndedBudget, "of the budget of 1m0s 3s are left")
	second.Until, second.BootID, second.Differs = &results.Until{}, "b", []string{"commit was x and is y"}
	noisy := trials(4)
	noisy[0].Wait = &results.Wait{Windows: 1, Seconds: 0.2}
	noisy[1].Wait = &results.Wait{Windows: 10, Seconds: 2}
	noisy[2].Wait = &results.Wait{Windows: 50, Seconds: 10, GaveUp: true}
	noisy[3].Wait = &results.Wait{Windows: 1, Seconds: 0.2, GaveUp: true}
	check("two sittings", &results.Result{Trials: noisy, Sessions: []results.Session{session(1, results.EndedInterrupted, ""), second}}, 2,
		"The run ended because its time was spent: of the budget of 1m0s 3s are left.",
		"Measured in 2 sittings, UTC: 2026-11-21 03:15–03:40 (interrupted); 2026-11-21 03:15–03:40 (budget), after a reboot.",
		"Sitting 2 was not as the run began: commit was x and is y.",
		"Waited 12.2 s in 3 of 4 trials for a quiet host, gave up in 2.")
}
