package vegeta

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/internal/procfs"
)

// errOver ends requests that are in flight when the load is over, errLate those that took too long.
var (
	errOver = errors.New("load is over")
	errLate = errors.New("no reply in time")
)

// transport is net/http's, made to do exactly one exchange for a request, to read and check the whole reply, and to say
// what came of it. It is used by all workers at once.
type transport struct {
	under   *http.Transport
	plan    *clients.Plan
	target  *target
	j       *journal
	base    context.Context
	timeout time.Duration
	retries atomic.Int64
	buffers sync.Pool
}

// readSize is how much of a body is read at once; a body is never kept.
const readSize = 32 << 10

func newTransport(plan *clients.Plan, t *target, d *dialer, j *journal, base context.Context, connections int) *transport {
	under := &http.Transport{
		DialContext: d.dial, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
		MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections,
	}
	if plan.Scenario.Connections.Requests == 1 {
		// A negative limit closes after every reply without asking the server to, as DisableKeepAlives would. Workers
		// limit the number of connections, and need not wait for the transport to notice that one is closed.
		under.MaxConnsPerHost, under.MaxIdleConnsPerHost = 0, -1
	}
	return &transport{
		under: under, plan: plan, target: t, j: j, base: base, timeout: time.Duration(plan.Scenario.Timeout),
		buffers: sync.Pool{New: func() any { b := make([]byte, readSize); return &b }},
	}
}

// RoundTrip sends vegeta's request and waits for the whole reply. The response it returns has no body, and vegeta's clock
// stops with it.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(req.Header.Get("X-Vegeta-Seq"), 10, 64)
	if err != nil {
		return nil, err
	}
	r := t.j.start(seq)
	if r == nil {
		return nil, errOver
	}
	ctx, cancel := context.WithCancelCause(t.base)
	defer cancel(nil)
	late := time.AfterFunc(t.timeout, func() { cancel(errLate) })
	defer late.Stop()
	x := &exchange{cancel: cancel, retries: &t.retries, sent: r.begun}
	// What goes out is without vegeta's own headers: the same request as from every other engine.
	work := arrivals.AsksForWork(t.plan.Seed, r.number, t.plan.Scenario.Work.Share)
	out, err := t.target.build(httptrace.WithClientTrace(ctx, x.trace()), r.number, work)
	if err != nil {
		return nil, err
	}
	resp, err := t.under.RoundTrip(out)
	var n int64
	var same bool
	if err == nil {
		n, same, err = t.read(resp, t.target.wanted(r.number))
	}
	connected := x.connected.Load()
	if connected {
		r.sent = x.sent
	}
	switch {
	case err != nil:
		r.outcome = failure(ctx, err, connected)
		return nil, err
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		r.outcome, r.status = clients.HTTPError, resp.StatusCode
	case !same:
		r.outcome = clients.BadPayload
	}
	r.bodyBytes = n
	return &http.Response{Status: resp.Status, StatusCode: resp.StatusCode, Header: resp.Header, Body: http.NoBody, Request: req}, nil
}

// read reads the whole body, keeping none of it, and reports its length and whether it is the one wanted; nil wants any.
func (t *transport) read(resp *http.Response, want []byte) (n int64, same bool, err error) {
	defer resp.Body.Close()
	buffer := t.buffers.Get().(*[]byte)
	defer t.buffers.Put(buffer)
	rest := want
	same = true
	for {
		m, err := resp.Body.Read(*buffer)
		n += int64(m)
		if rest != nil && same {
			if same = bytes.HasPrefix(rest, (*buffer)[:m]); same {
				rest = rest[m:]
			}
		}
		if err == io.EOF {
			return n, same && len(rest) == 0, nil
		}
		if err != nil {
			return n, false, err
		}
	}
}

func (t *transport) close() { t.under.CloseIdleConnections() }

// exchange watches one request's way through the transport.
//
// The transport would send it again if a used connection turns out to be dead. It looks at the request's context before
// doing so, and here that is cancelled, with the connection's error as its cause, before the transport hears of the error.
type exchange struct {
	cancel    context.CancelCauseFunc
	retries   *atomic.Int64
	conn      *conn
	connected atomic.Bool // it has a connection
	sent      int64       // when that was ready to be written to
}

func (x *exchange) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if x.connected.Swap(true) {
				x.retries.Add(1)
			}
			if !info.Reused {
				x.sent = procfs.Monotonic()
			}
			x.conn = info.Conn.(*conn)
			x.conn.watch(x.cancel)
		},
		// From here on the transport does not try again, and the end of the connection may be that of the reply.
		GotFirstResponseByte: func() { x.conn.watch(nil) },
	}
}
