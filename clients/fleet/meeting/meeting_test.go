package meeting

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestMeetingFixesOneT0(t *testing.T) {
	m := New(3, 200*time.Millisecond)
	var wg sync.WaitGroup
	got := make([]int64, 3)
	for i, earliest := range []int64{1_000_000_001, 5, 1_150_000_000} {
		wg.Go(func() {
			var err error
			if got[i], err = m.StartAt(t.Context(), earliest); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, t0 := range got {
		if t0 != 1_200_000_000 {
			t.Errorf("T0 %v, want 1.2 s each", got)
		}
	}
	m.Miss(errors.New("late")) // changes nothing
	if m.err != nil {
		t.Error(m.err)
	}
}

func TestMeetingEndsWhenOneMissesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(2, 0)
		go func() {
			synctest.Wait()
			m.Miss(nil)
			m.Miss(errors.New("the server did not start"))
		}()
		if _, err := m.StartAt(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "the server did not start") {
			t.Errorf("%v, want the reason", err)
		}
		m = New(2, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.StartAt(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the end of ctx", err)
		}
		if _, err := m.StartAt(t.Context(), 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want that the other one has given up", err)
		}
	})
}
