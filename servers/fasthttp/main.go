// Command fasthttp is valyala/fasthttp with its defaults: HTTP/1.1 without net/http's allocations, a pooled goroutine per
// connection.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/valyala/fasthttp"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
)

func main() {
	kit.Main(kit.Model{
		Name:      "fasthttp",
		Doc:       "valyala/fasthttp with its defaults: a pooled goroutine per connection, requests and replies used again",
		Module:    "github.com/valyala/fasthttp",
		Protocols: []string{"http1"},
		Missing:   map[string]string{"frame": "fasthttp speaks HTTP only; frames on a hijacked connection would be model goroutine"},
		HalfClose: "answers every whole request that came before the end, then closes; a partial one is answered with 400",
		Start:     start,
	})
}

// server is fasthttp's, with the counters of the contract.
type server struct {
	http     fasthttp.Server
	listener net.Listener
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env) (kit.Server, error) {
	l, err := env.Listener(context.Background())
	if err != nil {
		return nil, err
	}
	h := &handler{env: env}
	s := &server{listener: l, http: fasthttp.Server{
		Handler:   h.serve,
		ConnState: h.count,
		// The contract's: the largest body, and a reply that announces the close at the end.
		MaxRequestBodySize: wire.MaxBody,
		CloseOnShutdown:    true,
	}}
	go func() {
		if err := s.http.Serve(l); err != nil {
			env.Fail(fmt.Errorf("serving: %w", err))
		}
	}()
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.listener.Addr().String() }

// Stop is fasthttp's Shutdown. It has no way to close what doesn't end in time, as a client that never reads; the end of
// the process does.
func (s *server) Stop(ctx context.Context) error {
	if err := s.http.ShutdownWithContext(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// handler answers requests as the contract says.
type handler struct{ env *kit.Env }

// count follows the connections. A hijacked one does not occur.
func (h *handler) count(_ net.Conn, state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateNew:
		h.env.Opened()
	case fasthttp.StateClosed:
		h.env.Closed()
	}
}

// serve is called by a goroutine per connection.
func (h *handler) serve(ctx *fasthttp.RequestCtx) {
	defer kit.Crash()
	route, work := kit.RouteOf(wire.MethodOf(ctx.Method()), ctx.Path())
	failed := work && h.env.DoWork(ctx.PostBody()) != nil
	ctx.SetContentType(wire.ContentType)
	body, in := h.env.Body(), 0
	switch route {
	case kit.RouteEcho:
		body = ctx.PostBody()
		in = len(body)
	case kit.RouteNotFound:
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		body = kit.StatusBody(fasthttp.StatusNotFound)
	case kit.RouteNotAllowed:
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
		body = kit.StatusBody(fasthttp.StatusMethodNotAllowed)
	}
	if failed {
		ctx.SetStatusCode(kit.StatusFailed)
		body = kit.StatusBody(kit.StatusFailed)
	}
	ctx.SetBody(body)
	out := len(body)
	if ctx.IsHead() {
		out = 0
	}
	h.env.Count(1, in, out)
}
