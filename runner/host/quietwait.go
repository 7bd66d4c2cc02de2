package host

import (
	"context"
	"time"

	"github.com/millrace/millrace/results"
)

// QuietWindow is how long the host is listened to at a time: what a trial on a quiet host waits. Shorter ones would be
// decided by a single tick of /proc/stat.
const QuietWindow = 200 * time.Millisecond

// QuietWait is how long a trial waits for a quiet host at most, unless a run is told otherwise.
const QuietWait = 10 * time.Second

// Quiet waits for a quiet host before each trial of a run.
type Quiet struct {
	// Listen waits for window and says what others did meanwhile, as the function Listen does.
	Listen func(ctx context.Context, window time.Duration) (Noise, error)
	// Limits are the most that a quiet host may show.
	Limits Noise
	// Each is how long one trial waits at most; 0 does not even look. Left is what all of them together may still wait.
	Each, Left time.Duration
}

// Wait returns when a window was quiet, or no time is left for another; that the run may spend shrinks by all windows but
// the first. Where the host can't be listened to it goes on at once, with a note; it returns nil where nobody should look.
func (q *Quiet) Wait(ctx context.Context) (w *results.Wait, note string) {
	if q.Each <= 0 {
		return nil, ""
	}
	w = &results.Wait{}
	for began := time.Now(); ; {
		before := time.Since(began)
		n, err := q.Listen(ctx, QuietWindow)
		if err != nil {
			return nil, "whether the host was quiet before the trial is not known: " + err.Error()
		}
		waited := time.Since(began)
		w.Windows++
		w.Seconds, w.Steal, w.Foreign = waited.Seconds(), n.Steal, n.Foreign
		if w.Windows > 1 {
			q.Left -= waited - before
		}
		if n.Steal <= q.Limits.Steal && n.Foreign <= q.Limits.Foreign {
			return w, ""
		}
		if waited+QuietWindow > q.Each || q.Left < QuietWindow {
			w.GaveUp = true
			return w, ""
		}
	}
}
