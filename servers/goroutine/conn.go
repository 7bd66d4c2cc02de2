package main

import (
	"net"
	"sync"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// readBytes is a connection's read buffer, net/http's size. It doubles up to kit.MaxInput while a request needs it.
	readBytes = 4 << 10
	// keptBytes is the largest buffer that a connection keeps when a request is over.
	keptBytes = 64 << 10
	// replies is how many written batches may wait for a duplex connection's writer.
	replies = 8
)

// input is the read buffer of a connection: buf[from:to] is not yet handled.
type input struct {
	buf      []byte
	from, to int
}

func newInput() input { return input{buf: make([]byte, readBytes)} }

// read makes room and reads once. It reports false at the end of the input.
func (in *input) read(c *net.TCPConn) bool {
	switch {
	case in.from == in.to:
		in.from, in.to = 0, 0
		if len(in.buf) > keptBytes {
			in.buf = make([]byte, readBytes)
		}
	case in.to == len(in.buf) && in.from > 0:
		in.to = copy(in.buf, in.buf[in.from:in.to])
		in.from = 0
	}
	if in.to == len(in.buf) {
		grown := make([]byte, min(2*len(in.buf), kit.MaxInput))
		in.to = copy(grown, in.buf)
		in.buf = grown
	}
	n, err := c.Read(in.buf[in.to:])
	in.to += n
	return err == nil
}

// next handles what is there and returns replies in out, more where there may be others behind them.
func (in *input) next(session *kit.Session, out []byte) (reply []byte, more, closing bool) {
	n, reply, closing := session.Serve(in.buf[in.from:in.to], out)
	in.from += n
	return reply, n > 0 && !closing, closing
}

// serve reads, handles and writes until either side ends the connection.
func serve(env *kit.Env, c *net.TCPConn) {
	session, in := env.NewSession(), newInput()
	var out []byte
	for in.read(c) {
		for more, closing := true, false; more; {
			out, more, closing = in.next(&session, out[:0])
			if len(out) > 0 {
				if _, err := c.Write(out); err != nil {
					return
				}
			}
			if closing {
				return
			}
		}
		if cap(out) > keptBytes {
			out = nil
		}
	}
}

// buffers are the replies on their way from reader to writer, of all duplex connections.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// serveDuplex reads and handles in one goroutine, and writes in another, up to replies batches behind.
func serveDuplex(env *kit.Env, c *net.TCPConn) {
	queue := make(chan *[]byte, replies)
	written := make(chan struct{})
	go func() {
		defer close(written)
		writeAll(c, queue)
	}()
	session, in := env.NewSession(), newInput()
	for closing := false; !closing && in.read(c); {
		for more := true; more; {
			b := buffers.Get().(*[]byte)
			*b, more, closing = in.next(&session, (*b)[:0])
			if len(*b) > 0 {
				queue <- b
			} else {
				buffers.Put(b)
			}
		}
	}
	close(queue)
	<-written
}

// writeAll writes what is queued until the queue is closed. After an error it ends the reading too and drops the rest.
func writeAll(c *net.TCPConn, queue <-chan *[]byte) {
	broken := false
	for b := range queue {
		if !broken {
			if _, err := c.Write(*b); err != nil {
				broken = true
				c.CloseRead()
			}
		}
		if cap(*b) <= keptBytes {
			buffers.Put(b)
		}
	}
}
