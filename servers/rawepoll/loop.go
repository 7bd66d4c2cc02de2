package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/inbox"
	"github.com/millrace/millrace/servers/rawepoll/sys"
)

const (
	// eventsAtOnce is how many ready connections one wait brings.
	eventsAtOnce = 256
	// acceptsAtOnce is how many connections are accepted before others are served again.
	acceptsAtOnce = 64
	// acceptAgain is how long a loop rests after an error of accept that time mends, such as too many open files.
	acceptAgain = 5 * time.Millisecond
	// readBytes is a loop's read buffer, and what a connection with the beginning of a request reads more at once.
	readBytes = 64 << 10
	// readsAtOnce is how often a connection is read from before others are served.
	readsAtOnce = 16
)

// loop serves its connections on one thread. Its buffers are theirs while they are served: an idle connection has none.
type loop struct {
	env      *kit.Env
	epoll    int
	listener *os.File
	accepts  int                 // its descriptor, -1 once it is closed
	inbox    *inbox.Inbox[*conn] // connections to go on with, perhaps by a push; nil asks to stop
	conns    []*conn             // by descriptor, nil for others
	open     int                 // of conns
	stopping bool
	events   []unix.EpollEvent // of the last wait
	in       []byte            // what was read last
	out      []byte            // the last replies
}

// newLoop makes a loop that accepts from a copy of the listener.
func newLoop(env *kit.Env, from *net.TCPListener) (*loop, error) {
	l := &loop{env: env, events: make([]unix.EpollEvent, eventsAtOnce), in: make([]byte, readBytes)}
	var err error
	if l.listener, err = from.File(); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("making an epoll: %w", err)
	}
	if l.inbox, err = inbox.New[*conn](l.epoll); err != nil {
		return nil, err
	}
	l.accepts = int(l.listener.Fd())
	// Connections inherit TCP_NODELAY. Of the loops that share a listener one is woken; alone EPOLLEXCLUSIVE changes nothing.
	watched := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(l.accepts)}
	err = errors.Join(unix.SetNonblock(l.accepts, true), unix.SetsockoptInt(l.accepts, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.accepts, &watched))
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return l, nil
}

// run serves until it was told to stop and every connection is closed.
func (l *loop) run() {
	runtime.LockOSThread() // for good: the thread ends with the loop
	for !l.stopping || l.open > 0 {
		n, errno := sys.Wait(l.epoll, l.events)
		if errno != 0 && errno != unix.EINTR {
			l.env.Fail(fmt.Errorf("waiting for input: %w", errno))
			return
		}
		for _, e := range l.events[:n] {
			switch fd := int(e.Fd); fd {
			case l.accepts:
				l.accept()
			case l.inbox.FD():
				l.woken()
			default:
				l.event(fd, e.Events)
			}
		}
	}
}

// event serves a connection that something has happened to.
func (l *loop) event(fd int, events uint32) {
	if fd >= len(l.conns) || l.conns[fd] == nil {
		return // closed in this round of events
	}
	c := l.conns[fd]
	c.hungUp = events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	c.readable = c.readable || c.hungUp || events&unix.EPOLLIN != 0
	l.serve(c)
}

func (l *loop) accept() {
	for range acceptsAtOnce {
		fd, errno := sys.Accept(l.accepts)
		switch errno {
		case 0:
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			time.Sleep(acceptAgain)
			return
		default:
			return
		}
		l.env.Opened()
		l.conns = append(l.conns, make([]*conn, max(0, fd+1-len(l.conns)))...)
		c := &conn{fd: fd, session: l.env.NewSession()}
		if l.env.Pushes() {
			c.session.Notify(func() {
				if c.told.CompareAndSwap(false, true) {
					l.inbox.Put(c)
				}
			})
		}
		l.conns[fd] = c
		l.open++
		if sys.Watch(l.epoll, fd) != 0 {
			l.close(c)
		}
	}
}

// woken does what is in the inbox.
func (l *loop) woken() {
	for _, c := range l.inbox.Take() {
		switch {
		case c == nil:
			l.stop()
		case l.conns[c.fd] == c: // not closed meanwhile
			c.told.Store(false)
			c.pushed = true
			if c.session.Overflowed() {
				c.last, c.out = true, nil
			}
			l.serve(c)
		}
	}
}

// stop accepts no more connections, and ends those that are there when what has come is answered.
func (l *loop) stop() {
	l.stopping = true
	unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, l.accepts, nil) // closing is not enough: others have it open
	l.listener.Close()
	l.accepts = -1
	for _, c := range l.conns {
		if c != nil {
			c.readable = true
			l.serve(c)
		}
	}
}

func (l *loop) close(c *conn) {
	c.session.End()
	l.conns[c.fd] = nil
	l.open--
	sys.Close(c.fd)
	l.env.Closed()
}
