package target

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/request"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

// Kind is a set of what is special about a request.
type Kind uint8

const (
	Work  Kind = 1 << iota // asks for the server's work
	Close                  // asks the server to close the connection (http1)
	kinds = 4
)

// Request is one compiled request. It does not change.
type Request struct {
	// static are the bytes of http1 by kind; empty where the request has a counter.
	static [kinds][]byte
	// heads, where it has one, are all before Content-Length, with and without work; the body comes behind.
	heads  [2]request.Template
	length bool // announces the body's length
	body   request.Template
	fixed  []byte // the body where that has no counter

	expect wire.Expect      // Body is nil where the replies' bodies differ or don't matter
	check  request.Template // the body of a good reply, where that differs
}

// compile builds what is sent for a request of a plan.
func (t *Target) compile(r *request.Request, p *clients.Plan) Request {
	if t.Protocol == scenarios.Push || p.Scenario.Pushes() {
		return Request{}
	}
	c := Request{body: r.Body, length: r.SendsLength()}
	if t.Frame {
		if !r.HasBody {
			c.body = request.ParseTemplate(pattern(p.Scenario.Payload))
		}
		c.expectBody(c.body)
	} else {
		c.expect.Head = r.Method == "HEAD"
		if r.Echoed {
			c.expectBody(r.Body)
		} else if p.CheckBody != nil {
			c.expectBody(request.ParseTemplate(p.CheckBody))
		}
	}
	if !c.body.Counts() {
		c.fixed = c.body.Append(nil, 0)
	}
	if t.Frame {
		return c
	}
	if r.Counts() {
		for kind := range c.heads {
			c.heads[kind] = head(r, Kind(kind))
		}
		return c
	}
	for kind := range c.static {
		path := string(r.Path.Append(nil, 0))
		if Kind(kind)&Work != 0 {
			path = request.WorkPath
		}
		var headers []string
		for _, h := range r.Headers {
			headers = append(headers, h.Name+": "+string(h.Value.Append(nil, 0)))
		}
		c.static[kind] = wire.AppendRequest(nil, r.Method, r.Host, path, headers, c.fixed, Kind(kind)&Close != 0)
	}
	return c
}

func (r *Request) expectBody(b request.Template) {
	if b.Counts() {
		r.check = b
		return
	}
	r.expect.Body = b.Append([]byte{}, 0)
}

// head is a request's head up to where Content-Length follows, with its counters.
func head(r *request.Request, kind Kind) request.Template {
	path := r.Path
	if kind&Work != 0 {
		path = request.ParseTemplate([]byte(request.WorkPath))
	}
	var out request.Template
	out.Text(r.Method + " ")
	out.Join(path)
	out.Text(" HTTP/1.1\r\n")
	if !r.NamesHost() {
		out.Text("Host: " + r.Host + "\r\n")
	}
	for _, h := range r.Headers {
		out.Text(h.Name + ": ")
		out.Join(h.Value)
		out.Text("\r\n")
	}
	return out
}

// Static is the whole http1 request where it is the same for every number: shared bytes, not to be changed. It is nil where
// the request has a counter, and in frame.
func (r *Request) Static(kind Kind) []byte { return r.static[kind] }

// Append appends the http1 request with a number. It allocates nothing where dst has room.
func (r *Request) Append(dst []byte, kind Kind, n int64) []byte {
	if b := r.static[kind]; b != nil {
		return append(dst, b...)
	}
	dst = r.heads[kind&Work].Append(dst, n)
	if r.length {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(r.body.Len(n)), 10)
		dst = append(dst, "\r\n"...)
	}
	if kind&Close != 0 {
		dst = append(dst, "Connection: close\r\n"...)
	}
	return r.body.Append(append(dst, "\r\n"...), n)
}

// AppendFrame appends the frame with a number and an id. It allocates nothing where dst has room.
func (r *Request) AppendFrame(dst []byte, id uint64, n int64) []byte {
	if !r.body.Counts() {
		return wire.AppendFrame(dst, id, r.fixed)
	}
	return r.body.Append(wire.AppendFrameHead(dst, id, r.body.Len(n)), n)
}

// AppendMessage appends the WebSocket message with a number and an id: what a frame has behind its length, masked. The mask follows
// from the id; it is to keep proxies from taking it for something else (RFC 6455, 10.3), and no secret here. It allocates nothing
// where dst has room.
func (r *Request) AppendMessage(dst []byte, id uint64, n int64) []byte {
	key := uint32((id + 1) * 0x9e3779b97f4a7c15 >> 32)
	dst = wire.AppendWSHead(dst, wire.WSBinary, key, 8+r.body.Len(n))
	from := len(dst)
	dst = r.body.Append(binary.BigEndian.AppendUint64(dst, id), n)
	wire.MaskWS(dst[from:], key)
	return dst
}

// BodyLen is the bytes of the body of the request with a number.
func (r *Request) BodyLen(n int64) int64 { return int64(r.body.Len(n)) }

// Expect is what a good reply looks like where that is the same for every number (see Target.Varied): shared, not to be
// changed.
func (r *Request) Expect() *wire.Expect { return &r.expect }

// Wanted is what a good reply to the request with a number looks like. Its body is in scratch, which is returned and valid
// until the next use, unless it is the same for every number. It allocates nothing where scratch has room.
func (r *Request) Wanted(scratch []byte, n int64) (e wire.Expect, grown []byte) {
	if e = r.expect; r.check.Counts() {
		scratch = r.check.Append(scratch[:0], n)
		e.Body = scratch
	}
	return e, scratch
}

// pattern is a body of n bytes without two equal neighbouring blocks, so that a shifted echo differs.
func pattern(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d-", i)
	}
	return b.Bytes()[:n:n]
}
