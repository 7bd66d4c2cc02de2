package main

import (
	"slices"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/rawepoll/sys"
)

// conn is a connection. It belongs to its loop.
type conn struct {
	fd       int
	session  kit.Session
	rest     []byte      // input that is not answered
	out      []byte      // what the socket has not taken
	told     atomic.Bool // the inbox has it
	again    bool        // rest may begin with a whole request
	readable bool        // the socket may have input
	hungUp   bool        // and its end
	pushed   bool        // frames that the server sends on its own may wait
	last     bool        // nothing follows out
}

// serve goes on with a connection until it must wait for the socket, in either direction, or is closed.
func (l *loop) serve(c *conn) {
	for reads := 0; l.flush(c); {
		switch {
		case c.last:
			l.close(c)
			return
		case c.pushed:
			l.out, c.pushed, c.last = c.session.Pushed(l.out[:0])
			l.send(c)
		case c.again:
			l.answer(c, c.rest)
		case c.readable && reads == readsAtOnce:
			l.inbox.Put(c)
			return
		case c.readable:
			l.read(c)
			reads++
		case l.stopping:
			c.last = true
		default:
			return
		}
	}
}

// read reads once, and answers. A read of fewer bytes than there was room for has emptied the socket, and the next bytes are a new
// event; see epoll(7) on edge-triggered stream sockets.
func (l *loop) read(c *conn) {
	into, begin := l.in, len(c.rest)
	if begin > 0 {
		c.rest = slices.Grow(c.rest, readBytes)
		into = c.rest[begin:cap(c.rest)]
	}
	n, errno := sys.Receive(c.fd, into)
	switch {
	case errno == unix.EAGAIN:
		c.readable = false
		return
	case errno == unix.EINTR:
		return
	case errno != 0 || n == 0:
		c.last = true
		return
	}
	c.readable = n == len(into) || c.hungUp
	if begin > 0 {
		c.rest = c.rest[:begin+n]
		l.answer(c, c.rest)
		return
	}
	l.answer(c, into[:n])
}

// answer handles the whole requests of in, sends the replies and keeps what is left.
func (l *loop) answer(c *conn, in []byte) {
	for c.again = true; c.again && len(c.out) == 0; {
		var n int
		n, l.out, c.last = c.session.Serve(in, l.out[:0])
		in = in[n:]
		c.again = n > 0 && len(in) > 0 && !c.last
		l.send(c)
	}
	if len(in) == 0 {
		c.rest = nil
	} else if len(in) != len(c.rest) {
		c.rest = append(c.rest[:0], in...)
	}
}

// send sends what is in the loop's buffer, and keeps for the connection what its socket does not take.
func (l *loop) send(c *conn) {
	left, errno := transmit(c.fd, l.out)
	c.out = slices.Clone(left)
	if errno != 0 {
		c.last, c.again = true, false
	}
}

// flush sends what was kept and reports whether nothing is left.
func (l *loop) flush(c *conn) bool {
	var errno syscall.Errno
	if c.out, errno = transmit(c.fd, c.out); errno != 0 {
		c.last = true
	}
	return len(c.out) == 0
}

// transmit returns what the socket did not take, nil for nothing. A short write has filled it, and room is a new event.
func transmit(fd int, out []byte) (left []byte, errno syscall.Errno) {
	if len(out) == 0 {
		return nil, 0
	}
	n, errno := sys.Send(fd, out)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return out, 0
	case errno != 0 || n == len(out):
		return nil, errno
	}
	return out[n:], 0
}
