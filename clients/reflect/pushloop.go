package reflect

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
)

const (
	// maxSubscribe is the most bytes of a subscribe frame.
	maxSubscribe = wire.FrameHead + 16 + wire.MaxChannel
	// futureNs is how far ahead the clock of PushFuture is.
	futureNs = 3_600_000_000_000
)

// pushLoop is a Pusher's thread and its connections. All but stop is used by that thread only.
type pushLoop struct {
	waker
	p        *Pusher
	listener int32
	conns    []subscriber
	spare    []int32 // free indexes of conns
	channels []*channel
	payload  []byte
	frame    []byte
	buf      []byte
	full     bool // no more files: the backlog waits for one to be closed
}

// subscriber is one connection.
type subscriber struct {
	fd      int32 // −1: none
	gen     uint32
	channel *channel // nil: not yet
	place   int      // in the channel's members
	in      []byte   // of the subscribe frame
	out     []byte   // what the socket has not yet taken
}

// channel is a stream of numbered frames.
type channel struct {
	name    string
	members []int32
	number  uint64 // of the last frame made
	due     int64  // when the next one is made, CLOCK_MONOTONIC ns
	first   int64  // when number 1 was due
	draw    *Service
	held    []byte // of PushReordered: what goes out behind the next frame
	// Of PushSlow: made frames that go out no sooner than until; all of them in order.
	until   int64
	delayed []byte
	waiting int64 // frames in it
	stopped bool
}

// newPushLoop takes over the listening socket if there is no error.
func newPushLoop(p *Pusher, listener int32) (*pushLoop, error) {
	l := &pushLoop{p: p, listener: listener, payload: wire.Payload(p.script.Payload), buf: make([]byte, maxSubscribe+1)}
	if err := l.open(listener); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *pushLoop) run() {
	// Never unlocked: a thread with changed timers is not given back.
	runtime.LockOSThread()
	sys.SharpTimers()
	for !l.stopped.Load() {
		n := l.poll.Wait(l.fire())
		for _, ev := range l.poll.Events[:n] {
			l.handle(ev.Fd, uint32(ev.Pad), ev.Events)
		}
	}
	for i := range l.conns {
		l.drop(int32(i), false)
	}
	sys.Close(l.listener)
	sys.Close(l.wake)
	l.poll.Close()
}

// fire makes what is due, at most one frame of each channel, and returns how long it is until the next.
func (l *pushLoop) fire() (wait int64) {
	next := procfs.Monotonic() + idleWait
	for _, c := range l.channels {
		now := procfs.Monotonic()
		if len(c.delayed) > 0 && c.until <= now {
			l.push(c, c.delayed, c.waiting)
			c.delayed, c.waiting = c.delayed[:0], 0
		}
		if !c.stopped && c.due <= now {
			l.make(c)
		}
		if !c.stopped {
			next = min(next, c.due)
		}
		if len(c.delayed) > 0 {
			next = min(next, c.until)
		}
	}
	return next - procfs.Monotonic()
}

// make makes the next frame of a channel, and hands it to everybody.
func (l *pushLoop) make(c *channel) {
	s := &l.p.script
	c.number++
	if c.draw != nil {
		c.due += int64(1e9 / s.Rate * c.draw.Next())
	} else {
		c.due = c.first + int64(float64(c.number)*1e9/s.Rate)
	}
	l.p.Made.Add(1)
	now := procfs.Monotonic()
	faulty := s.Fault != "" && c.number%uint64(s.Every) == 0
	if faulty {
		l.p.Faulty.Add(1)
		if s.Fault == PushFuture {
			now += futureNs
		}
	}
	l.frame = wire.AppendPush(l.frame[:0], c.number, now, l.payload)
	copies := int64(1)
	if len(c.held) > 0 {
		l.frame = append(l.frame, c.held...)
		c.held = c.held[:0]
		copies++
	}
	if faulty {
		copies = l.spoil(c, now, copies)
	}
	if len(c.delayed) > 0 || faulty && s.Fault == PushSlow { // it, or behind it
		c.delayed, c.waiting = append(c.delayed, l.frame...), c.waiting+copies
		return
	}
	l.push(c, l.frame, copies)
	if faulty && (s.Fault == PushClose || s.Fault == PushReset) {
		for len(c.members) > 0 {
			l.drop(c.members[len(c.members)-1], s.Fault == PushReset)
		}
	}
}

// spoil does to the frame that was just made what the fault says, and returns how many frames go out.
func (l *pushLoop) spoil(c *channel, now, copies int64) int64 {
	s := &l.p.script
	switch s.Fault {
	case PushGap:
		l.frame, copies = l.frame[:0], 0
	case PushDuplicate:
		l.frame = append(l.frame, l.frame...)
		copies++
	case PushReordered:
		c.held = append(c.held[:0], l.frame...)
		l.frame, copies = l.frame[:0], 0
	case PushWrongBody:
		if s.Payload > 0 {
			l.frame[len(l.frame)-1] ^= 1
		}
	case PushGarbage:
		for i := range 4 {
			l.frame[i] = 0xff
		}
	case PushSlow:
		if len(c.delayed) == 0 {
			c.until = now + int64(s.Delay)
		}
	case PushStop:
		c.stopped = true
	}
	return copies
}

