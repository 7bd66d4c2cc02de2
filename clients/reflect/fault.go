package reflect

import (
	"fmt"

	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/wire"
)

// The faults: what the server does instead of its reply.
const (
	FaultSilent    = "silent"     // nothing
	FaultReset     = "reset"      // resets the connection
	FaultClose     = "close"      // closes it
	FaultShort     = "short"      // half of the reply, then closes
	FaultWrongBody = "wrong-body" // a body of the right length and other bytes
	FaultGarbage   = "garbage"    // bytes that are no reply
	FaultStranger  = "stranger"   // frame: the reply to a request that nobody sent; http1: a second reply behind it
	FaultBytewise  = "bytewise"   // a good reply, one byte at a time
	FaultChunked   = "chunked"    // http1: a good reply in chunks
	FaultToEOF     = "to-eof"     // http1: a good reply that ends with the connection
	FaultBackwards = "backwards"  // frame: good replies, the last request of those at hand first
)

// Faults is the closed set of them.
var Faults = []string{
	FaultSilent, FaultReset, FaultClose, FaultShort, FaultWrongBody, FaultGarbage, FaultStranger, FaultBytewise, FaultChunked,
	FaultToEOF, FaultBackwards,
}

// misbehave does to a connection what the fault says, with the good reply at hand, which it may change. It returns false
// where the connection has to end, once what is to go out has left.
func (l *loop) misbehave(c *conn, q *request, reply []byte) (live bool) {
	switch s := &l.r.script; s.Fault {
	case FaultSilent:
		return true
	case FaultReset:
		sys.ResetOnClose(c.fd)
		return false
	case FaultClose:
		return false
	case FaultShort:
		c.out = append(c.out, reply[:len(reply)/2]...)
		return false
	case FaultWrongBody:
		reply[len(reply)-1] ^= 0xff
	case FaultGarbage:
		for i := range min(len(reply), 8) {
			reply[i] = 0xff
		}
	case FaultStranger:
		if s.Protocol == "frame" {
			c.out = wire.AppendFrame(c.out, q.id+1<<32, q.body)
			return true
		}
		c.out = append(c.out, reply...)
	case FaultBytewise:
		l.flush(c)
		for i := range reply {
			c.out = append(c.out, reply[i])
			l.flush(c)
		}
		return true
	case FaultChunked:
		c.out = append(c.out, chunked(l.r.bodyOf(q))...)
		return true
	case FaultToEOF:
		c.out = append(append(c.out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"...), l.r.bodyOf(q)...)
		return false
	}
	c.out = append(c.out, reply...)
	return true
}

// chunked is a reply with its body in two chunks.
func chunked(body []byte) []byte {
	b := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, piece := range [][]byte{body[:len(body)/2], body[len(body)/2:]} {
		if len(piece) > 0 {
			b = fmt.Appendf(b, "%x\r\n%s\r\n", len(piece), piece)
		}
	}
	return append(b, "0\r\n\r\n"...)
}

// bodyOf is what the reply to a request carries.
func (r *Reflector) bodyOf(q *request) []byte {
	if len(q.body) > 0 {
		return q.body
	}
	return r.script.Body
}

// appendReply appends the good reply to a request.
func (r *Reflector) appendReply(b []byte, q *request) []byte {
	if r.script.Protocol == "frame" {
		return wire.AppendFrame(b, q.id, q.body)
	}
	return wire.AppendResponse(b, r.script.Status, r.bodyOf(q), q.close)
}
