package reactor

import (
	"fmt"
	"math"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/reactor/phases"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

const (
	// readBuffer is more than a loopback socket holds by default.
	readBuffer = 256 << 10
	// maxEvents are taken at a time. Between any two of them, what has become due is sent in an open loop.
	maxEvents = 64
	// sendBatch is how many writes come before the next look at the replies. In a closed loop it is as many as there were
	// events, at least closedBatch.
	sendBatch   = 16
	closedBatch = maxEvents
	// lateAfter a request was due, the client is behind, and lateBatch requests share a write where pipelining lets them.
	lateAfter = 1_000_000
	lateBatch = 16
	// openBatch is how many connections are begun before the next look at requests and replies.
	openBatch = 4
	// maxConnecting is how many connects of a shard may be under way for kept connections, so that no listen backlog
	// overflows. One that a request opens is begun when that is due, however many there are: the load is open.
	maxConnecting = 256
	// scanEvery and scanParts: every scanEvery one part of the table is searched for requests that are too old.
	scanEvery = 10_000_000
	scanParts = 10
	// waitStart is how often a shard looks whether the phases have begun.
	waitStart = 2_000_000
)

// shard is one thread of load with its share of the connections and of the arrivals.
type shard struct {
	e   *Engine
	rec *recording.Recorder
	io  transport
	aim
	*table

	index, stride int // of the connections and arrivals of this shard in all
	requests      int // of a connection; zero: it is kept
	policy        string
	timeout       int64
	work          scenarios.Percent
	seed          uint64

	// Times are CLOCK_MONOTONIC ns.
	now    int64 // as last read
	t0     int64 // earliest time to connect
	start  int64 // of the phases; MaxInt64 until known
	end    int64
	phases []phases.Phase
	phase  int // under way; −1 before the first
	closed bool
	active int // connections of this shard that take requests

	stamps  *stamps
	cursor  *arrivals.Cursor // the queue
	counter *arrivals.Cursor // what is due, taken or not
	due     int64            // by counter
	told    int64            // of due, to the recorder
	taken   int64            // by cursor
	own     int64            // requests outside the schedule

	opener
	upgrades
	trickle            trickle
	renewal            phases.Renewal
	nextTick, nextScan int64
	ticked             int64 // the last tick
	control            int64 // when the next of all these is due
	scanFrom           int
	openNow            int64 // connections
	delay              *procfs.RunDelay
	cpu, cpuRead       int64 // of the thread in ns, deliberate spinning apart; and all of it, when last read
	spun, worked       int64 // ns since then
	woke               int64 // when it last had waited
	lead               int64 // how long before a request is due to wake up
	led                int64 // ns spent spinning for having woken up early
	looked             int64 // since when the poller has not been asked, though not for want of events

	memo    wire.Memo
	flights []flight // of a transport that defers
	defers  bool
	service int64  // ns, the mean of the last requests
	out     []byte // several requests at once
	idShift uint
	ownBase int64 // number of the first request outside the schedule
}

func newShard(e *Engine, i int, t0 int64) (*shard, error) {
	p := e.plan
	sc := &p.Scenario
	s := &shard{
		e: e, rec: e.rec.Shard(i), index: p.Agent + p.Agents*i, stride: p.Agents * e.shards,
		requests: sc.Connections.Requests, policy: sc.Connections.Close, timeout: int64(sc.Timeout), work: sc.Work.Share,
		seed: p.Seed, t0: t0, start: math.MaxInt64, end: math.MaxInt64, phases: phases.Of(sc), phase: -1, stamps: newStamps(),
	}
	schedule := arrivals.NewSchedule(sc, p.Seed).In(p.Slot)
	s.cursor, s.counter = schedule.Cursor(s.index, s.stride), schedule.Cursor(s.index, s.stride)
	depth := sc.Connections.Pipeline
	for 1<<s.idShift < depth {
		s.idShift++
	}
	n := clients.Share(sc.Connections.Count, s.index, s.stride)
	s.table = newTable(n, depth, e.target.Protocol)
	s.aim, s.ownBase = newAim(e.target), schedule.Beyond()
	s.stamps.off = e.target.Endpoints[0].Family == unix.AF_UNIX // a stamped write to one fails
	s.trickle.every = int64(sc.Connections.Trickle)
	s.renewal = phases.NewRenewal(sc.Connections.Renew, s.index, s.stride)
	s.upgrades = newUpgrades()
	s.opener = opener{from: t0, lastSource: make([]int, len(e.target.Endpoints))}
	if sc.Connections.Rate > 0 {
		s.gap = 1e9 / float64(sc.Connections.Rate)
	}
	switch {
	case s.requests > 0:
		for i := range n {
			s.idle.Push(int32(i))
		}
	case !sc.OpensLater():
		s.want(sc.Connections.Count, t0, false)
	}
	var err error
	if s.io, err = newTransport(s); err != nil {
		return nil, fmt.Errorf("opening %s: %w", e.plan.Engine, err)
	}
	return s, nil
}

// run is the life of the shard's thread.
func (s *shard) run() {
	// Never unlocked: a thread with changed timers is not given back.
	runtime.LockOSThread()
	sys.SharpTimers()
	s.delay, _ = procfs.OpenRunDelay() // nil reads Unknown
	defer s.delay.Close()
	s.now = procfs.Monotonic()
	s.control, s.nextScan, s.looked, s.woke = s.now, s.now, s.now, s.now
	for s.round() {
	}
	s.finish()
}

// round does what is due, waits, and handles what came. It returns false at the end.
//
// A closed loop reads all replies first, and then sends all that they made room for: a server that has fallen asleep is woken
// once for all of these. One wake-up each was 18 % of the client's CPU with short connections on the reference host. What a
// connection waits meanwhile is in the response time (see arrive).
func (s *shard) round() bool {
	if s.now >= s.control && !s.step() {
		return false
	}
	if !s.closed {
		s.send(sendBatch)
	}
	n := s.wait()
	for k := range n {
		s.io.handle(k)
		if !s.closed && s.queueDue() {
			s.send(2)
		}
	}
	if s.closed { // before a tick, see arrive
		s.send(max(n, closedBatch))
	}
	return true
}

// step does what is due beside requests and replies, and sets when it must be called again. It returns false at the end.
func (s *shard) step() bool {
	e := s.e
	if s.start == math.MaxInt64 && !s.awaitStart() {
		return false
	}
	if e.stop.Load() || e.giveUp.Load() || s.now >= s.end {
		return false
	}
	if e.opened.Load() == 0 && e.failed.Load() > 0 && s.firstFailed > 0 && s.now-s.firstFailed > int64(nobodyFor) {
		e.giveUp.Store(true)
		return false
	}
	for s.phase+1 < len(s.phases) && s.now >= s.start+s.phases[s.phase+1].From {
		s.enter(s.phase + 1)
	}
	s.openMore()
	s.trickleMore(sendBatch)
	s.renewMore(openBatch)
	if s.now >= s.nextScan {
		s.scan(1 + (s.now-s.nextScan)/scanEvery)
		s.nextScan = s.now + scanEvery
	}
	if s.start != math.MaxInt64 && s.now >= s.nextTick {
		s.tick()
	}
	s.control = min(s.nextScan, s.openAt(), s.trickleAt(), s.renewAt(), s.end)
	if s.start == math.MaxInt64 {
		s.control = min(s.control, s.now+waitStart)
	} else {
		s.control = min(s.control, s.nextTick)
	}
	return true
}

// awaitStart learns when the phases begin. It returns false if that is hopeless.
func (s *shard) awaitStart() bool {
	e := s.e
	at := e.start.Load()
	if at == 0 {
		limit := max(s.t0+int64(e.plan.Scenario.ConnectFor()), e.lastOpen.Load()) + int64(openGrace)
		mine := int64(clients.Share(e.plan.Scenario.Connections.Count, e.plan.Agent, e.plan.Agents))
		opened := e.opened.Load()
		if opened >= mine || s.now > limit && opened > 0 {
			e.ready(s.now + int64(settle))
		}
		return s.now <= limit || opened > 0
	}
	s.start = at
	tl := e.rec.Timeline()
	s.rec.Begin(at - tl.Start())
	s.end = at + tl.End() - tl.Start()
	s.nextTick = s.now
	return true
}

// enter begins a phase.
func (s *shard) enter(i int) {
	p := s.phases[i]
	if i == 0 && s.index == s.e.plan.Agent {
		s.e.cpuFrom.Store(sys.ProcessCPU())
	}
	s.tick()
	s.phase, s.closed = i, p.Closed
	if s.requests == 0 && s.e.plan.Scenario.OpensLater() {
		s.want(p.Open, s.start+p.From, true)
	}
	s.rec.Slots[i] = int64(clients.Share(p.Active, s.index, s.stride) * s.depth)
	s.renewal.From(s.goal, s.start+p.From)
	idle := clients.Share(p.Busy, s.index, s.stride)
	s.idleFrom(idle, clients.Share(p.Open, s.index, s.stride)-idle, s.start+p.From)
	if active := clients.Share(p.Active, s.index, s.stride); active != s.active {
		s.active = active
		s.ready.Clear()
		for i := range s.conns {
			s.conns[i].queued = false
		}
		for i := range s.conns[:active] {
			s.offer(int32(i))
		}
	}
}

// tick tells the recorder how it goes.
func (s *shard) tick() {
	at, _, ok := s.cursor.Peek()
	horizon := int64(math.MaxInt64)
	if ok {
		horizon = s.start + int64(at)
	}
	s.launch()
	s.ticked = s.now
	s.count()
	s.useCPU(sys.ThreadCPU())
	s.rec.Tick(s.now, recording.Status{Horizon: horizon, CPUNs: s.cpu, WaitedNs: max(s.delay.Read(), 0), Open: s.openNow, Due: s.due + s.own - s.told})
	s.told = s.due + s.own
	t0 := s.start - s.e.rec.Timeline().Start()
	s.nextTick = s.now + recording.IntervalNs - (s.now-t0)%recording.IntervalNs
	if s.phase+1 < len(s.phases) {
		s.nextTick = min(s.nextTick, s.start+s.phases[s.phase+1].From)
	}
}

// count brings due up to date.
func (s *shard) count() {
	if s.start <= s.now {
		s.due += s.counter.SkipTo(time.Duration(s.now - s.start))
	}
}

// scan searches the next parts of the table for what has waited too long: as many as are due, if the thread was held up.
func (s *shard) scan(parts int64) {
	n := (len(s.conns) + scanParts - 1) / scanParts * int(min(parts, scanParts))
	for ; n > 0; n-- {
		if s.scanFrom++; s.scanFrom >= len(s.conns) {
			s.scanFrom = 0
		}
		i := int32(s.scanFrom)
		c := &s.conns[i]
		switch {
		case (c.state == connecting || c.state == upgrading) && s.now-c.since > s.timeout:
			s.refused(i, syscall.ETIMEDOUT)
		case c.state == closing && s.now-c.since > s.timeout:
			s.ended(i)
		case c.state >= open && c.flying > 0 && s.now-s.oldest(i) > s.timeout:
			s.lose(i, clients.Timeout)
		}
	}
}

// oldest is when the oldest request in flight on a connection was sent.
func (s *shard) oldest(i int32) int64 {
	slots := s.slotsOf(i)
	if s.replies != nil {
		return slots[s.conns[i].head].begun
	}
	t := int64(math.MaxInt64)
	for j := range slots {
		if b := slots[j].begun; b != 0 {
			t = min(t, b)
		}
	}
	return t
}

// finish gives every request that is left its outcome and closes everything.
func (s *shard) finish() {
	s.launch()
	if s.start != math.MaxInt64 {
		s.tick() // for the last time, since closing connections is no work of the load's
	}
	if s.start != math.MaxInt64 && s.phase >= 0 {
		s.now = min(s.now, s.end)
		if s.index == s.e.plan.Agent {
			s.e.cpuTo.Store(sys.ProcessCPU())
		}
	}
	s.rec.Open = s.openNow
	room := s.drainVacant()
	for i := range s.conns {
		s.endAll(int32(i), clients.InFlight)
		if c := &s.conns[i]; c.fd >= 0 {
			s.io.close(int32(i), true)
			c.fd, c.state = -1, closed
		}
	}
	s.io.free()
	if s.start == math.MaxInt64 {
		return
	}
	for {
		at, _, ok := s.cursor.Peek()
		intended := s.start + int64(at)
		if !ok || intended > s.now {
			break
		}
		work := arrivals.AsksForWork(s.seed, s.cursor.Number(), s.work)
		_, _, _ = s.cursor.Next()
		c := s.rec.Due(intended)
		s.rec.Finish(c, clients.Unsent, intended, 0, 0, s.now)
		s.rec.Side(c, work, clients.Unsent, intended, s.now)
		if room--; room >= 0 {
			s.rec.Behind(c, intended)
		}
	}
	for s.trickleAt() < s.now {
		s.missTrickle(s.trickleAt())
		s.trickle.sent++
	}
	s.rec.Close()
}

// settle closes the recorder of a shard that ended before it knew that the phases had begun.
func (s *shard) settle() {
	if s.start == math.MaxInt64 {
		s.rec.Close()
	}
}
