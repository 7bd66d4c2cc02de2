package kit

import (
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit/push"
)

const (
	// defaultPayload is the size in bytes of "Hello, World!", what benchmarks answer since TechEmpower's.
	defaultPayload = 13
	// maxPayload is the body of the largest frame, so that the limit is one for all protocols.
	maxPayload = wire.MaxBody - 8
)

// Env is what a model serves with: its settings, the counters and the handling of requests. It is safe for any number of
// goroutines.
type Env struct {
	// Listen is the address asked for, host:port; port 0 asks for a free one.
	Listen string
	// Protocol is one of scenarios.Protocols that the model speaks.
	Protocol string
	// Counters are read by the control channel; a model counts its connections with Opened and Closed.
	Counters Counters

	body     []byte
	reply    []byte // the whole reply to GET /, of a connection that stays
	work     work
	inject   int       // rounds of spin for each request counted, zero by default
	objects  *Objects  // nil is none
	hub      *push.Hub // nil where the server does not push
	stopping atomic.Bool
	failed   chan error
}

// Counters are cumulative since the start. Each has a cache line of its own, so that they cost the same wherever the
// model's threads run.
type Counters struct {
	Accepted Counter
	Closed   Counter
	// Refused counts connections that were accepted by the kernel and closed by the model without being served.
	Refused Counter
	// Handled counts requests whose reply was handed on to be written, error replies included.
	Handled Counter
	// BodyBytesIn and BodyBytesOut count bodies of handled requests and of their replies, without heads, and of frames pushed.
	BodyBytesIn  Counter
	BodyBytesOut Counter
}

// Counter is an atomic number alone on its cache line.
type Counter struct {
	n atomic.Int64
	_ [56]byte // 64, the line of amd64 and arm64, without the number
}

// Add adds n.
func (c *Counter) Add(n int64) { c.n.Add(n) }

// Load returns the number.
func (c *Counter) Load() int64 { return c.n.Load() }

// Opened counts a connection that the model begins to serve.
func (e *Env) Opened() { e.Counters.Accepted.Add(1) }

// Closed counts the end of a connection that Opened counted.
func (e *Env) Closed() { e.Counters.Closed.Add(1) }

// Count counts requests whose replies are about to be written, and the bytes of their bodies. Session and Answer count by
// themselves; it is for models whose framework has its own codec. It spins for --inject on the calling goroutine, before it
// counts.
func (e *Env) Count(requests, bytesIn, bytesOut int) {
	if e.inject > 0 {
		burn(requests * e.inject)
	}
	e.Counters.Handled.Add(int64(requests))
	if bytesIn > 0 {
		e.Counters.BodyBytesIn.Add(int64(bytesIn))
	}
	if bytesOut > 0 {
		e.Counters.BodyBytesOut.Add(int64(bytesOut))
	}
}

// Stopping reports whether the server has been asked to stop; http1 replies of Session then end their connection.
func (e *Env) Stopping() bool { return e.stopping.Load() }

// Fail ends the program with status 1 and this error, after Stop. For faults that a model finds once it serves. Only the
// first counts.
func (e *Env) Fail(err error) {
	select {
	case e.failed <- err:
	default:
	}
}

// Body is what GET is answered with. It must not be changed.
func (e *Env) Body() []byte { return e.body }

// Route says what an http1 request is answered with, the same for every model.
type Route uint8

// The routes.
const (
	RoutePayload    Route = iota // 200 and Body
	RouteEcho                    // 200 and the request's body
	RouteNotFound                // 404 and StatusBody
	RouteNotAllowed              // 405 and StatusBody
)

// RouteOf decides by method and path, and reports whether the request asks for work.
func RouteOf(method wire.Method, path []byte) (r Route, work bool) {
	work = string(path) == "/work"
	if !work && string(path) != "/" {
		return RouteNotFound, false
	}
	switch method {
	case wire.MethodGet, wire.MethodHead:
		return RoutePayload, work
	case wire.MethodPost:
		return RouteEcho, work
	}
	return RouteNotAllowed, false
}

// Crash ends the program when the function that defers it panics, with the panic and its stack on standard error. It is for
// code that a framework calls and whose panics it would swallow: `defer kit.Crash()`.
func Crash() {
	if v := recover(); v != nil {
		fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", v, debug.Stack())
		os.Exit(2) // as the runtime does
	}
}
