package runner

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/results"
)

// fewestLook is how many rounds a guess of those to come needs.
const fewestLook = 3

// stop says why a round should not begin, if there is a reason. All rounds before it are whole.
func (r *run) stop(round int) (reason, why string) {
	if r.config.Enough != nil && round > fewestLook {
		enough, found := r.config.Enough(r.plan, r.trials)
		why = found
		if enough && round > MinUntilRounds {
			return results.EndedEnough, why
		}
		r.live.look(why)
	}
	if round > r.session.Most {
		return results.EndedDone, why
	}
	// The first round of a sitting begins in any case: a budget that holds none is refused by MakePlan.
	if r.ran == 0 || r.deadline.IsZero() {
		return "", ""
	}
	need := time.Duration(r.plan.TrialsPerRound()) * r.live.each()
	if left := time.Until(r.deadline); left < need {
		spent := fmt.Sprintf("of the budget of %v %v are left, and a round takes about %v", r.config.Budget, max(0, left).Round(time.Second), need.Round(time.Second))
		if why != "" {
			spent += "; " + why
		}
		return results.EndedBudget, spent
	}
	return "", ""
}

// endSession records how the sitting ended.
func (r *run) endSession(reason, why string) error {
	now := time.Now().UTC()
	s := &r.session
	s.Ended, s.Reason, s.Why = &now, reason, why
	if r.config.Enough != nil {
		s.Rounds = max(1, r.begun())
		if reason == results.EndedInterrupted || reason == results.EndedFailed {
			s.Rounds = max(s.Rounds, MinUntilRounds)
		}
	}
	return r.dir.AppendSession(s)
}
