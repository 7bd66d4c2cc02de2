package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
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
	submit   func(*conn)
	addr     net.Addr
	listener *os.File
	accepts  int // the listener's descriptor; asking the file again would make it block
	epoll    int
	wake     int // an eventfd: each of its events is a step of stopping
	steps    int
	conns    map[int]*conn
	done     chan struct{}
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env, submit func(*conn)) (kit.Server, error) {
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
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("making an eventfd: %w", err)
	}
	s.accepts = int(s.listener.Fd())
	for _, step := range []error{unix.SetNonblock(s.accepts, true), s.watch(s.accepts, unix.EPOLLIN), s.watch(s.wake, unix.EPOLLIN)} {
		if step != nil {
			return nil, fmt.Errorf("listening: %w", step)
		}
	}
	go s.loop()
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.addr.String() }

// Stop reads on for lastRequests, then lets the workers finish; when ctx ends, what is left is closed.
func (s *server) Stop(ctx context.Context) error {
	time.Sleep(lastRequests)
	one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	unix.Write(s.wake, one)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	unix.Write(s.wake, one)
	<-s.done
	return nil
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
			case s.wake:
				s.stop()
			default:
				s.serve(s.conns[fd])
			}
		}
	}
}

// serve lets a connection go on. nil is one that this round of events has closed.
func (s *server) serve(c *conn) {
	if c == nil {
		return
	}
	work, over := c.ready()
	if work {
		s.submit(c)
	}
	if over {
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
		s.conns[fd] = c
		s.env.Opened()
		if s.watch(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET) != nil {
			c.over = true
			s.serve(c)
		}
	}
}

// stop takes the first step: no new connections, and those that are there end when they are answered; or the second: all end.
func (s *server) stop() {
	var b [8]byte
	unix.Read(s.wake, b[:])
	if s.steps++; s.steps == 1 {
		s.listener.Close()
	}
	for _, c := range s.conns {
		c.mu.Lock()
		c.ended, c.over = true, c.over || s.steps > 1
		c.mu.Unlock()
		s.serve(c)
	}
}
