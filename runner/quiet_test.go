package runner

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/runner/sut"
)

func TestCheckQuiet(t *testing.T) {
	check := func(usedNs, spanNs int64, state validity.State, value float64, reason string) {
		t.Helper()
		c := checkQuiet(sut.SamplerStats{ForeignCPUNs: usedNs, ForeignSpanNs: spanNs})
		if c.Name != "quiet host" || c.State != state || c.Value != value || c.Limit != 0.05 || !strings.Contains(c.Reason, reason) {
			t.Errorf("%d of %d ns: %+v", usedNs, spanNs, c)
		}
		if sound := c.State == validity.OK; sound != (c.Reason == "") || sound != (c.Remedy == "") {
			t.Errorf("%d of %d ns: reason %q, remedy %q", usedNs, spanNs, c.Reason, c.Remedy)
		}
	}
	check(0, 10e9, validity.OK, 0, "")
	check(5e8, 10e9, validity.OK, 0.05, "") // the limit itself is allowed
	check(6e8, 10e9, validity.Warn, 0.06, "took 6.0 % of a CPU (limit 5 %)")
	check(15e9, 10e9, validity.Warn, 1.5, "took 150.0 % of a CPU") // on several CPUs
	check(0, 0, validity.Unknown, 0, "not measured")
	check(7, 0, validity.Unknown, 0, "not measured")
}

// noises is a host that is as noisy as told, window by window, and quiet afterwards.
func noises(all ...host.Noise) func(context.Context, time.Duration) (host.Noise, error) {
	return func(_ context.Context, window time.Duration) (host.Noise, error) {
		<-time.After(window)
		if len(all) == 0 {
			return host.Noise{}, nil
		}
		n := all[0]
		all = all[1:]
		return n, nil
	}
}

func TestWaitsForAQuietHost(t *testing.T) {
	stolen, busy, border := host.Noise{Steal: 0.025}, host.Noise{Foreign: 0.1}, host.Noise{Steal: 0.02, Foreign: 0.05}
	loud := make([]host.Noise, 1000)
	for i := range loud {
		loud[i] = host.Noise{Foreign: 1.5}
	}
	synctest.Test(t, func(t *testing.T) {
		check := func(what string, q *quiet, windows int, gaveUp bool, left time.Duration) {
			t.Helper()
			w, note := q.wait(t.Context())
			if note != "" || w.Windows != windows || w.GaveUp != gaveUp || w.Seconds != (time.Duration(windows)*quietWindow).Seconds() {
				t.Errorf("%s: %+v %q: want %d windows, gave up %v", what, w, note, windows, gaveUp)
			}
			if q.left != left {
				t.Errorf("%s: the run may still wait %v, want %v", what, q.left, left)
			}
		}
		check("quiet at once", &quiet{noises(), time.Second, time.Minute}, 1, false, time.Minute)
		check("at the limits", &quiet{noises(border), time.Second, time.Minute}, 1, false, time.Minute)
		check("the third is quiet", &quiet{noises(stolen, busy), time.Second, time.Minute}, 3, false, time.Minute-400*time.Millisecond)
		check("never quiet", &quiet{noises(loud...), time.Second, time.Minute}, 5, true, time.Minute-800*time.Millisecond)
		check("the run's budget", &quiet{noises(loud...), time.Second, 500 * time.Millisecond}, 3, true, 100*time.Millisecond)
		check("the run's budget is gone", &quiet{noises(loud...), time.Second, 100 * time.Millisecond}, 1, true, 100*time.Millisecond)
		began := time.Now()
		if w, note := (&quiet{listen: noises(loud...)}).wait(t.Context()); w != nil || note != "" || time.Since(began) > 0 {
			t.Errorf("not to wait at all: %+v %q after %v", w, note, time.Since(began))
		}
		deaf := &quiet{func(context.Context, time.Duration) (host.Noise, error) { return host.Noise{}, errors.New("no /proc") }, time.Second, time.Minute}
		if w, note := deaf.wait(t.Context()); w != nil || !strings.Contains(note, "no /proc") {
			t.Errorf("a host that can't be listened to: %+v %q", w, note)
		}
	})
}
