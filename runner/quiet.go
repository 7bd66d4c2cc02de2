package runner

import (
	"context"
	"slices"
	"time"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/host"
)

// quietWindow is how long the host is listened to at a time: what a trial on a quiet host waits. Shorter ones would be
// decided by a single tick of /proc/stat.
const quietWindow = 200 * time.Millisecond

// QuietWait is how long a trial waits for a quiet host at most, unless a run is told otherwise.
const QuietWait = 10 * time.Second

// quietShare of a run's estimate may be spent with waiting for a quiet host, but no less than one trial's QuietWait.
const quietShare = 0.1

// quiet waits for a quiet host before each trial of a run. The limits are those by which a trial is judged afterwards.
type quiet struct {
	listen func(ctx context.Context, window time.Duration) (host.Noise, error)
	each   time.Duration // at most for a trial; 0 does not even look
	left   time.Duration // of the run
}

// newQuiet listens to the CPUs of the run. Each is Config.QuietWait.
func newQuiet(plan *results.Run, each time.Duration) *quiet {
	cpus := slices.Concat(plan.Split.Server, plan.Split.Client)
	slices.Sort(cpus)
	cpus = slices.Compact(cpus)
	return &quiet{
		listen: func(ctx context.Context, window time.Duration) (host.Noise, error) {
			return host.Listen(ctx, cpus, window)
		},
		each: each, left: max(each, time.Duration(quietShare*float64(Estimate(plan)))),
	}
}

// wait returns when a window was quiet, or no time is left for another; that the run may spend shrinks by all windows but
// the first. Where the host can't be listened to it goes on at once, with a note; it returns nil where nobody should look.
func (q *quiet) wait(ctx context.Context) (w *results.Wait, note string) {
	if q.each <= 0 {
		return nil, ""
	}
	w = &results.Wait{}
	for began := time.Now(); ; {
		before := time.Since(began)
		n, err := q.listen(ctx, quietWindow)
		if err != nil {
			return nil, "whether the host was quiet before the trial is not known: " + err.Error()
		}
		waited := time.Since(began)
		w.Windows++
		w.Seconds, w.Steal, w.Foreign = waited.Seconds(), n.Steal, n.Foreign
		if w.Windows > 1 {
			q.left -= waited - before
		}
		if n.Steal <= maxStealShare && n.Foreign <= maxForeignShare {
			return w, ""
		}
		if waited+quietWindow > q.each || q.left < quietWindow {
			w.GaveUp = true
			return w, ""
		}
	}
}
