package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/scenarios"
	"github.com/millrace/millrace/servers/kit"
)

const (
	eventsAtOnce = 512
	bufferBytes  = 64 << 10
	// acceptAgain is how long accepting rests after an error that time mends, such as too many open files.
	acceptAgain = 5 * time.Millisecond
	// lateBy is from when on a reply counts as late, and the reading of a request.
	lateBy = time.Millisecond
	// repliesAtOnce are sent before input is looked for again, since the latency of a request counts from when it is read.
	repliesAtOnce = 64
	// niceness is the load client's, beside which this program may run on one CPU: both stand for other machines.
	niceness = -20
)

// server is one thread with one epoll and one queue of replies: no goroutine waits for a request, so that 50 000 of them a
// second cost two system calls each and little else.
type server struct {
	env      *kit.Env
	http     bool
	addr     string
	release  func() // of the port
	listener *os.File
	accepts  int // the listener's descriptor, −1 while it refuses
	resume   int64
	epoll    int
	wake     int // an eventfd: the clock was started, or the server is to end
	conns    map[int]*conn
	queue    queue
	script   *script
	buf      []byte
	scratch  []byte // of a reply, used again
	now      func() int64
	woken    int64 // when input was last found: whatever is read then was there

	t0, received, refused, lost, resets, late atomic.Int64
	stopping                                  atomic.Bool
	done                                      chan struct{}
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env, http bool, play *script) (*server, error) {
	addr, release, err := env.Reserve()
	if err != nil {
		return nil, err
	}
	s := &server{
		env: env, http: http, addr: addr, release: release, accepts: -1, script: play,
		conns: map[int]*conn{}, buf: make([]byte, bufferBytes), now: monotonic, done: make(chan struct{}),
	}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("making an epoll: %w", err)
	}
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("making an eventfd: %w", err)
	}
	if err := s.watch(s.wake, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return nil, fmt.Errorf("watching an eventfd: %w", err)
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	go s.loop()
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.addr }

// Stop ends at once: what is in flight is not answered.
func (s *server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	s.wakeUp()
	select {
	case <-s.done:
		s.release()
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping: %w", ctx.Err())
	}
}

