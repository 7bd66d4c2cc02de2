package sut

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatchMemory: growth of 400 MB a second leaves three seconds, slow growth the least reserve, and a host with room nothing.
func TestWatchMemory(t *testing.T) {
	const mb = 1 << 20
	for name, c := range map[string]struct{ begin, perTick, reserve int64 }{
		"quick": {8000 * mb, 40 * mb, 1200 * mb}, "slow": {700 * mb, mb, memoryReserve}, "none at the start": {100 * mb, 0, memoryReserve},
		"steady": {600 * mb, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			left, begin := c.begin+c.perTick, time.Now()
			err := watchMemory(ctx, "toy", func() (int64, error) {
				left -= c.perTick
				return left, nil
			})
			short := new(memoryError)
			switch {
			case c.reserve == 0 && err != nil:
				t.Errorf("%s: %v", name, err)
			case c.reserve > 0 && (!errors.As(err, &short) || short.reserve != c.reserve || c.perTick > 0 && left < c.reserve-2*c.perTick):
				t.Errorf("%s: %v with %d MB left, want the end below %d MB", name, err, left/mb, c.reserve/mb)
			}
			if want := (c.begin - left) / max(c.perTick, 1); c.perTick > 0 && time.Since(begin) != time.Duration(want)*memoryEvery {
				t.Errorf("%s: read %d times within %v, want every %v", name, want, time.Since(begin), memoryEvery)
			}
		})
	}
	lost := errors.New("gone")
	if err := watchMemory(t.Context(), "toy", func() (int64, error) { return 0, lost }); err != lost {
		t.Errorf("%v, want what could not be read", err)
	}
}

// A guard that trips ends the sampling at once, and Run does not wait for the end of a process that lives.
func TestMemoryErrorEndsTheSampling(t *testing.T) {
	s := NewSampler(together(startToy(t, toyCommand("good"))), discard{}, 0, nil)
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	s.memory.Close() // what can't be read
	if err := s.guarded(t.Context()); err == nil {
		t.Error("no error")
	}
	s.Close()
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
