package vegeta

import (
	"runtime"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/internal/procfs"
)

// pacer turns a plan's phases into vegeta's pacing: request k of the attack is arrival k of this agent's cursor, or the
// k-th start in a closed loop. It belongs to the attack's one pacing goroutine, and to the journal when that has ended.
type pacer struct {
	plan   *clients.Plan
	cursor *arrivals.Cursor
	own    int64            // number of the first request outside the schedule
	closed []recording.Span // not yet over; times after T0
	zero   int64            // start of the first phase
	t0     int64
	steady []bool // measured steady phases, by index
	j      *journal
	over   <-chan struct{}
}

func newPacer(plan *clients.Plan, tl *recording.Timeline, zero int64, j *journal, over <-chan struct{}) *pacer {
	schedule := arrivals.NewSchedule(&plan.Scenario, plan.Seed).In(plan.Slot)
	p := &pacer{
		own: schedule.Beyond(), plan: plan, zero: zero, t0: zero - tl.Start(), j: j, over: over,
		cursor: schedule.Cursor(plan.Agent, plan.Agents),
	}
	for _, s := range tl.Spans[tl.First:] {
		p.steady = append(p.steady, s.Measure && s.Load == "steady")
		if s.Closed {
			p.closed = append(p.closed, s)
		}
	}
	j.expect(p.nextDue())
	return p
}

var _ vegeta.Pacer = (*pacer)(nil)

// Rate is for vegeta's own displays, which nobody looks at here.
func (p *pacer) Rate(time.Duration) float64 { return 0 }

// Pace waits by itself until request k is due and so always returns a wait of zero, because vegeta's own wait could not be
// ended early and is rounded up to a millisecond. It stops when the load is over.
func (p *pacer) Pace(_ time.Duration, k uint64) (time.Duration, bool) {
	now := procfs.Monotonic()
	for len(p.closed) > 0 && p.t0+p.closed[0].To <= now {
		p.closed = p.closed[1:]
	}
	at, phase, ok := p.cursor.Peek()
	due := p.zero + int64(at)
	if len(p.closed) > 0 && (!ok || p.t0+p.closed[0].From < due) {
		s := p.closed[0]
		if !waitUntil(p.t0+s.From, p.over) {
			return 0, true
		}
		n := p.own + int64(k)*int64(p.plan.Agents) + int64(p.plan.Agent)
		p.j.register(k, &request{number: n, closedUntil: p.t0 + s.To}, p.nextDue())
		return 0, false
	}
	if !ok || !waitUntil(due, p.over) {
		return 0, true
	}
	r := &request{number: p.cursor.Number(), intended: due, steady: p.steady[phase]}
	p.cursor.Next()
	p.j.register(k, r, p.nextDue())
	return 0, false
}

// nextDue is when the next arrival is due that was not yet taken; never after the last one.
func (p *pacer) nextDue() int64 {
	if at, _, ok := p.cursor.Peek(); ok {
		return p.zero + int64(at)
	}
	return never
}

// Waits longer than coarse are left to a timer, which can be interrupted, but for the last fine, which it can't hit.
const (
	coarse = int64(3 * time.Millisecond)
	fine   = int64(2 * time.Millisecond)
)

// waitUntil blocks until a CLOCK_MONOTONIC time in ns and reports false if over was closed before. It returns at once for
// a time that is past. The last two milliseconds are slept in the kernel, since Go's timers are rounded up to a whole one.
func waitUntil(at int64, over <-chan struct{}) bool {
	if d := at - procfs.Monotonic(); d > coarse {
		t := time.NewTimer(time.Duration(d - fine))
		defer t.Stop()
		select {
		case <-t.C:
		case <-over:
			return false
		}
	}
	select {
	case <-over:
		return false
	default:
	}
	if procfs.Monotonic() >= at {
		return true
	}
	// Let whoever was just woken run first: the sleep below keeps the processor until the runtime notices.
	runtime.Gosched()
	ts := unix.NsecToTimespec(at)
	for procfs.Monotonic() < at {
		// The slack is the thread's, and which one this is may change; the default adds 50 µs to every wait. Neither
		// call can go wrong in a way that the loop does not mend.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil)
	}
	return true
}
