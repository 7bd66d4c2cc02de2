// Package conn serves the connections of the goroutine model: one goroutine that reads, handles and writes, or one of the other
// ways that Go programs take. Each of them is a Serve, which returns when the connection is over and leaves closing it to its
// caller. Reading ends at a read deadline, as at the end of input.
package conn

import (
	"net"
	"sync"

	"github.com/millrace/millrace/servers/kit"
)

// Serve serves a connection until either side ends it, on the calling goroutine and those it starts.
type Serve func(env *kit.Env, c *net.TCPConn)

var _ = []Serve{Half, Duplex, Spawn, Pooled, OnDemand}

// replies is how many written batches may wait for a duplex connection's writer.
const replies = 8

// next handles what is there and returns replies in out, more where there may be others behind them.
func next(in *kit.Input, session *kit.Session, out []byte) (reply []byte, more, closing bool) {
	n, reply, closing := session.Serve(in.Bytes(), out)
	in.Take(n)
	return reply, n > 0 && !closing, closing
}

// Half reads, handles and writes in one goroutine: half duplex, the way of the net package's documentation.
func Half(env *kit.Env, c *net.TCPConn) {
	if env.Pushes() {
		halfPushed(env, c)
		return
	}
	session, in := env.NewSession(), kit.NewInput()
	var out []byte
	for in.Read(c) == nil {
		for more, closing := true, false; more; {
			out, more, closing = next(&in, &session, out[:0])
			if len(out) > 0 {
				if _, err := c.Write(out); err != nil {
					return
				}
			}
			if closing {
				return
			}
		}
		if cap(out) > kit.KeptBytes {
			out = nil
		}
	}
}

// answer handles what is there and writes the replies. It reports whether the connection goes on.
func answer(c *net.TCPConn, session *kit.Session, in *kit.Input, out *[]byte) bool {
	for more, closing := true, false; more; {
		*out, more, closing = next(in, session, (*out)[:0])
		if len(*out) > 0 {
			if _, err := c.Write(*out); err != nil {
				return false
			}
		}
		if closing {
			return false
		}
	}
	if cap(*out) > kit.KeptBytes {
		*out = nil
	}
	return true
}

// buffers are the replies on their way from reader to writer, of all duplex connections.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Duplex reads and handles in one goroutine, and writes in another, up to replies batches behind. The writer writes what the
// server pushes too.
func Duplex(env *kit.Env, c *net.TCPConn) {
	if env.Pushes() {
		duplexPushed(env, c)
		return
	}
	queue := make(chan *[]byte, replies)
	written := make(chan struct{})
	go func() {
		defer close(written)
		writeAll(c, queue)
	}()
	session := env.NewSession()
	readAll(c, &session, queue)
	<-written
}

// readAll reads and handles, queues the replies and closes the queue at the end.
func readAll(c *net.TCPConn, session *kit.Session, queue chan<- *[]byte) {
	in := kit.NewInput()
	for closing := false; !closing && in.Read(c) == nil; {
		for more := true; more; {
			b := buffers.Get().(*[]byte)
			*b, more, closing = next(&in, session, (*b)[:0])
			if len(*b) > 0 {
				queue <- b
			} else {
				buffers.Put(b)
			}
		}
	}
	close(queue)
}

// writeAll writes what is queued until the queue is closed. After an error it ends the reading too and drops the rest.
func writeAll(c *net.TCPConn, queue <-chan *[]byte) {
	broken := false
	for b := range queue {
		broken = broken || !write(c, *b)
		if cap(*b) <= kit.KeptBytes {
			buffers.Put(b)
		}
	}
}

// write writes, and ends the reading too after an error.
func write(c *net.TCPConn, out []byte) bool {
	if _, err := c.Write(out); err != nil {
		c.CloseRead()
		return false
	}
	return true
}
