package main

import (
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// batchJobs is how many pipelined requests a worker answers in one task.
	batchJobs = 64
	// aheadBytes is how much is read ahead of a worker that is busy with the connection.
	aheadBytes = 64 << 10
)

// conn is a connection. One worker at a time answers its requests, in order; busy says that one does, or that replies wait
// for the socket. The reader alone opens and closes it.
type conn struct {
	fd     int
	server *server
	task   func()      // run, bound once
	batch  kit.Batch   // belongs to the worker while busy
	told   atomic.Bool // the reader will be told of frames that are pushed

	mu      sync.Mutex // guards what follows
	in      kit.Input
	session kit.Session
	out     []byte // out[sent:] is to be written; belongs to the worker while it answers
	sent    int
	busy    bool
	waiting bool // for the socket to take the rest of out
	pushed  bool // frames that the server sends on its own may wait
	ended   bool // nothing follows: end of input, last request, or a broken connection
	over    bool // the reader is to close
}

// Read reads what is there; unix.EAGAIN where that is nothing.
func (c *conn) Read(p []byte) (int, error) {
	n, err := unix.Read(c.fd, p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// ready is called by the reader when the socket has input or takes output, or frames are pushed. It reports whether a worker is
// to run, or the connection is over.
func (c *conn) ready(pushed bool) (work, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushed = c.pushed || pushed
	if c.waiting && c.session.Overflowed() { // the rest of out is not worth waiting for
		c.over = true
		return false, true
	}
	if c.waiting && c.flush() {
		c.waiting, c.busy = false, false
	}
	if !c.busy {
		work = c.next()
	}
	for c.busy && !c.ended && len(c.in.Bytes()) < aheadBytes && c.read() {
	}
	return work, c.over
}

// next takes requests for a worker, and reads on where there are none. It reports whether there are. The caller holds mu, and
// nobody is busy.
func (c *conn) next() bool {
	for !c.over {
		c.in.Take(c.batch.Fill(&c.session, c.in.Bytes(), batchJobs))
		switch {
		case c.batch.Len() > 0:
			c.busy, c.ended = true, c.ended || c.batch.Last()
			return true
		case c.pushed && !c.ended:
			c.busy = true
			return true
		case c.ended:
			c.over = true
			unix.Shutdown(c.fd, unix.SHUT_RDWR) // wakes the reader
		case !c.read():
			return false
		}
	}
	return false
}

// read reads once and reports whether that brought something, be it the end.
func (c *conn) read() bool {
	switch err := c.in.Read(c); err {
	case nil, unix.EINTR:
	case unix.EAGAIN:
		return false
	default:
		c.ended = true
	}
	return true
}

// run is what a worker does: it answers what was taken, writes what is pushed, and answers what has come meanwhile.
func (c *conn) run() {
	defer kit.Crash()
	for again := true; again; {
		c.out = c.batch.Answer(c.server.env, c.out, func(out []byte) []byte {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.out = out
			c.flush()
			return c.out
		})
		c.mu.Lock()
		c.waiting = !c.flush()
		for c.pushed && !c.waiting && !c.ended {
			c.out, c.pushed, c.ended = c.session.Pushed(c.out)
			c.waiting = !c.flush()
		}
		c.busy = c.waiting
		again = !c.waiting && c.next()
		c.mu.Unlock()
	}
}

// flush writes and reports whether nothing is left to be written. The caller holds mu.
func (c *conn) flush() bool {
	for c.sent < len(c.out) {
		n, err := unix.Write(c.fd, c.out[c.sent:])
		switch {
		case err == nil:
			c.sent += n
		case err == unix.EAGAIN:
			return false
		case err != unix.EINTR:
			c.ended, c.sent = true, len(c.out)
		}
	}
	if c.out, c.sent = c.out[:0], 0; cap(c.out) > kit.KeptBytes {
		c.out = nil
	}
	return true
}
