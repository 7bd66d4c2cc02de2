package runner

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/results"
)

// Event tells how a run goes: the trial under way, and the last that was heard of its load and its server.
type Event struct {
	// Kind is "wait" for a quiet host before a trial, its "begin", "progress" and "end", or "look" at whether the intervals
	// are narrow enough, between two rounds.
	Kind string
	// Rounds are planned as far as is known: with Config.Until the number grows.
	Round, Rounds int
	// Trial counts from 1 to Trials over all rounds, those of earlier sittings included.
	Trial, Trials int
	Variant       string
	Step          string // of the sweep; empty in a run without one
	Load          clients.Progress
	Server        results.Reading
	// Left is the time left for all that is planned, by its plan and by how long the trials of this sitting took, waiting
	// for a quiet host included. AtMost says that the run may end earlier: Left is then what its budget leaves.
	Left   time.Duration
	AtMost bool
	// Ended is the record of the trial that ended.
	Ended *results.Trial
	// Why is what a look has found, in a sentence.
	Why string
}

// live keeps the last state and passes it on. Messages come from the fleet's goroutine, the rest from the run's.
type live struct {
	mu    sync.Mutex
	emit  func(Event)
	event Event
	// perTrial is the mean of the trials of this sitting so far, the plan counting as one more. Seen is how many there were.
	perTrial time.Duration
	seen     int
	started  time.Time // of the trial under way, its waiting included
	left     int       // trials that are planned and not begun
	deadline time.Time // of the budget; zero for none
	open     bool      // whether rounds are added until intervals are narrow enough
}

// newLive tells of a run of which so many trials are left. The zero deadline is none.
func newLive(emit func(Event), plan *results.Run, left int, deadline time.Time, open bool) *live {
	if emit == nil {
		emit = func(Event) {}
	}
	trials := plan.Rounds * plan.TrialsPerRound()
	return &live{
		emit: emit, perTrial: PerTrial(plan), left: left, deadline: deadline, open: open,
		event: Event{Rounds: plan.Rounds, Trials: trials, Trial: trials - left},
	}
}

// wait tells that the host is listened to before a trial.
func (l *live) wait(s spec) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.event.Kind, l.event.Round, l.event.Variant, l.event.Step = "wait", s.round, s.variant.Name, s.step
	l.event.Trial++
	l.left--
	l.event.Load, l.event.Server, l.event.Ended = clients.Progress{}, results.Reading{}, nil
	l.started = time.Now()
	l.send()
}

func (l *live) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.event.Kind = "begin"
	l.send()
}

func (l *live) message(role string, data json.RawMessage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch role {
	case "load":
		_ = json.Unmarshal(data, &l.event.Load) // a garbled progress message is only a line that is not shown
	case "sut":
		_ = json.Unmarshal(data, &l.event.Server)
	}
	l.event.Kind = "progress"
	l.send()
}

func (l *live) end(t *results.Trial) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.event.Kind, l.event.Ended = "end", t
	l.seen++
	l.perTrial += (time.Since(l.started) - l.perTrial) / time.Duration(l.seen+1)
	l.send()
}

// grow adds a round of so many trials to what is planned.
func (l *live) grow(round, trials int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if round <= l.event.Rounds {
		return
	}
	l.event.Rounds = round
	l.event.Trials += trials
	l.left += trials
}

// look tells what was found of the intervals.
func (l *live) look(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.event.Kind, l.event.Why = "look", why
	l.send()
}

// each is how long a trial takes, by what was seen so far.
func (l *live) each() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.perTrial
}

// send passes the event on. The caller holds mu.
func (l *live) send() {
	e := l.event
	e.Left = time.Duration(l.left) * l.perTrial
	if e.Kind == "wait" || e.Kind == "begin" || e.Kind == "progress" {
		e.Left += max(0, l.perTrial-time.Since(l.started))
	}
	if !l.deadline.IsZero() {
		if budget := max(0, time.Until(l.deadline)); l.open || budget < e.Left {
			e.Left, e.AtMost = budget, true
		}
	}
	l.emit(e)
}
