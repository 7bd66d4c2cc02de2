package push

import (
	"fmt"
	"math"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
)

const (
	// readBuffer is more than a loopback socket holds by default.
	readBuffer = 256 << 10
	// maxEvents are taken at a time.
	maxEvents = 64
	// waitStart is how often a shard looks whether the phases have begun.
	waitStart = 2_000_000
)

// shard is one thread with its share of the connections. Times are CLOCK_MONOTONIC ns.
type shard struct {
	e             *Engine
	rec           *recording.Recorder
	poll          *sys.Poller
	buf           []byte
	index, stride int // of the connections of this shard in all
	conns         []conn
	messages      []wire.WSState   // nil but in ws
	partial       map[int32][]byte // by connection: of a reply to an upgrade, or of a ping, what has come
	opener
	paced

	now      int64 // as last read
	t0       int64 // earliest time to connect
	start    int64 // of the phases; MaxInt64 until known
	end      int64
	spans    []recording.Span
	span     int   // under way; −1 before the first
	edge     int64 // when it ends
	first    int64 // T0
	nextTick int64
	control  int64 // when step must be called again
	looked   int64 // since when the poller has not been asked, though not for want of events
	delay    *procfs.RunDelay
	openNow  int64
	// cpu is the thread's CPU time without deliberate spinning; read all of it, when last read; spun ns since then.
	cpu, read, spun int64

	counts                         []tally // by span, behind those before the first
	got                            []int64 // frames received in each interval
	ended                          int64   // expected frames of connections that have ended
	last                           int64   // when the last frame came
	future                         int64
	foreign                        string // a server's address that is not of this host
	subscriptions, away, restarted int64
	lost                           clients.Tally
}

// tally is what came during a span.
type tally struct {
	clients.PushCounts
	delivery *hist.Histogram
	stalls   checks.Stalls
}

// conn is one connection: a little over a hundred bytes without pointers.
type conn struct {
	frame  wire.PushState
	seq    sequence
	before uint64 // the highest number on the connection that it took the place of; zero without
	since  int64  // connecting: begun; open: subscribed
	lagNs  int64  // Σ delivery lags of good frames in measured phases
	lags   int64  // how many
	fd     int32
	gen    uint32 // of the descriptor, so that events of an earlier one are known
	state  state
	early  bool // the last connection was lost
	slow   bool // it takes no more than push.slow_rate
}

type state uint8

const (
	closed state = iota
	connecting
	upgrading // to WebSocket
	open
)

