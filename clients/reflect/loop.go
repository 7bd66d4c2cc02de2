package reflect

import (
	"container/heap"
	"io"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
)

const (
	// maxRequest is the most bytes of a request that a reflector takes. Larger ones end the connection.
	maxRequest = 16 << 10
	// maxOut is how many bytes of replies may wait for a client that doesn't read; more end the connection.
	maxOut = 16 << 20
	// loopEvents are taken at a time; replies that are due go out between any two of them.
	loopEvents = 64
	// readSize is more than a loopback socket holds by default.
	readSize = 256 << 10
	// idleWait is how long the loop waits with nothing due.
	idleWait = int64(time.Minute)
	// stall is how long a thread that spins has to be away to be counted: far more than a look at the events, which is all it does
	// between two readings of the clock.
	stall = int64(time.Millisecond)
)

// The indexes of events that are of no connection.
const (
	ofListener = -1 - iota
	ofStop
)

// loop is a reflector's thread and its connections. All but stop is used by that thread only.
type loop struct {
	waker
	r        *Reflector
	listener int32
	station  *station
	conns    []conn
	spare    []int32 // free indexes of conns
	later    departures
	serial   int64
	buf      []byte
	batch    []request
	reply    []byte
}

// conn is one connection. Times are CLOCK_MONOTONIC ns.
type conn struct {
	fd      int32 // −1: none
	gen     uint32
	http    *wire.Request // of the request that is incomplete
	in      []byte        // what has come of it
	out     []byte        // replies that the socket has not yet taken
	count   int           // requests
	leaves  int64         // departure of the last one
	waiting int           // replies in later
	ending  bool          // it closes once out is empty
}

// request is what a reply needs to know of it.
type request struct {
	id          uint64
	body        []byte
	work, close bool
	number      int // on its connection, from 1
}

// departure is a reply that waits for its time.
type departure struct {
	at, serial int64
	conn       int32
	gen        uint32
	request    request
}

// departures is a heap by time, then by the order in which they were made.
type departures []departure

func (d departures) Len() int      { return len(d) }
func (d departures) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *departures) Push(x any)   { *d = append(*d, x.(departure)) }
func (d departures) Less(i, j int) bool {
	return d[i].at < d[j].at || d[i].at == d[j].at && d[i].serial < d[j].serial
}
func (d *departures) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}

var _ heap.Interface = (*departures)(nil)

// newLoop takes over the listening socket if there is no error.
func newLoop(r *Reflector, listener int32) (*loop, error) {
	l := &loop{r: r, listener: listener, station: newStation(&r.script), buf: make([]byte, readSize)}
	if err := l.open(listener); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *loop) run() {
	// Never unlocked: a thread with changed timers is not given back.
	runtime.LockOSThread()
	sys.SharpTimers()
	for !l.stopped.Load() {
		n := l.wait()
		l.fire()
		for _, ev := range l.poll.Events[:n] {
			l.handle(ev.Fd, uint32(ev.Pad), ev.Events)
			l.fire()
		}
	}
	for i := range l.conns {
		l.drop(int32(i))
	}
	sys.Close(l.listener)
	sys.Close(l.wake)
	l.poll.Close()
}

// wait returns the number of events there are, or none when a reply is due.
func (l *loop) wait() int {
	now := procfs.Monotonic()
	due := now + idleWait
	if len(l.later) > 0 {
		due = l.later[0].at
	}
	if !l.r.script.Spin || len(l.conns) == len(l.spare) {
		return l.poll.Wait(due - now)
	}
	for {
		n := l.poll.Wait(0)
		last := now
		if now = procfs.Monotonic(); now-last >= stall {
			l.r.stalled.Add(now - last)
		}
		if n > 0 || now >= due || l.stopped.Load() {
			return n
		}
	}
}

func (l *loop) handle(i int32, gen uint32, events uint32) {
	switch {
	case i == ofListener:
		l.accept()
		return
	case i == ofStop || l.conns[i].fd < 0 || l.conns[i].gen != gen:
		return
	}
	c := &l.conns[i]
	if events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		l.settle(i, l.flush(c))
	}
	if c.gen == gen && events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.read(i)
	}
}

// accept takes all connections that are there.
func (l *loop) accept() {
	for {
		fd, _, err := unix.Accept4(int(l.listener), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			return
		}
		// It can't fail of a TCP socket, and a delayed reply would show in the answers.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		l.r.Accepted.Add(1)
		if len(l.spare) == 0 {
			l.conns = append(l.conns, conn{})
			l.spare = append(l.spare, int32(len(l.conns)-1))
		}
		i := l.spare[len(l.spare)-1]
		l.spare = l.spare[:len(l.spare)-1]
		c := &l.conns[i]
		*c = conn{fd: int32(fd), gen: c.gen + 1, http: new(wire.Request)}
		if errno := l.poll.Add(c.fd, i, c.gen); errno != 0 {
			l.drop(i)
		}
	}
}

