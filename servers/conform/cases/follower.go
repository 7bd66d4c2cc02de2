package cases

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/servers/conform/probe"
)

// until asks for readings until they are right, at most for the patience.
func until(a *probe.Attempt, right func(map[string]float64) error) error {
	started := time.Now()
	for {
		r, err := a.Server.Readings(a.Ctx)
		if err != nil {
			return err
		}
		if err = right(r); err == nil || time.Since(started) > a.Patience || a.Ctx.Err() != nil {
			return err
		}
		a.Pause(5 * time.Millisecond)
	}
}

// follower reads a subscriber's frames aside.
type follower struct {
	*probe.Client
	frames atomic.Int64
	ended  chan error
}

func follow(a *probe.Attempt, gaps bool) (*follower, error) {
	c, err := subscribe(a, net.Dialer{})
	if err != nil {
		return nil, err
	}
	f := &follower{Client: c, ended: make(chan error, 1)}
	go func() {
		var last uint64
		for {
			p, err := next(a, c, last, gaps)
			if err != nil {
				f.ended <- err
				return
			}
			last = p.Number
			f.frames.Add(1)
		}
	}()
	return f, nil
}

// leave hangs up and returns what went wrong before.
func (f *follower) leave() error {
	select {
	case err := <-f.ended:
		return fmt.Errorf("a subscriber that reads: %w", err)
	default:
	}
	f.HangUp()
	<-f.ended
	return nil
}

// goesOn wants frames to reach a subscriber that reads.
func (f *follower) goesOn(a *probe.Attempt) error {
	begin := f.frames.Load()
	for started := time.Now(); f.frames.Load() < begin+20; a.Pause(5 * time.Millisecond) {
		if time.Since(started) > a.Patience || a.Ctx.Err() != nil {
			return fmt.Errorf("a subscriber that reads has got %d frames in %v", f.frames.Load()-begin, time.Since(started).Round(time.Millisecond))
		}
	}
	return nil
}
