package main

import (
	"context"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/reuseport"
)

// lastRequests is how long requests are still read from the moment that the server is asked to stop.
const lastRequests = 100 * time.Millisecond

// server is the loops, one for each processor that Go uses.
type server struct {
	addr    string
	loops   []*loop
	serving sync.WaitGroup
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env, shared bool) (kit.Server, error) {
	listeners, err := listen(env, shared, runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	s := &server{addr: listeners[0].Addr().String()}
	for _, l := range listeners {
		defer l.Close() // the loops have copies
		one, err := newLoop(env, l)
		if err != nil {
			return nil, err
		}
		s.loops = append(s.loops, one)
	}
	for _, l := range s.loops {
		s.serving.Go(l.run)
	}
	return s, nil
}

// listen returns a listener for each of n loops; shared, it is the same one.
func listen(env *kit.Env, shared bool, n int) ([]*net.TCPListener, error) {
	if !shared {
		return reuseport.Listen(env, n)
	}
	l, err := env.Listener(context.Background())
	if err != nil {
		return nil, err
	}
	return slices.Repeat([]*net.TCPListener{l}, n), nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.addr }

// Stop reads on for lastRequests and then lets the loops write what is left. What takes longer than ctx ends with the process.
func (s *server) Stop(ctx context.Context) error {
	time.Sleep(lastRequests)
	for _, l := range s.loops {
		l.inbox.Put(nil)
	}
	done := make(chan struct{})
	go func() { s.serving.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	return nil
}