// drop closes a connection, and forgets what it was still to get.
func (l *loop) drop(i int32) {
	c := &l.conns[i]
	if c.fd < 0 {
		return
	}
	sys.Close(c.fd)
	*c = conn{fd: -1, gen: c.gen + 1}
	l.spare = append(l.spare, i)
}

// read takes what has arrived on a connection and answers, or plans to answer, every request that is whole.
func (l *loop) read(i int32) {
	c := &l.conns[i]
	gen := c.gen
	for c.gen == gen {
		n, errno := sys.Receive(c.fd, l.buf)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return
		case errno != 0 || n == 0:
			l.drop(i) // the client's end is the connection's
			return
		}
		if err := l.take(i, l.buf[:n], procfs.Monotonic()); err != nil {
			l.drop(i)
			return
		}
	}
}

// take parses bytes that arrived at a time.
func (l *loop) take(i int32, b []byte, now int64) error {
	c := &l.conns[i]
	if c.ending {
		return nil
	}
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	l.batch = l.batch[:0]
	for len(b) > 0 {
		q, n, err := l.parse(c, b)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		c.count++
		q.number = c.count
		l.batch = append(l.batch, q)
		b = b[n:]
	}
	if len(b) > maxRequest {
		return io.ErrShortBuffer
	}
	if l.r.script.Fault == FaultBackwards {
		slices.Reverse(l.batch)
	}
	live := true
	for j := range l.batch {
		if live {
			live = l.receive(i, &l.batch[j], now)
		}
	}
	c.in = append(c.in[:0], b...)
	l.settle(i, live && l.flush(c))
	return nil
}

// parse returns the first request of b and its length; zero if it is incomplete. A frame's body is valid as long as b.
func (l *loop) parse(c *conn, b []byte) (request, int, error) {
	if l.r.script.Protocol == "frame" {
		id, body, n, err := wire.ParseFrame(b)
		return request{id: id, body: body, work: id&wire.FrameWork != 0}, n, err
	}
	n, err := wire.ParseRequest(b, c.http)
	if n == 0 || err != nil {
		return request{}, n, err
	}
	return request{body: slices.Clone(c.http.Body), work: string(c.http.Target) == "/work", close: c.http.Close}, n, nil
}

// receive answers a request or puts it off. It returns false where the connection has to end.
func (l *loop) receive(i int32, q *request, now int64) bool {
	c := &l.conns[i]
	l.r.Handled.Add(1)
	if q.work {
		l.r.Worked.Add(1)
	}
	c.leaves = l.station.depart(now, c.leaves, q.work)
	if c.leaves <= now && c.waiting == 0 {
		return l.answer(c, q)
	}
	c.waiting++
	l.serial++
	d := departure{at: c.leaves, serial: l.serial, conn: i, gen: c.gen, request: *q}
	d.request.body = slices.Clone(q.body)
	heap.Push(&l.later, d)
	return true
}

// fire answers what is due.
func (l *loop) fire() {
	for len(l.later) > 0 && l.later[0].at <= procfs.Monotonic() {
		d := heap.Pop(&l.later).(departure)
		c := &l.conns[d.conn]
		if c.gen != d.gen || c.ending {
			continue
		}
		c.waiting--
		live := l.answer(c, &d.request)
		l.settle(d.conn, l.flush(c) && live)
	}
}

// answer appends the reply to what goes out. It returns false where the connection has to end behind it.
func (l *loop) answer(c *conn, q *request) bool {
	s := &l.r.script
	if s.Fault != "" && q.number%s.Every == 0 {
		l.r.Faulty.Add(1)
		l.reply = l.r.appendReply(l.reply[:0], q)
		return l.misbehave(c, q, l.reply)
	}
	c.out = l.r.appendReply(c.out, q)
	return !q.close && (s.CloseAfter == 0 || q.number < s.CloseAfter)
}

// flush writes what goes out as far as the socket takes it. It returns false where the connection is broken.
func (l *loop) flush(c *conn) bool {
	for len(c.out) > 0 {
		n, errno := sys.Send(c.fd, c.out)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return len(c.out) <= maxOut
		case errno != 0:
			c.out = c.out[:0]
			return false
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
	return true
}

// settle ends a connection that is not to live, now or once what goes out has left.
func (l *loop) settle(i int32, live bool) {
	c := &l.conns[i]
	if !live && !c.ending {
		l.flush(c)
		c.ending = true
	}
	if c.ending && (len(c.out) == 0 || len(c.out) > maxOut) {
		l.drop(i)
	}
}
