package main

import (
	"crypto/md5"
	"encoding/hex"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/internal/wire"
)

const (
	// heldBytes is what the requests that wait on one connection may hold before it is not read from any more: the largest one.
	heldBytes = wire.MaxFrame
	// requestBytes is what a request counts for beside its body: about a pending.
	requestBytes = 64
)

// conn belongs to the loop. in is input that is not taken yet, out output that the socket did not take.
type conn struct {
	fd        int
	in, out   []byte
	req       wire.Request // of http
	waiting   int          // requests without a reply
	held      int          // bytes that they hold
	continued bool         // 100 Continue has been sent for the present request
	paused    bool         // input was left in the socket or in in
	ended     bool         // nothing follows from the client, or the last reply says so
	over      bool         // closed
}

// pending is a request that waits for its time.
type pending struct {
	due  int64 // CLOCK_MONOTONIC
	late bool  // it was there for longer than lateBy before it was read
	conn *conn
	id   uint64 // of a frame
	body []byte // of a frame's echo; the whole reply of http
}

// full reports whether the connection's requests have to be answered before more are taken: http has one at a time, so that
// replies keep the order.
func (s *server) full(c *conn) bool {
	return c.ended || s.http && c.waiting > 0 || c.held >= heldBytes
}

// read takes what is there. drain says that the end of input may be behind it.
func (s *server) read(c *conn, drain bool) {
	s.take(c, nil)
	for !c.over {
		if c.paused = s.full(c); c.paused {
			return
		}
		n, err := unix.Read(c.fd, s.buf)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return
		case n <= 0:
			c.ended = true
			if err != nil || c.waiting == 0 && len(c.out) == 0 {
				s.close(c, &s.lost)
			}
			return
		default:
			s.take(c, s.buf[:n])
			if n < len(s.buf) && !drain { // the socket is empty
				c.paused = len(c.in) > 0
				return
			}
		}
	}
}

// take takes the whole requests of what came before and data, and keeps the rest.
func (s *server) take(c *conn, data []byte) {
	in := data
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		in = c.in
	}
	for len(in) > 0 && !c.over && !s.full(c) {
		n := s.next(c, in)
		if n == 0 {
			break
		}
		in = in[n:]
	}
	if len(in) == 0 || c.over {
		c.in = nil
	} else if len(in) != len(c.in) {
		c.in = append([]byte(nil), in...)
	}
}

// next takes one request and returns how many bytes it took, zero where it is not whole.
func (s *server) next(c *conn, in []byte) int {
	if !s.http {
		id, body, n, err := wire.ParseFrame(in)
		if err != nil {
			s.close(c, &s.lost)
		} else if n > 0 {
			s.receive(c, pending{conn: c, id: id, body: append([]byte(nil), body...)})
		}
		return n
	}
	n, err := wire.ParseRequest(in, &c.req)
	if err != nil {
		status := 400
		if e, typed := err.(*wire.Error); typed {
			status = e.Status
		}
		c.ended = true
		s.write(c, wire.AppendResponse(nil, status, []byte("malformed request\n"), true))
		return len(in)
	}
	if n == 0 {
		if c.req.Expect && !c.continued {
			c.continued = true
			s.write(c, []byte(wire.Continue))
		}
		return 0
	}
	c.continued = false
	reply := s.answer(in, &c.req)
	s.receive(c, pending{conn: c, body: reply})
	c.ended = c.ended || c.req.Close
	return n
}

// okBody is what GET is answered with.
var okBody = []byte("ok\n")

// answer is the reply to an http request: of S3's PUT an ETag, which is the body's MD5 in hexadecimal.
// Source: Amazon S3 API Reference, PutObject and Object: ETag.
func (s *server) answer(in []byte, r *wire.Request) []byte {
	switch {
	case r.Method == wire.MethodGet:
		return wire.AppendResponse(nil, 200, okBody, r.Close)
	case r.Method == wire.MethodHead:
		return wire.AppendHead(nil, 200, len(okBody), r.Close)
	case string(in[:4]) == "PUT ":
		sum := md5.Sum(r.Body)
		b := append(make([]byte, 0, 128), "HTTP/1.1 200 OK\r\nETag: \""...)
		b = hex.AppendEncode(b, sum[:])
		if r.Close {
			return append(b, "\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"...)
		}
		return append(b, "\"\r\nContent-Length: 0\r\n\r\n"...)
	}
	return wire.AppendResponse(nil, 405, []byte("no such method here: want GET, HEAD or PUT\n"), r.Close)
}

// receive counts a request and lets it wait for its time.
func (s *server) receive(c *conn, p pending) {
	n := uint64(s.received.Add(1)) - 1
	now := s.now()
	p.due, p.late = s.dueAt(n, now), now-s.woken > int64(lateBy)
	c.waiting++
	c.held += requestBytes + len(p.body)
	s.queue.push(p)
}

// reply sends a reply whose time has come.
func (s *server) reply(p *pending) {
	c := p.conn
	if c.over {
		return // counted when it was closed
	}
	c.waiting--
	c.held -= requestBytes + len(p.body)
	if s.http {
		s.scratch = append(s.scratch[:0], p.body...)
	} else {
		s.scratch = wire.AppendFrame(s.scratch[:0], p.id, p.body)
	}
	s.env.Counters.Handled.Add(1) // before anybody can have the reply
	s.write(c, s.scratch)
	if c.paused && !c.over {
		s.read(c, true)
	}
}

// write sends b behind what waits to be sent, and closes a connection that is broken or has had its last reply.
func (s *server) write(c *conn, b []byte) {
	c.out = append(c.out, b...)
	s.flush(c)
}

// flush sends what waits.
func (s *server) flush(c *conn) {
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		if err == unix.EAGAIN {
			return
		}
		if err != nil && err != unix.EINTR {
			s.close(c, &s.lost)
			return
		}
		c.out = c.out[max(n, 0):]
	}
	c.out = c.out[:0]
	if c.ended && c.waiting == 0 {
		s.close(c, &s.lost)
	}
}
