// Package httpserver is what the models on Go's net/http share: the server with the counters of the contract, and what a
// request is answered with. How the answer is written is each model's own.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/messages"
)

// server is net/http's with its defaults.
type server struct {
	http     http.Server
	listener net.Listener
	messages *messages.Server // of ws
}

var _ kit.Server = (*server)(nil)

// Start serves h until Stop. The contract must be the one that h answers by.
func (c *Contract) Start(h http.Handler) (kit.Server, error) {
	l, err := c.env.Listener(context.Background())
	if err != nil {
		return nil, err
	}
	var accepting net.Listener = l
	if c.env.Protocol == "ws" {
		accepting = cut{l}
	}
	s := &server{listener: l, http: http.Server{Handler: h, ConnState: c.count}, messages: c.messages}
	go func() {
		if err := s.http.Serve(accepting); !errors.Is(err, http.ErrServerClosed) {
			c.env.Fail(fmt.Errorf("serving: %w", err))
		}
	}()
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.listener.Addr().String() }

// Stop is net/http's Shutdown; what doesn't end in time, as a client that never reads, is closed.
func (s *server) Stop(ctx context.Context) error {
	s.messages.Stop(ctx)
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// count follows the connections. One that ws took over is counted by those who serve it.
func (c *Contract) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.env.Opened()
	case http.StateClosed:
		c.env.Closed()
	}
}
