package host

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// noises is a host that is as noisy as told, window by window, and quiet afterwards.
func noises(all ...Noise) func(context.Context, time.Duration) (Noise, error) {
	return func(_ context.Context, window time.Duration) (Noise, error) {
		<-time.After(window)
		if len(all) == 0 {
			return Noise{}, nil
		}
		n := all[0]
		all = all[1:]
		return n, nil
	}
}

func TestWaitsForAQuietHost(t *testing.T) {
	stolen, busy, border := Noise{Steal: 0.025}, Noise{Foreign: 0.1}, Noise{Steal: 0.02, Foreign: 0.05}
	limits := Noise{Steal: 0.02, Foreign: 0.05}
	loud := make([]Noise, 1000)
	for i := range loud {
		loud[i] = Noise{Foreign: 1.5}
	}
	synctest.Test(t, func(t *testing.T) {
		check := func(what string, q *Quiet, windows int, gaveUp bool, left time.Duration) {
			t.Helper()
			w, note := q.Wait(t.Context())
			if note != "" || w.Windows != windows || w.GaveUp != gaveUp || w.Seconds != (time.Duration(windows)*QuietWindow).Seconds() {
				t.Errorf("%s: %+v %q: want %d windows, gave up %v", what, w, note, windows, gaveUp)
			}
			if q.Left != left {
				t.Errorf("%s: the run may still wait %v, want %v", what, q.Left, left)
			}
		}
		check("quiet at once", &Quiet{noises(), limits, time.Second, time.Minute}, 1, false, time.Minute)
		check("at the limits", &Quiet{noises(border), limits, time.Second, time.Minute}, 1, false, time.Minute)
		check("the third is quiet", &Quiet{noises(stolen, busy), limits, time.Second, time.Minute}, 3, false, time.Minute-400*time.Millisecond)
		check("never quiet", &Quiet{noises(loud...), limits, time.Second, time.Minute}, 5, true, time.Minute-800*time.Millisecond)
		check("the run's budget", &Quiet{noises(loud...), limits, time.Second, 500 * time.Millisecond}, 3, true, 100*time.Millisecond)
		check("the run's budget is gone", &Quiet{noises(loud...), limits, time.Second, 100 * time.Millisecond}, 1, true, 100*time.Millisecond)
		began := time.Now()
		if w, note := (&Quiet{Listen: noises(loud...)}).Wait(t.Context()); w != nil || note != "" || time.Since(began) > 0 {
			t.Errorf("not to wait at all: %+v %q after %v", w, note, time.Since(began))
		}
		deaf := &Quiet{func(context.Context, time.Duration) (Noise, error) { return Noise{}, errors.New("no /proc") }, limits, time.Second, time.Minute}
		if w, note := deaf.Wait(t.Context()); w != nil || !strings.Contains(note, "no /proc") {
			t.Errorf("a host that can't be listened to: %+v %q", w, note)
		}
	})
}
