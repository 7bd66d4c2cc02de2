package main

import (
	"context"
	"fmt"

	"github.com/cloudwego/netpoll"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/netpoll/conn"
)

// server is netpoll's event loop with the counters of the contract.
type server struct {
	loop    netpoll.EventLoop
	addr    string
	handler *conn.Handler
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env, o *settings) (kit.Server, error) {
	l, err := env.Listener(context.Background())
	if err != nil {
		return nil, err
	}
	s := &server{addr: l.Addr().String(), handler: &conn.Handler{Env: env, Inline: o.runner == "inline"}}
	config := netpoll.Config{PollerNum: o.pollers}
	switch o.runner {
	case "inline":
		config.Runner = conn.Run
	case "go":
		config.Runner = func(_ context.Context, handle func()) { go handle() }
	}
	if s.loop, err = netpoll.NewEventLoop(conn.OnRequest, netpoll.WithOnPrepare(s.handler.OnPrepare)); err == nil {
		err = netpoll.Configure(config) // what is zero stays as it is
	}
	if err != nil {
		return nil, fmt.Errorf("making event loop: %w", err)
	}
	go func() {
		if err := s.loop.Serve(l); err != nil {
			env.Fail(fmt.Errorf("serving: %w", err))
		}
	}()
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.addr }

// Stop is netpoll's Shutdown: it ends accepting, closes idle connections, and others when they are idle. It has no way to
// close what doesn't end in time; the end of the process does.
func (s *server) Stop(ctx context.Context) error {
	_ = s.loop.Shutdown(ctx) // its error is that of ctx
	s.handler.Wait(ctx)
	return nil
}
