package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
)

func TestMeetingFixesOneT0(t *testing.T) {
	m := NewMeeting(3, 200*time.Millisecond)
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
		m := NewMeeting(2, 0)
		go func() {
			synctest.Wait()
			m.Miss(nil)
			m.Miss(errors.New("the server did not start"))
		}()
		if _, err := m.StartAt(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "the server did not start") {
			t.Errorf("%v, want the reason", err)
		}
		m = NewMeeting(2, 0)
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

// Two coordinators with agents of their own start at one T0; without the partner a trial ends with what became of it.
func TestTwoCoordinatorsStartTogether(t *testing.T) {
	const multiple = 200 * time.Millisecond
	m := NewMeeting(2, multiple)
	var outs [2]*Outcome
	var wg sync.WaitGroup
	for i := range outs {
		c := fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad)
		wg.Go(func() {
			var err error
			if outs[i], err = c.Conduct(t.Context(), Trial{ID: "t", SUT: plan(fakePlan{}), Load: always(fakePlan{RunFor: time.Millisecond}), StartAt: m.StartAt}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if outs[0].T0 != outs[1].T0 || outs[0].T0 == 0 || outs[0].T0%int64(multiple) != 0 {
		t.Errorf("T0 %d and %d, want one multiple of %v", outs[0].T0, outs[1].T0, multiple)
	}
	c := fleetOf(t, Options{}, "agent", protocol.RoleLoad)
	alone := NewMeeting(2, multiple)
	alone.Miss(errors.New("no partner"))
	out, err := c.Conduct(t.Context(), Trial{ID: "t", Load: func(json.RawMessage, int, int) (json.RawMessage, error) { return plan(fakePlan{}), nil }, StartAt: alone.StartAt})
	if err == nil || !strings.Contains(err.Error(), "no partner") || out.T0 != 0 || out.Load[0] != nil {
		t.Errorf("T0 %d, load %s, %v: want no start, since the partner is missing", out.T0, out.Load[0], err)
	}
}
