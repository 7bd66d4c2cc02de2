package kit

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/scenarios"
	"github.com/millrace/millrace/servers/kit/call"
)

// maxInject is the most that --inject takes: a slow-down of a ms a request is seen without a benchmark.
const maxInject = time.Millisecond

// work is what a request that asks for work costs.
type work struct {
	some  bool // false where nothing is to be done
	sleep time.Duration
	spins int // rounds of spin
	bytes int // to be allocated
	call  *call.Caller
}

func newWork(spec scenarios.WorkSpec) (work, error) {
	switch spec.Kind {
	case "sleep":
		return work{some: true, sleep: spec.Duration}, nil
	case "cpu":
		return work{some: true, spins: rounds(spec.Duration)}, nil
	case "alloc":
		return work{some: true, bytes: spec.Bytes}, nil
	case scenarios.WorkDownstream, scenarios.WorkUpload:
		caller, err := call.New(spec)
		return work{some: true, call: caller}, err
	}
	return work{}, nil
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

// DoWork does the work of --work on the calling goroutine: it blocks it, and its thread too where the work is CPU time. body is
// the request's, for uploads; it is not kept. An error is of the downstream that was called, and counted; the request is to be
// answered with StatusFailed. It is nil where no work was asked for.
func (e *Env) DoWork(body []byte) error {
	w := &e.work
	if w.sleep > 0 {
		time.Sleep(w.sleep)
	}
	if w.spins > 0 {
		burn(w.spins)
	}
	if w.bytes > 0 {
		runtime.KeepAlive(allocate(w.bytes))
	}
	if w.call != nil {
		return w.call.Do(body)
	}
	return nil
}

// appendCalls appends the counts of calls as members of a reading.
func (w *work) appendCalls(b []byte) []byte {
	n := w.call.Counts()
	b = member(b, "downstream_calls", n.Begun)
	b = member(b, "downstream_answered", n.Answered)
	b = member(b, "downstream_failed", n.Failed)
	return member(b, "downstream_waited", n.Waited)
}

// lineBytes is a cache line of amd64 and arm64.
const lineBytes = 64

// allocate returns n bytes of the heap, each cache line written to.
//
//go:noinline
func allocate(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += lineBytes {
		b[i] = 1
	}
	return b
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
