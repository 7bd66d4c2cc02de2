package results

import "github.com/millrace/millrace/internal/validity"

// LeftOut says why the trial is left out of every comparison, or "" if it counts.
func (t *Trial) LeftOut() string {
	switch {
	case t.Status == StatusFailed && t.Failure != nil:
		return "failed: " + t.Failure.Reason
	case t.Status != StatusDone:
		return t.Status
	case t.Verdict == validity.Invalid:
		for _, c := range t.Checks {
			if c.State == validity.Fail {
				return "INVALID: " + c.Name + ", " + c.Reason
			}
		}
		return "INVALID"
	}
	return ""
}

// Placed reports whether a variant has enough trials that count to stand beside the others: at least half of its rounds.
func Placed(counted, all int) bool { return counted > 0 && 2*counted >= all }