// push hands so many frames to all members of a channel.
func (l *pushLoop) push(c *channel, frames []byte, copies int64) {
	if len(frames) == 0 {
		return
	}
	// From the last one on: a member that is dropped leaves its place to the last.
	for k := len(c.members) - 1; k >= 0; k-- {
		l.p.Pushed.Add(copies)
		l.send(c.members[k], frames)
	}
}

// send writes to a subscriber, and keeps what its socket doesn't take.
func (l *pushLoop) send(i int32, b []byte) {
	c := &l.conns[i]
	for len(c.out) == 0 && len(b) > 0 {
		n, errno := sys.Send(c.fd, b)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			c.out = append(c.out, b...)
			return
		case errno != 0:
			l.drop(i, false)
			return
		default:
			b = b[n:]
		}
	}
	if c.out = append(c.out, b...); len(c.out) > maxOut {
		l.p.Dropped.Add(1)
		l.drop(i, true)
	}
}

func (l *pushLoop) handle(i int32, gen uint32, events uint32) {
	switch {
	case i == ofListener:
		l.accept()
		return
	case i == ofStop || l.conns[i].fd < 0 || l.conns[i].gen != gen:
		return
	}
	c := &l.conns[i]
	if events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		rest := c.out
		c.out = nil
		l.send(i, rest)
	}
	if c.gen == gen && events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.read(i)
	}
}

// accept takes all connections that are there.
func (l *pushLoop) accept() {
	for {
		fd, _, err := unix.Accept4(int(l.listener), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if l.full = err == unix.EMFILE || err == unix.ENFILE; err != nil {
			return
		}
		// A unix socket has no such delay.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		l.p.Accepted.Add(1)
		if len(l.spare) == 0 {
			l.conns = append(l.conns, subscriber{})
			l.spare = append(l.spare, int32(len(l.conns)-1))
		}
		i := l.spare[len(l.spare)-1]
		l.spare = l.spare[:len(l.spare)-1]
		c := &l.conns[i]
		*c = subscriber{fd: int32(fd), gen: c.gen + 1}
		if errno := l.poll.Add(c.fd, i, c.gen); errno != 0 {
			l.drop(i, false)
		}
	}
}

// drop closes a connection.
func (l *pushLoop) drop(i int32, reset bool) {
	c := &l.conns[i]
	if c.fd < 0 {
		return
	}
	if m := c.channel; m != nil {
		last := len(m.members) - 1
		m.members[c.place] = m.members[last]
		l.conns[m.members[c.place]].place = c.place
		m.members = m.members[:last]
	}
	if reset {
		sys.ResetOnClose(c.fd)
	}
	sys.Close(c.fd)
	*c = subscriber{fd: -1, gen: c.gen + 1}
	l.spare = append(l.spare, i)
	if l.full {
		l.accept()
	}
}

// read takes a subscribe frame, the first thing that a client sends, and heartbeats, frames without a body.
func (l *pushLoop) read(i int32) {
	c := &l.conns[i]
	for {
		n, errno := sys.Receive(c.fd, l.buf)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return
		case errno != 0 || n == 0:
			l.drop(i, false)
			return
		}
		c.in = append(c.in, l.buf[:n]...)
		if !l.takeFrames(i) {
			l.p.Dropped.Add(1)
			l.drop(i, false)
			return
		}
	}
}

// takeFrames takes what has come of a subscriber. It returns false for what a subscriber must not send.
func (l *pushLoop) takeFrames(i int32) bool {
	c := &l.conns[i]
	for {
		_, body, whole, err := wire.ParseFrame(c.in)
		if err != nil || len(c.in) > maxSubscribe && whole == 0 {
			return false
		}
		if whole == 0 {
			return true
		}
		name, ok := wire.ParseSubscribe(body)
		switch {
		case c.channel == nil && ok:
			l.join(i, string(name))
		case c.channel != nil && len(body) == 0:
			l.p.Beats.Add(1)
		default:
			return false
		}
		if c.in = c.in[whole:]; len(c.in) == 0 {
			c.in = nil
		}
	}
}

// join makes a connection a member of a channel, which its first one starts.
func (l *pushLoop) join(i int32, name string) {
	l.p.Subscribed.Add(1)
	c := &l.conns[i]
	for _, m := range l.channels {
		if m.name == name {
			c.channel = m
		}
	}
	if c.channel == nil {
		c.channel = &channel{name: name, first: procfs.Monotonic()}
		c.channel.due = c.channel.first
		if l.p.script.Exponential {
			c.channel.draw = NewService(l.p.script.Seed)
		}
		l.channels = append(l.channels, c.channel)
	}
	c.place = len(c.channel.members)
	c.channel.members = append(c.channel.members, i)
}
