package raw

import (
	"bytes"

	"github.com/millrace/millrace/internal/wire"
)

// memory holds the last few requests that were parsed, with the replies to them. A load client repeats itself, and the
// reply depends on nothing but the request's bytes: the same bytes need no second look.
type memory struct {
	entries [memorySize]answered
	next    int
}

// answered is a whole http1 request and its reply.
type answered struct {
	request, reply []byte
	last           bool
}

const (
	// memorySize is more than the kinds of requests of a load: with and without work, and with the connection's end.
	memorySize = 4
	// memoryBytes is the longest request that is kept.
	memoryBytes = 1 << 10
)

// find returns the answered request that b begins with, nil without one.
func (m *memory) find(b []byte) *answered {
	for i := range m.entries {
		if e := &m.entries[i]; len(e.request) > 0 && bytes.HasPrefix(b, e.request) {
			return e
		}
	}
	return nil
}

// keep remembers a request in place of the oldest one.
func (m *memory) keep(request, reply []byte, last bool) {
	if len(request) > memoryBytes {
		return
	}
	e := &m.entries[m.next]
	m.next = (m.next + 1) % memorySize
	e.request, e.reply, e.last = append(e.request[:0], request...), append(e.reply[:0], reply...), last
}

// take answers the whole requests at the start of in and returns how many bytes they are, and the replies, which are valid
// until the next take or until in changes. last means that the connection ends with them. h has how far the first request
// was parsed, and gets how far the last one is.
func (t *thread) take(h *half, in []byte) (n int, out []byte, last bool) {
	if t.r.frame {
		return takeFrames(in)
	}
	t.out = t.out[:0]
	for n < len(in) && !last {
		if e := t.known.find(in[n:]); e != nil {
			n += len(e.request)
			t.out, last = append(t.out, e.reply...), e.last
			h.req.Reset()
			h.told = false
			continue
		}
		took, err := wire.ParseRequest(in[n:], &h.req)
		if err != nil {
			t.out = wire.AppendResponse(t.out, statusOf(err), []byte("malformed request\n"), true)
			return n, t.out, true
		}
		if took == 0 {
			if h.req.Expect && !h.told {
				h.told = true
				t.out = append(t.out, wire.Continue...)
			}
			break
		}
		from := len(t.out)
		t.out, last = t.reply(t.out, &h.req), h.req.Close
		if !h.req.Expect {
			t.known.keep(in[n:n+took], t.out[from:], last)
		}
		n += took
		h.told = false
	}
	return n, t.out, last
}

// reply appends the reply to a request: the payload, or the request's own body.
func (t *thread) reply(out []byte, req *wire.Request) []byte {
	body := t.r.body
	switch {
	case req.Method == wire.MethodHead:
		return wire.AppendHead(out, 200, len(body), req.Close)
	case req.Method == wire.MethodPost || len(req.Body) > 0:
		body = req.Body
	}
	return wire.AppendResponse(out, 200, body, req.Close)
}

func statusOf(err error) int {
	if e, ok := err.(*wire.Error); ok {
		return e.Status
	}
	return 400
}

// takeFrames echoes the whole frames at the start of in: they are their own reply. A malformed one ends the connection.
func takeFrames(in []byte) (n int, out []byte, last bool) {
	for n < len(in) {
		_, _, took, err := wire.ParseFrame(in[n:])
		if err != nil {
			return n, in[:n], true
		}
		if took == 0 {
			break
		}
		n += took
	}
	return n, in[:n], false
}
