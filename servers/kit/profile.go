package kit

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"time"
)

// profileKinds are the kinds in words, for messages.
const profileKinds = "cpu, trace, block, mutex (over a time), heap, allocs, goroutine (at once)"

const (
	// maxProfileSeconds bounds a profile over a time.
	maxProfileSeconds = 600
	// blockRateNs and mutexFraction sample one blocking of 10 µs and one contention in 100: little enough to be on while load
	// is measured.
	blockRateNs   = 10_000
	mutexFraction = 100
)

// profile writes a profile to a new file at path, and returns when it is whole.
func profile(kind string, seconds float64, path string) (err error) {
	over := kind == "cpu" || kind == "trace" || kind == "block" || kind == "mutex"
	switch {
	case !over && kind != "heap" && kind != "allocs" && kind != "goroutine":
		return fmt.Errorf("profiling: unknown kind %q: want one of %s", kind, profileKinds)
	case over && !(seconds > 0 && seconds <= maxProfileSeconds):
		return fmt.Errorf("profiling: %g seconds: want more than 0 and up to %d", seconds, maxProfileSeconds)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	defer func() {
		if cause := f.Close(); err == nil {
			err = cause
		}
	}()
	wait := func() { time.Sleep(time.Duration(seconds * float64(time.Second))) }
	switch kind {
	case "cpu":
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("profiling: %w", err)
		}
		wait()
		pprof.StopCPUProfile()
		return nil
	case "trace":
		if err := trace.Start(f); err != nil {
			return fmt.Errorf("profiling: %w", err)
		}
		wait()
		trace.Stop()
		return nil
	case "block":
		runtime.SetBlockProfileRate(blockRateNs)
		wait()
		runtime.SetBlockProfileRate(0)
	case "mutex":
		before := runtime.SetMutexProfileFraction(mutexFraction)
		wait()
		runtime.SetMutexProfileFraction(before)
	}
	if err := pprof.Lookup(kind).WriteTo(f, 0); err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	return nil
}
