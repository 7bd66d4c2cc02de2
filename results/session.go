package results

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Session is a line of sessions.jsonl: one sitting at a run, from `millrace run` or `millrace run --resume`. It is written
// when the sitting begins and again when it ends; the later line of a sitting counts.
type Session struct {
	Schema  int `json:"schema"`
	Sitting int `json:"sitting"` // from 1
	// Started and Ended bound the sitting. Ended is nil while it is under way, and stays so where it was killed.
	Started time.Time  `json:"started"`
	Ended   *time.Time `json:"ended,omitempty"`
	// Reason is one of the Ended constants, empty as long as Ended is nil. Why says more, in a sentence.
	Reason string `json:"reason,omitempty"`
	Why    string `json:"why,omitempty"`
	// Rounds are planned, those of earlier sittings included. With Until they are what was begun, at least the fewest that
	// a decision needs. Most is the last round that the sitting may begin.
	Rounds int `json:"rounds"`
	Most   int `json:"most"`
	// Until is nil where a number of rounds was asked for.
	Until *Until `json:"until,omitempty"`
	// BudgetSeconds is the time that the sitting may take, 0 for no limit.
	BudgetSeconds float64 `json:"budget_seconds,omitempty"`
	// BootID is the kernel's name for the time since it was booted.
	BootID string `json:"boot_id"`
	// Differs says what of the environment is not as run.json has it, a sentence each.
	Differs []string `json:"differs,omitempty"`
}

// Until asks to go on until intervals are narrow enough.
type Until struct {
	// Width is how far from a ratio its interval may reach on either side: 0.02 for ±2 %.
	Width   float64  `json:"width"`
	Metrics []string `json:"metrics"` // of the table Metrics
}

// Words of Session.Reason.
const (
	EndedDone        = "done"        // all rounds that were asked for
	EndedEnough      = "enough"      // what Until asks for is reached, or can't be
	EndedBudget      = "budget"      // another round would not have fitted into the budget
	EndedInterrupted = "interrupted" // by a signal
	EndedFailed      = "failed"      // by an error that was not a trial's; Why has it
)

// AppendSession adds a line to sessions.jsonl and returns when it is on disk.
func (d *Dir) AppendSession(s *Session) error {
	if err := d.appendRecord(sessionsFile, s); err != nil {
		return fmt.Errorf("keeping sitting %d: %w", s.Sitting, err)
	}
	return nil
}

// readSessions fills r.Sessions and raises r.Run.Rounds. A run of a millrace without sittings has none.
func (r *Result) readSessions() error {
	file := filepath.Join(r.Path, sessionsFile)
	err := eachLine(file, func(no int, line []byte) error {
		var s Session
		err := unmarshal(line, &s)
		if err == nil && (s.Sitting < 1 || s.Sitting > len(r.Sessions)+1 || s.Rounds < 1 || s.Most < s.Rounds || s.Most > MaxRounds) {
			err = fmt.Errorf("sitting %d of rounds %d, at most %d: want the sittings in order, and 1 ≤ rounds ≤ most ≤ %d", s.Sitting, s.Rounds, s.Most, MaxRounds)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, no, err)
		}
		if s.Sitting <= len(r.Sessions) {
			r.Sessions[s.Sitting-1] = s
		} else {
			r.Sessions = append(r.Sessions, s)
		}
		r.Run.Rounds = s.Rounds
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, ErrTorn):
		r.Warnings = append(r.Warnings, fmt.Sprintf("%v: what it says of a sitting is left out", err))
	case err != nil:
		return fmt.Errorf("reading sittings: %w", err)
	}
	return nil
}

// mostRounds is the last round that any sitting might begin.
func (r *Result) mostRounds() int {
	most := r.Run.Rounds
	for _, s := range r.Sessions {
		most = max(most, s.Most)
	}
	return most
}

// warnOfSittings says which rounds were not run in one go: the host may have changed in between.
func (r *Result) warnOfSittings() {
	first := map[int]int{}
	told := map[int]bool{}
	for _, t := range r.Trials {
		s, seen := first[t.Round]
		switch {
		case !seen:
			first[t.Round] = t.Sitting
		case s != t.Sitting && !told[t.Round]:
			told[t.Round] = true
			r.Warnings = append(r.Warnings, fmt.Sprintf("round %d was begun in sitting %d and completed in sitting %d: what changed on the host in between is part of its differences",
				t.Round, max(s, 1), t.Sitting))
		}
	}
}
