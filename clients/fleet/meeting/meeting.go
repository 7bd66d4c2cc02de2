// Package meeting lets trials of several coordinators on one host start at one T0.
package meeting

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Meeting is where the trials wait for each other: each one's fleet.Trial.StartAt is the meeting's. It is for one trial of each
// coordinator, and safe for concurrent use.
type Meeting struct {
	parties  int
	multiple int64

	mu      sync.Mutex
	arrived int
	t0      int64
	over    chan struct{} // closed when T0 is fixed, or nobody will come any more
	err     error
}

// New returns a meeting of so many trials. T0 will be a multiple of a time on CLOCK_MONOTONIC; one below a ns is none.
func New(parties int, multiple time.Duration) *Meeting {
	return &Meeting{parties: parties, multiple: max(int64(multiple), 1), over: make(chan struct{})}
}

// StartAt waits until all trials have come and returns their T0: the first multiple that is not before any of their earliest
// times. It fails for all when one of them misses the meeting or its ctx ends.
func (m *Meeting) StartAt(ctx context.Context, earliest int64) (int64, error) {
	m.mu.Lock()
	m.arrived++
	m.t0 = max(m.t0, earliest)
	if m.arrived == m.parties && m.err == nil {
		m.t0 = (m.t0 + m.multiple - 1) / m.multiple * m.multiple
		close(m.over)
	}
	m.mu.Unlock()
	select {
	case <-m.over:
	case <-ctx.Done():
		m.Miss(context.Cause(ctx))
		<-m.over
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.t0, m.err
}

// Miss says that a trial won't come, so that the others need not wait. It does nothing once T0 is fixed, or when why is nil.
func (m *Meeting) Miss(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.over:
		return
	default:
	}
	if why != nil {
		m.err = fmt.Errorf("waiting for the trial to start with: %w", why)
		close(m.over)
	}
}
