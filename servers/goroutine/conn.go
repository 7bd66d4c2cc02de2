package main

import (
	"net"
	"sync"

	"github.com/millrace/millrace/servers/kit"
)

// replies is how many written batches may wait for a duplex connection's writer.
const replies = 8

// next handles what is there and returns replies in out, more where there may be others behind them.
func next(in *kit.Input, session *kit.Session, out []byte) (reply []byte, more, closing bool) {
	n, reply, closing := session.Serve(in.Bytes(), out)
	in.Take(n)
	return reply, n > 0 && !closing, closing
}

// serve reads, handles and writes until either side ends the connection.
func serve(env *kit.Env, c *net.TCPConn) {
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
	session, in := env.NewSession(), kit.NewInput()
	for closing := false; !closing && in.Read(c) == nil; {
		for more := true; more; {
			b := buffers.Get().(*[]byte)
			*b, more, closing = next(&in, &session, (*b)[:0])
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
		if cap(*b) <= kit.KeptBytes {
			buffers.Put(b)
		}
	}
}
