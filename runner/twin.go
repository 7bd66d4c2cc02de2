package runner

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/results"
)

// Twin asks to compare the only server of a run with itself: NAME:A and NAME:B, both fresh processes of the same program.
type Twin struct {
	// Inject is the CPU time by which each request of B costs more, up to MaxInject; zero for none.
	Inject time.Duration
	// Share of its own that this was meant to be.
	Share float64
}

// MaxInject is the most that server programs inject (servers/kit).
const MaxInject = time.Millisecond

// apply makes a run of one variant one of two.
func (w *Twin) apply(run *results.Run) error {
	if len(run.Steps) > 0 {
		return &UsageError{fmt.Errorf("scenario %s is a sweep: a server is compared with itself at one step: take another scenario, or set sweep=[]", run.Scenario.Name)}
	}
	if len(run.Variants) != 1 {
		return &UsageError{fmt.Errorf("%d servers: want one, which is compared with itself", len(run.Variants))}
	}
	if w.Inject < 0 || w.Inject > MaxInject {
		return &UsageError{fmt.Errorf("injecting %v a request: want 0s to %v", w.Inject, MaxInject)}
	}
	a, b := run.Variants[0], run.Variants[0]
	a.Name, b.Name = a.Name+":A", b.Name+":B"
	b.Args = append([]string(nil), b.Args...)
	if w.Inject > 0 {
		b.Args = append(b.Args, "--inject", w.Inject.String())
	}
	run.Variants = []results.Variant{a, b}
	run.Purpose, run.Injected = results.PurposeAA, w.Share
	return nil
}