func (s *server) wakeUp() { unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (s *server) watch(fd int, events uint32) error {
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// listen opens the listener beside the reserved port, which is ours while it is closed.
func (s *server) listen() error {
	config := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listening at %s: %w", s.addr, err)
	}
	defer l.Close() // File is a copy
	if s.listener, err = l.(*net.TCPListener).File(); err != nil {
		return fmt.Errorf("listening at %s: %w", s.addr, err)
	}
	s.accepts = int(s.listener.Fd())
	if err = unix.SetNonblock(s.accepts, true); err == nil {
		err = s.watch(s.accepts, unix.EPOLLIN|unix.EPOLLET)
	}
	if err != nil {
		return fmt.Errorf("listening at %s: %w", s.addr, err)
	}
	return nil
}

// dueAt is when request n, which is here now, is to be answered.
func (s *server) dueAt(n uint64, now int64) int64 {
	if t0 := s.t0.Load(); t0 > 0 {
		return t0 + s.script.due(n, now-t0)
	}
	return now + int64(s.script.draw(&s.script.base, n))
}

// loop runs on a thread of its own until the server is to stop.
func (s *server) loop() {
	runtime.LockOSThread()
	defer close(s.done)
	// Without the right to it the thread stays as nice as it is.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness)
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	events := make([]unix.EpollEvent, eventsAtOnce)
	for !s.stopping.Load() {
		n, err := wait(s.epoll, events, s.timeout())
		if err != nil {
			s.env.Fail(fmt.Errorf("waiting for input: %w", err))
			break
		}
		s.woken = s.now()
		for _, e := range events[:n] {
			s.handle(&e)
		}
		now := s.now()
		if err := s.refuse(now); err != nil {
			s.env.Fail(err)
			break
		}
		if s.resume > 0 && now >= s.resume {
			s.accept()
		}
		s.answerDue()
	}
	for _, c := range s.conns {
		s.close(c, &s.lost)
	}
	if s.listener != nil {
		s.listener.Close()
	}
}

// answerDue sends the replies that are due, up to repliesAtOnce, and counts those that are late by the time of their own turn.
func (s *server) answerDue() {
	for range repliesAtOnce {
		if len(s.queue) == 0 {
			return
		}
		now := s.now()
		if s.queue[0].due > now {
			return
		}
		p := s.queue.pop()
		if p.late || now-p.due > int64(lateBy) {
			s.late.Add(1)
		}
		s.reply(&p)
	}
}

// timeout is until when nothing is to be done without input, in ns from now; negative is without end.
func (s *server) timeout() int64 {
	next, some := int64(0), false
	sooner := func(t int64) {
		if !some || t < next {
			next, some = t, true
		}
	}
	if len(s.queue) > 0 {
		sooner(s.queue[0].due)
	}
	if s.resume > 0 {
		sooner(s.resume)
	}
	now := monotonic()
	if t0 := s.t0.Load(); t0 > 0 {
		if edge, ok := s.script.edge(now - t0); ok {
			sooner(t0 + edge)
		}
	}
	if !some {
		return -1
	}
	return max(next-now, 0)
}

func (s *server) handle(e *unix.EpollEvent) {
	switch fd := int(e.Fd); fd {
	case s.wake:
	case s.accepts:
		s.accept()
	default:
		c := s.conns[fd]
		if c == nil {
			return // closed in this round
		}
		if e.Events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
			s.flush(c)
		}
		if !c.over {
			s.read(c, e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
		}
	}
}

func (s *server) accept() {
	s.resume = 0
	for s.accepts >= 0 {
		fd, _, err := unix.Accept4(s.accepts, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
		case unix.EINTR, unix.ECONNABORTED:
			continue
		case unix.EAGAIN:
			return
		default:
			s.resume = monotonic() + int64(acceptAgain)
			return
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if s.watch(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET) != nil {
			unix.Close(fd)
			continue
		}
		s.env.Opened()
		s.conns[fd] = &conn{fd: fd}
	}
}

// refuse begins or ends the refusing that the script wants at a time.
func (s *server) refuse(now int64) error {
	refuses := false
	if t0 := s.t0.Load(); t0 > 0 {
		w := s.script.at(now - t0)
		refuses = w != nil && w.kind == scenarios.Refuse
	}
	switch {
	case refuses && s.accepts >= 0:
		s.listener.Close() // the kernel resets what it has accepted for us
		s.listener, s.accepts, s.resume = nil, -1, 0
		for _, c := range s.conns {
			unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			s.resets.Add(1)
			s.close(c, &s.refused)
		}
	case !refuses && s.accepts < 0:
		return s.listen()
	}
	return nil
}

// close closes a connection; the requests that wait on it are counted as told.
func (s *server) close(c *conn, as *atomic.Int64) {
	if c.over {
		return
	}
	c.over = true
	as.Add(int64(c.waiting))
	delete(s.conns, c.fd)
	unix.Close(c.fd)
	c.in, c.out = nil, nil
	s.env.Closed()
}

// begun and begunNs are one moment, by Go's clock and by CLOCK_MONOTONIC.
var begun, begunNs = time.Now(), func() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("reading the clock: " + err.Error())
	}
	return ts.Nano()
}()

// monotonic is CLOCK_MONOTONIC in ns, read without a system call.
func monotonic() int64 { return begunNs + int64(time.Since(begun)) }

// wait waits for up to ns, without end where that is negative. A kernel before 5.11 knows whole milliseconds only.
func wait(epoll int, events []unix.EpollEvent, ns int64) (int, error) {
	var limit *unix.Timespec
	if ns >= 0 {
		ts := unix.NsecToTimespec(ns)
		limit = &ts
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(limit)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	case unix.ENOSYS:
		ms := -1
		if ns >= 0 {
			ms = int((ns + 1e6 - 1) / 1e6)
		}
		count, err := unix.EpollWait(epoll, events, ms)
		if err == unix.EINTR {
			err = nil
		}
		return max(count, 0), err
	}
	return 0, errno
}
