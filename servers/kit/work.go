package kit

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/scenarios"
)

// maxInject is the most that --inject takes: a slow-down of a ms a request is seen without a benchmark.
const maxInject = time.Millisecond

// work is what a request that asks for work costs.
type work struct {
	sleep time.Duration
	spins int // rounds of spin
}

func newWork(spec scenarios.WorkSpec) work {
	switch spec.Kind {
	case "sleep":
		return work{sleep: spec.Duration}
	case "cpu":
		return work{spins: rounds(spec.Duration)}
	}
	return work{}
}

// rounds is how many rounds of spin take so much CPU time, at least one; none for zero.
func rounds(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return max(1, int(float64(d)/spinNs()+0.5))
}

// parseInject reads --inject.
func parseInject(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxInject {
		return 0, fmt.Errorf("--inject %q: want CPU time a request from 0s to %v, such as 1.2us", text, maxInject)
	}
	return d, nil
}

// DoWork does the work of --work on the calling goroutine: it blocks it, and its thread too where the work is CPU time.
func (e *Env) DoWork() {
	if e.work.sleep > 0 {
		time.Sleep(e.work.sleep)
	}
	if e.work.spins > 0 {
		burn(e.work.spins)
	}
}

// burn spins and uses the result, which is never zero, so that no compiler may leave the spinning out.
func burn(n int) {
	if spin(n) == 0 {
		panic("xorshift reached zero")
	}
}

// spin does n rounds of xorshift, each waiting for the one before: no memory, no vector unit, no branch to mispredict.
//
//go:noinline
func spin(n int) uint64 {
	x := uint64(n) | 1
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// Calibration takes the fastest of several runs, so that what else happens on the host while the server starts does not
// make the work shorter for its whole life.
const (
	calibrationRuns  = 8
	calibrationSpins = 1 << 20 // 2 ms at 2 ns a round
)

// spinNs measures the CPU time of one round in ns, on a thread of its own. Work in rounds means CPU time of the spinning
// thread, within 10 % as long as the core's clock stays what it was at the start; preemption and a move to another
// thread don't change it.
func spinNs() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := time.Duration(1 << 62)
	for range calibrationRuns {
		from := threadCPU()
		burn(calibrationSpins)
		best = min(best, threadCPU()-from)
	}
	return max(float64(best)/calibrationSpins, 0.01)
}

// threadCPU is the CPU time of the calling thread.
func threadCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic("reading the thread's CPU clock: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