func newShard(e *Engine, i int, t0 int64) (*shard, error) {
	p := e.plan
	tl := e.rec.Timeline()
	s := &shard{
		e: e, rec: e.rec.Shard(i), index: p.Agent + p.Agents*i, stride: p.Agents * e.shards, buf: make([]byte, readBuffer),
		t0: t0, start: math.MaxInt64, end: math.MaxInt64, edge: math.MaxInt64, spans: tl.Spans, span: -1,
		counts: make([]tally, len(tl.Spans)+1), got: make([]int64, (tl.End()+recording.IntervalNs-1)/recording.IntervalNs),
	}
	for j := range s.counts {
		s.counts[j].delivery = hist.New()
	}
	s.conns = make([]conn, clients.Share(p.Scenario.Connections.Count, s.index, s.stride))
	for j := range s.conns {
		s.conns[j].fd = -1
	}
	if e.websocket {
		s.messages, s.partial = make([]wire.WSState, len(s.conns)), map[int32][]byte{}
	}
	s.setPace()
	s.opener = newOpener(len(s.conns), len(e.target.Endpoints), float64(p.Scenario.Connections.Rate))
	s.rec.Wanted = int64(len(s.conns))
	var err error
	if s.poll, err = sys.NewPoller(maxEvents); err != nil {
		return nil, fmt.Errorf("opening epoll: %w", err)
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
	s.control, s.looked = s.now, s.now
	for {
		if s.now >= s.control && !s.step() {
			break
		}
		for _, ev := range s.poll.Events[:s.wait()] {
			s.handle(ev.Fd, uint32(ev.Pad), ev.Events)
		}
	}
	s.finish()
}

// wait is for the next event, or the next thing to do, and returns the number of events.
func (s *shard) wait() int {
	s.now = procfs.Monotonic()
	if held := s.now - s.looked; held >= checks.StallNs {
		s.counts[s.span+1].stalls.Add(held)
	}
	until := max(s.control, s.now)
	from, n := s.now, 0
	if s.e.plan.Spin && s.openNow > 0 { // a frame may come at any time
		for n == 0 && s.now < until {
			n = s.poll.Wait(0)
			s.now = procfs.Monotonic()
		}
		s.spun += s.now - from
	} else {
		n = s.poll.Wait(until - s.now)
		s.now = procfs.Monotonic()
	}
	s.looked = min(s.now, until) // what it overslept counts
	return n
}

// step does what is due beside receiving, and sets when it must be called again. It returns false at the end.
func (s *shard) step() bool {
	e := s.e
	if s.start == math.MaxInt64 && !s.awaitStart() {
		return false
	}
	if e.stop.Load() || e.giveUp.Load() || s.now >= s.end {
		return false
	}
	if e.opened.Load() == 0 && s.firstFailed > 0 && s.now-s.firstFailed > int64(nobodyFor) {
		e.giveUp.Store(true)
		return false
	}
	s.enterDue()
	s.openMore()
	s.scan()
	s.readSlow()
	s.beatMore()
	s.control = min(s.openAt(), s.nextScan, s.end, s.edge, s.slowAt(), s.beatAt())
	if s.start == math.MaxInt64 {
		s.control = min(s.control, s.now+waitStart)
		return true
	}
	if s.now >= s.nextTick {
		s.tick()
	}
	s.control = min(s.control, s.nextTick)
	return true
}

// awaitStart learns when the phases begin. It returns false if that is hopeless.
func (s *shard) awaitStart() bool {
	e := s.e
	at := e.start.Load()
	if at == 0 {
		limit := s.t0 + int64(e.plan.Scenario.ConnectFor()+openGrace)
		mine := int64(clients.Share(e.plan.Scenario.Connections.Count, e.plan.Agent, e.plan.Agents))
		if e.opened.Load() >= mine || s.now > limit && e.opened.Load() > 0 {
			e.begin(s.now + int64(settle))
		}
		return s.now <= limit || e.opened.Load() > 0
	}
	tl := e.rec.Timeline()
	s.start, s.first = at, at-tl.Start()
	s.rec.Begin(s.first)
	s.end, s.edge = s.first+tl.End(), s.first
	s.nextTick = s.now
	return true
}

// enterDue begins the spans whose time has come.
func (s *shard) enterDue() {
	for s.now >= s.edge && s.span+1 < len(s.spans) {
		s.tick()
		s.span++
		s.edge = s.first + s.spans[s.span].To
	}
}

// tick tells the recorder how it goes.
func (s *shard) tick() {
	total := sys.ThreadCPU()
	// Spinning is known by the clock only, and the thread may not have run all of it.
	s.cpu += max(total-s.read-s.spun, 0)
	s.read, s.spun = total, 0
	s.rec.Tick(s.now, recording.Status{Horizon: s.now, CPUNs: s.cpu, WaitedNs: max(s.delay.Read(), 0), Open: s.openNow})
	s.nextTick = s.now + recording.IntervalNs - (s.now-s.first)%recording.IntervalNs
}

func (s *shard) handle(i int32, gen uint32, events uint32) {
	c := &s.conns[i]
	if c.gen != gen || c.fd < 0 {
		return
	}
	if c.state == connecting {
		switch {
		case events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
			errno := sys.SocketError(c.fd)
			if errno == 0 {
				errno = unix.ECONNRESET
			}
			s.refused(i, errno)
			return
		case events&unix.EPOLLOUT == 0:
			return
		}
		s.opened(i)
	}
	const readable = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	if c.slow && c.state == open && c.gen == gen { // it is read when its time comes
		if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			s.now = procfs.Monotonic()
			s.lose(i, streamOutcome(sys.SocketError(c.fd)))
		}
		return
	}
	if events&readable != 0 && c.gen == gen {
		s.receive(i, events&(readable&^unix.EPOLLIN) != 0)
	}
}

