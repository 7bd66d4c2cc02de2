package host

import (
	"context"
	"fmt"
	"time"

	host "github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Noise is what others did on some CPUs for a while.
type Noise struct {
	// Steal is the share of the CPUs' time that the hypervisor gave to others.
	Steal float64
	// Foreign is what processes other than the caller's took, in CPUs: 0.05 is a twentieth of one CPU.
	Foreign float64
}

// Listen waits for window and returns what others did on these CPUs meanwhile. It ends early with ctx, and then with its
// error. /proc/stat counts in ticks of 10 ms for each CPU and kind of work, so that over 200 ms one tick is 0.05 CPUs, and a
// load of half of that is seen in half of the windows. Interrupts are left out; the caller's children count as foreign.
func Listen(ctx context.Context, cpus []int, window time.Duration) (Noise, error) {
	before, err := readClock(cpus)
	if err != nil {
		return Noise{}, err
	}
	timer := time.NewTimer(window)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return Noise{}, ctx.Err()
	}
	after, err := readClock(cpus)
	if err != nil {
		return Noise{}, err
	}
	return before.until(after, len(cpus)), nil
}

// clock are times since boot in seconds, summed over some CPUs; own is of the calling process, over all CPUs.
type clock struct {
	at                time.Time
	busy, stolen, own float64
}

func readClock(cpus []int) (clock, error) {
	fs, err := host.NewDefaultFS()
	if err != nil {
		return clock{}, fmt.Errorf("reading the CPUs' times: %w", err)
	}
	stat, err := fs.Stat()
	if err != nil {
		return clock{}, fmt.Errorf("reading the CPUs' times: %w", err)
	}
	c := clock{at: time.Now()}
	for _, cpu := range cpus {
		s, ok := stat.CPU[int64(cpu)]
		if !ok {
			return clock{}, fmt.Errorf("reading the CPUs' times: /proc/stat has no CPU %d", cpu)
		}
		c.busy += s.User + s.Nice + s.System
		c.stolen += s.Steal
	}
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return clock{}, fmt.Errorf("reading the own CPU time: %w", err)
	}
	c.own = time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
	return c, nil
}

func (c clock) until(d clock, cpus int) Noise {
	span := d.at.Sub(c.at).Seconds()
	if span <= 0 || cpus == 0 {
		return Noise{}
	}
	return Noise{
		Steal:   max(0, d.stolen-c.stolen) / span / float64(cpus),
		Foreign: max(0, d.busy-c.busy-(d.own-c.own)) / span,
	}
}

// BootID is the kernel's name for the time since it was booted, or "".
func BootID() string { return firstLine("/proc/sys/kernel/random/boot_id") }
