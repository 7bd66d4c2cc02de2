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
	// Kind is "begin", "progress" or "end" of a trial.
	Kind          string
	Round, Rounds int
	// Trial counts from 1 to Trials over all rounds.
	Trial, Trials int
	Variant       string
	Load          clients.Progress
	Server        results.Reading
	// Left is the time left for the whole run, by its plan and how it went so far.
	Left time.Duration
	// Ended is the record of the trial that ended.
	Ended *results.Trial
}

// live keeps the last state and passes it on. Messages come from the fleet's goroutine, begin and end from the run's.
type live struct {
	mu      sync.Mutex
	emit    func(Event)
	event   Event
	perTry  time.Duration
	started time.Time
}

func newLive(emit func(Event), plan *results.Run) *live {
	if emit == nil {
		emit = func(Event) {}
	}
	return &live{
		emit:   emit,
		perTry: plan.Scenario.Duration() + TrialOverhead,
		event:  Event{Rounds: plan.Rounds, Trials: plan.Rounds * len(plan.Variants)},
	}
}

func (l *live) round() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.event.Round
}

func (l *live) begin(s spec) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.event.Kind, l.event.Round, l.event.Variant = "begin", s.round, s.variant.Name
	l.event.Trial++
	l.event.Load, l.event.Server, l.event.Ended = clients.Progress{}, results.Reading{}, nil
	l.started = time.Now()
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
	l.send()
}

// send passes the event on. The caller holds mu.
func (l *live) send() {
	e := l.event
	left := time.Duration(e.Trials-e.Trial) * l.perTry
	if e.Kind != "end" {
		left += max(0, l.perTry-time.Since(l.started))
	}
	e.Left = left
	l.emit(e)
}