// receive reads what has come. A read that doesn't fill the buffer has emptied the socket, unless the event told of its end
// as well.
func (s *shard) receive(i int32, ending bool) {
	c := &s.conns[i]
	gen := c.gen
	for {
		n, errno := sys.Receive(c.fd, s.buf)
		s.now = procfs.Monotonic()
		switch {
		case errno == unix.EAGAIN:
			return
		case errno == unix.EINTR:
			continue
		case errno != 0:
			s.cutOff(i, streamOutcome(errno))
			return
		case n == 0:
			s.cutOff(i, clients.EOF)
			return
		}
		s.arrived(i, s.buf[:n])
		if c.gen != gen || n < len(s.buf) && !ending {
			return
		}
	}
}

// arrived takes bytes that came on a connection at s.now. What comes after the end does not count.
func (s *shard) arrived(i int32, b []byte) {
	if s.now >= s.edge {
		s.enterDue()
	}
	if s.now >= s.end {
		return
	}
	c := &s.conns[i]
	if s.messages != nil {
		s.takeMessages(i, b)
		return
	}
	for len(b) > 0 {
		n, done, err := c.frame.Feed(b, s.e.plan.CheckBody)
		if err != nil || done && !s.take(c, c.frame.Sequence(), c.frame.Clock(), c.frame.Matches()) {
			s.lose(i, clients.ProtocolError)
			return
		}
		b = b[n:]
	}
}

// take counts a frame that is whole. It returns false for a number that can't be one.
func (s *shard) take(c *conn, number uint64, at int64, matches bool) bool {
	if c.slow {
		fresh, ok := c.seq.take(number, &s.slow.PushCounts)
		if fresh && !matches {
			s.slow.Bad++
		}
		return ok
	}
	t := &s.counts[s.span+1]
	began := c.seq.seen == 0
	fresh, ok := c.seq.take(number, &t.PushCounts)
	if !fresh {
		return ok
	}
	if began && c.before != 0 {
		s.rejoined(c)
	}
	s.last = s.now
	if s.span >= 0 {
		s.got[min(int((s.now-s.first)/recording.IntervalNs), len(s.got)-1)]++
	}
	if !matches {
		t.Bad++
		return true
	}
	if at > s.now || at < 0 {
		s.future++
		return true
	}
	t.delivery.Record(s.now - at)
	if s.span >= 0 && s.spans[s.span].Measure {
		c.lagNs += s.now - at
		c.lags++
	}
	return true
}

// rejoined counts what came while a subscriber was away, with the first number of its new connection.
func (s *shard) rejoined(c *conn) {
	if n := c.seq.first; n > c.before {
		s.away += int64(min(n-c.before-1, maxStep))
	} else {
		s.restarted++
	}
	c.before = 0
}

// finish closes everything. What a connection has received stays in the table.
func (s *shard) finish() {
	if s.start != math.MaxInt64 {
		s.tick() // for the last time, since closing connections is no work of the load's
		s.now = min(s.now, s.end)
		s.rec.Open = s.openNow
	}
	for i := range s.conns {
		if c := &s.conns[i]; c.fd >= 0 {
			sys.Close(c.fd)
			c.fd = -1
		}
	}
	s.poll.Close()
	if s.start != math.MaxInt64 {
		s.rec.Close()
	}
}

// settle closes the recorder of a shard that ended before it knew that the phases had begun.
func (s *shard) settle() {
	if s.start == math.MaxInt64 {
		s.rec.Close()
	}
}
