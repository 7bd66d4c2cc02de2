package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/results"
)

// course says how far the run came, when it was measured, why it ended and how quiet the host was, and how many rounds are
// whole.
func (d *document) course() (lines []string, whole int) {
	r := d.res.Run
	finished := map[int]int{}
	all := 0
	for _, t := range d.res.Trials {
		if t.Status != results.StatusInterrupted {
			finished[t.Round]++
			all++
		}
	}
	for _, n := range finished {
		if n == r.TrialsPerRound() {
			whole++
		}
	}
	var last results.Session
	if n := len(d.res.Sessions); n > 0 {
		last = d.res.Sessions[n-1]
	}
	switch planned := r.Rounds * r.TrialsPerRound(); {
	case all < planned:
		line := fmt.Sprintf("Not finished: %d of %d trials were run to their end, %d of %d rounds are whole.", all, planned, whole, r.Rounds)
		if last.Sitting > 0 {
			line += " " + ending(last) + goOn(d.res)
		}
		lines = append(lines, line)
	case last.Until != nil:
		lines = append(lines, ending(last))
	}
	return slices.Concat(lines, d.sittings(), d.waiting()), whole
}

// goOn says how to go on with a run that is not finished, where one can.
func goOn(res *results.Result) string {
	switch res.Run.Purpose {
	case "":
		return " Go on with: millrace run --resume " + cmp.Or(res.Path, res.Run.ID)
	case results.PurposeAA:
		return " For more rounds start millrace aa again: they accumulate."
	}
	return ""
}

// ending says why a sitting ended.
func ending(s results.Session) string {
	if s.Ended == nil {
		return "The last sitting is under way, or was killed."
	}
	text := map[string]string{
		results.EndedDone:        "All rounds that were asked for were run",
		results.EndedEnough:      "The run ended because its intervals were narrow enough, or could not become so",
		results.EndedBudget:      "The run ended because its time was spent",
		results.EndedInterrupted: "The run was interrupted",
		results.EndedFailed:      "The run broke off",
	}[s.Reason]
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text + "."
}

// sittings is when the run was measured, and what changed from one sitting to the next.
func (d *document) sittings() (lines []string) {
	var parts []string
	for i, s := range d.res.Sessions {
		part := s.Started.UTC().Format("2006-01-02 15:04")
		if s.Ended == nil {
			part += "–?"
		} else {
			part += "–" + s.Ended.UTC().Format("15:04")
			if len(d.res.Sessions) > 1 {
				part += " (" + s.Reason + ")"
			}
		}
		if i > 0 && s.BootID != d.res.Sessions[i-1].BootID {
			part += ", after a reboot"
		}
		parts = append(parts, part)
		if len(s.Differs) > 0 {
			lines = append(lines, fmt.Sprintf("Sitting %d was not as the run began: %s.", s.Sitting, strings.Join(s.Differs, "; ")))
		}
	}
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return append([]string{"Measured " + parts[0] + " UTC."}, lines...)
	}
	return append([]string{fmt.Sprintf("Measured in %d sittings, UTC: %s.", len(parts), strings.Join(parts, "; "))}, lines...)
}

// waiting sums up how long the trials waited for a quiet host.
func (d *document) waiting() []string {
	waited, gaveUp := 0, 0
	var seconds float64
	for _, t := range d.res.Trials {
		if t.Wait == nil {
			continue
		}
		if t.Wait.Windows > 1 || t.Wait.GaveUp {
			waited++
			seconds += t.Wait.Seconds
		}
		if t.Wait.GaveUp {
			gaveUp++
		}
	}
	if waited == 0 {
		return nil
	}
	return []string{fmt.Sprintf("Waited %s in %d of %d trials for a quiet host, gave up in %d.",
		quantity.Format(seconds*float64(time.Second), quantity.Time), waited, len(d.res.Trials), gaveUp)}
}
