package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/inbox"
	"github.com/millrace/millrace/servers/workers/dispatch"
)

const (
	// lastRequests is how long requests are still read after the server was asked to stop.
	lastRequests = 100 * time.Millisecond
	// acceptAgain is how long the reader rests after an error that time mends, such as too many open files.
	acceptAgain = 5 * time.Millisecond
	// eventsAtOnce is how many ready connections one wait brings.
	eventsAtOnce = 256
)

// server is the epoll reader: one goroutine that accepts, reads, parses and closes.
type server struct {
	env      *kit.Env
	submit   dispatch.Submit
	addr     net.Addr
	listener *os.File
	accepts  int // the listener's descriptor; asking the file again would make it block
	epoll    int
	inbox    *inbox.Inbox[*conn] // connections that frames are pushed to; nil is a step of stopping
	steps    int
	conns    map[int]*conn
	done     chan struct{}
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env, submit dispatch.Submit) (kit.Server, error) {
	l, err := env.Listener(context.Background())
	if err != nil {
		return nil, err
	}
	defer l.Close() // File is a copy
	s := &server{env: env, submit: submit, addr: l.Addr(), conns: map[int]*conn{}, done: make(chan struct{})}
	if s.listener, err = l.File(); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("making an epoll: %w", err)
	}
	if s.inbox, err = inbox.New[*conn](s.epoll); err != nil {
		return nil, err
	}
	s.accepts = int(s.listener.Fd())
	if err := errors.Join(unix.SetNonblock(s.accepts, true), s.watch(s.accepts, unix.EPOLLIN)); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	go s.loop()
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.addr.String() }

// Stop reads on for lastRequests, then lets the workers finish; when ctx ends, what is left is closed.
func (s *server) Stop(ctx context.Context) error {
	time.Sleep(lastRequests)
	s.inbox.Put(nil)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.inbox.Put(nil)
	<-s.done
	return nil
}

// woken does what is in the inbox.
func (s *server) woken() {
	for _, c := range s.inbox.Take() {
		switch {
		case c == nil:
			s.stop()
		case s.conns[c.fd] == c: // not closed meanwhile
			c.told.Store(false)
			s.serve(c, true)
		}
	}
}

func (s *server) watch(fd int, events uint32) error {
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// loop waits and reads until it was told to stop and every connection is closed. It looks first and lets the workers run
// before it waits, since a thread that waits in the kernel keeps its processor for a while.
func (s *server) loop() {
	defer close(s.done)
	events := make([]unix.EpollEvent, eventsAtOnce)
	timeout := 0
	for s.steps == 0 || len(s.conns) > 0 && s.steps == 1 {
		n, err := unix.EpollWait(s.epoll, events, timeout)
		if timeout = 0; n <= 0 {
			if err == nil || err == unix.EINTR {
				timeout = -1
				runtime.Gosched()
				continue
			}
			s.env.Fail(fmt.Errorf("waiting for input: %w", err))
			return
		}
		for _, e := range events[:n] {
			switch fd := int(e.Fd); fd {
			case s.accepts:
				s.accept()
			case s.inbox.FD():
				s.woken()
			default:
				s.serve(s.conns[fd], false)
			}
		}
	}
}

// serve lets a connection go on. nil is one that this round of events has closed.
func (s *server) serve(c *conn, pushed bool) {
	if c == nil {
		return
	}
	work, over := c.ready(pushed)
	if work {
		s.submit(c.task)
	}
	if over {
		c.session.End()
		delete(s.conns, c.fd)
		unix.Close(c.fd)
		s.env.Closed()
	}
}

func (s *server) accept() {
	for {
		fd, _, err := unix.Accept4(s.accepts, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			time.Sleep(acceptAgain)
			return
		default:
			return
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		c := &conn{fd: fd, server: s, in: kit.NewInput(), session: s.env.NewSession()}
		c.task = c.run
		if s.env.Pushes() {
			c.session.Notify(func() { // submitting may wait, so the reader does it
				if c.told.CompareAndSwap(false, true) {
					s.inbox.Put(c)
				}
			})
		}
		s.conns[fd] = c
		s.env.Opened()
		if s.watch(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET) != nil {
			c.over = true
			s.serve(c, false)
		}
	}
}

// stop takes the first step: no new connections, and those that are there end when they are answered; or the second: all end.
func (s *server) stop() {
	if s.steps++; s.steps == 1 {
		s.listener.Close()
	}
	for _, c := range s.conns {
		c.mu.Lock()
		c.ended, c.over = true, c.over || s.steps > 1
		c.mu.Unlock()
		s.serve(c, false)
	}
}
