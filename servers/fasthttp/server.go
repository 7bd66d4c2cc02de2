package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/messages"
)

// server is fasthttp's, with the counters of the contract.
type server struct {
	http     fasthttp.Server
	listener net.Listener
	messages *messages.Server // of ws
}

var _ kit.Server = (*server)(nil)

func (h *handler) start(serve fasthttp.RequestHandler) (kit.Server, error) {
	l, err := h.env.Listener(context.Background())
	if err != nil {
		return nil, err
	}
	s := &server{listener: l, messages: h.messages, http: fasthttp.Server{
		Handler:   serve,
		ConnState: h.count,
		// The contract's: the largest body, and a reply that announces the close at the end.
		MaxRequestBodySize: wire.MaxBody,
		CloseOnShutdown:    true,
		// Closing a connection of ws closes it; without, only the end of its handler would.
		KeepHijackedConns: true,
	}}
	go func() {
		if err := s.http.Serve(l); err != nil && !h.env.Stopping() {
			h.env.Fail(fmt.Errorf("serving: %w", err))
		}
	}()
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.listener.Addr().String() }

// Stop is fasthttp's Shutdown. It has no way to close what doesn't end in time, as a client that never reads; the end of
// the process does.
func (s *server) Stop(ctx context.Context) error {
	s.messages.Stop(ctx)
	if err := s.http.ShutdownWithContext(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// count follows the connections. One that ws took over is counted by those who serve it.
func (h *handler) count(_ net.Conn, state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateNew:
		h.env.Opened()
	case fasthttp.StateClosed:
		h.env.Closed()
	}
}

// router has a handler for each method and path; what has none gets the contract's 404 or 405.
func (h *handler) router() *router.Router {
	r := router.New()
	at := func(route kit.Route, work bool) fasthttp.RequestHandler {
		return func(ctx *fasthttp.RequestCtx) { h.answer(ctx, route, work) }
	}
	for path, work := range map[string]bool{"/": false, "/work": true} {
		r.GET(path, at(kit.RoutePayload, work))
		r.HEAD(path, at(kit.RoutePayload, work))
		r.POST(path, at(kit.RouteEcho, work))
	}
	r.NotFound, r.MethodNotAllowed = at(kit.RouteNotFound, false), at(kit.RouteNotAllowed, false)
	return r
}
