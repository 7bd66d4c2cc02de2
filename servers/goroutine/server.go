package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/millrace/millrace/servers/goroutine/conn"
	"github.com/millrace/millrace/servers/goroutine/listen"
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
	env       *kit.Env
	listeners []listen.Listener
	serve     conn.Serve
	end       func(*net.TCPConn) // closes a connection
	most      int                // connections at a time, beyond which one is refused; 0 is no limit

	mu       sync.Mutex // guards conns and stopping
	conns    map[*net.TCPConn]struct{}
	stopping bool
	serving  sync.WaitGroup // the accept loops and the connections
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env, o *settings) (kit.Server, error) {
	s := &server{env: env, serve: o.serve(), end: func(c *net.TCPConn) { c.Close() }, conns: map[*net.TCPConn]struct{}{}}
	waiting := o.limit
	if o.how == "refuse" {
		waiting, s.most = 0, o.limit
	}
	var err error
	if s.listeners, err = listen.Open(env, o.reuseport, waiting); err != nil {
		return nil, err
	}
	for _, l := range s.listeners {
		if l, ok := l.(*listen.Limited); ok {
			s.end = l.Release
		}
		s.serving.Go(func() { s.accept(l) })
	}
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.listeners[0].Addr().String() }

func (s *server) accept(l listen.Listener) {
	for {
		c, err := l.AcceptTCP()
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
	if s.most > 0 && len(s.conns) >= s.most {
		s.env.Counters.Refused.Add(1)
		c.Close()
		return
	}
	s.env.Opened()
	s.conns[c] = struct{}{}
	if s.stopping {
		c.SetReadDeadline(time.Now().Add(lastRequests))
	}
	s.serving.Go(func() {
		defer s.close(c)
		s.serve(s.env, c)
	})
}

func (s *server) close(c *net.TCPConn) {
	s.end(c)
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.env.Closed()
}

// Stop ends accepting and gives every connection a last moment to be read from. When ctx ends, those that are left,
// because their client doesn't read or work is long, are closed.
func (s *server) Stop(ctx context.Context) error {
	listen.Close(s.listeners)
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
