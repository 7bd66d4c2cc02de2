package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// lastRequests is how long a connection is still read from after the server was asked to stop: what was sent by then is
	// answered.
	lastRequests = 100 * time.Millisecond
	// acceptAgain is how long accepting rests after an error that time mends, such as too many open files.
	acceptAgain = 5 * time.Millisecond
)

// server accepts connections and holds them until they end.
type server struct {
	env      *kit.Env
	listener *net.TCPListener
	duplex   bool

	mu       sync.Mutex // guards conns and stopping
	conns    map[*net.TCPConn]struct{}
	stopping bool
	serving  sync.WaitGroup // the accept loop and the connections
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env, duplex bool) (kit.Server, error) {
	l, err := env.Listener(context.Background())
	if err != nil {
		return nil, err
	}
	s := &server{env: env, listener: l, duplex: duplex, conns: map[*net.TCPConn]struct{}{}}
	s.serving.Go(s.accept)
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.listener.Addr().String() }

func (s *server) accept() {
	for {
		c, err := s.listener.AcceptTCP()
		switch {
		case err == nil:
			s.open(c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(acceptAgain)
		}
	}
}

func (s *server) open(c *net.TCPConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.env.Opened()
	s.conns[c] = struct{}{}
	if s.stopping {
		c.SetReadDeadline(time.Now().Add(lastRequests))
	}
	s.serving.Go(func() {
		defer s.close(c)
		if s.duplex {
			serveDuplex(s.env, c)
		} else {
			serve(s.env, c)
		}
	})
}

func (s *server) close(c *net.TCPConn) {
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.env.Closed()
}

// Stop ends accepting and gives every connection a last moment to be read from. When ctx ends, those that are left,
// because their client doesn't read or work is long, are closed.
func (s *server) Stop(ctx context.Context) error {
	s.listener.Close()
	s.each(func(c *net.TCPConn) { c.SetReadDeadline(time.Now().Add(lastRequests)) })
	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.each(func(c *net.TCPConn) {
		c.SetLinger(0)
		c.Close()
	})
	select {
	case <-done:
		return nil
	case <-time.After(lastRequests):
		return fmt.Errorf("stopping: %d connections are still at work", s.env.Counters.Accepted.Load()-s.env.Counters.Closed.Load())
	}
}

// each marks the server as stopping and calls f for every connection.
func (s *server) each(f func(*net.TCPConn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for c := range s.conns {
		f(c)
	}
}
