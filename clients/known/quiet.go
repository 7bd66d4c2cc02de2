package known

import (
	"context"
	"os"
	"time"

	"github.com/millrace/millrace/internal/procfs"
)

const (
	// QuietShare of one CPU is the most that others may take of a quiet host, as in a run.
	QuietShare = 0.05
	// StallShare is the most of a trial that its reflector's CPU may stand still: a thousandth of the requests come out late by
	// it, and the answers' quantiles lie further than that from where they change.
	StallShare = 0.001
	// quietLook is how long a host must be quiet to be taken for it.
	quietLook = 250 * time.Millisecond
)

// hostClock is what all programs had taken of the CPUs at one time, and what client and reflectors had.
type hostClock struct{ at, busy, own int64 }

func readHostClock(others ...int) (hostClock, error) {
	c := hostClock{at: procfs.Monotonic()}
	var err error
	if c.busy, err = procfs.BusyTime(); err != nil {
		return c, err
	}
	for _, pid := range append(others, os.Getpid()) {
		ns, err := procfs.CPUTime(pid)
		if err != nil {
			return c, err
		}
		c.own += ns
	}
	return c, nil
}

// watchHost begins to watch what others do while client and server are at work.
func watchHost(s Server) (hostClock, error) { return readHostClock(processes(s)...) }

// others is the share of one CPU that others took since.
func (c hostClock) others(s Server) (float64, error) {
	now, err := readHostClock(processes(s)...)
	if err != nil {
		return 0, err
	}
	return c.until(now), nil
}

func (c hostClock) until(now hostClock) float64 {
	return max(0, float64(now.busy-c.busy-(now.own-c.own))/float64(max(now.at-c.at, 1)))
}

// processes are those of a server that is in another process.
func processes(s Server) []int {
	if pid := s.Process(); pid != os.Getpid() {
		return []int{pid}
	}
	return nil
}

// awaitQuiet waits until nobody but this process is at work, but no longer than so long.
func awaitQuiet(ctx context.Context, within time.Duration) {
	look := time.NewTicker(quietLook)
	defer look.Stop()
	last, err := readHostClock()
	for begun := last.at; err == nil && last.at-begun < int64(within); {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		var now hostClock
		if now, err = readHostClock(); err != nil || last.until(now) <= QuietShare {
			return
		}
		last = now
	}
}
