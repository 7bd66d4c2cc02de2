package main

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/nbio/conn"
)

const (
	// heldBytes is what nbio keeps of a connection's replies before it closes it: it reads on while nobody takes them.
	heldBytes = 128 << 20
	// allReads is how often a poller reads a connection's 64 KiB before it looks at the next: as much as a receive buffer holds
	// (tcp_rmem's 6 MiB). nbio closes when the client has ended its sending side, whatever is unread then; three times, its
	// default, would make the kernel reset connections that have replies on their way.
	allReads = 128
	// lastRequests is how long requests are still answered after the server was asked to stop.
	lastRequests = 100 * time.Millisecond
	// acceptAgain is how long accepting rests after an error, such as too many open files. nbio would try again at once.
	acceptAgain = 5 * time.Millisecond
)

// server is what nbio's pollers call.
type server struct {
	env      *kit.Env
	engine   *nbio.Engine
	addr     string
	handling atomic.Int64 // calls of onData
	ending   atomic.Int64 // connections that nbio has closed and whose replies are still written
	draining atomic.Bool  // input is no longer looked at
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env, o *settings) (kit.Server, error) {
	logging.Output = os.Stderr // standard output is the control channel
	logging.SetLevel(logging.LevelError)
	s := &server{env: env}
	config := nbio.Config{
		Network: "tcp", Addrs: []string{env.Listen}, NPoller: o.pollers,
		MaxWriteBufferSize: heldBytes, MaxConnReadTimesPerEventLoop: allReads,
		Listen: func(string, string) (net.Listener, error) { return env.Listener(context.Background()) },
	}
	if o.edge {
		config.EpollMod = nbio.EPOLLET
	}
	s.engine = nbio.NewEngine(config)
	s.engine.OnOpen(func(c *nbio.Conn) { conn.Open(c, env, &s.ending) })
	s.engine.OnData(s.onData)
	s.engine.OnWrittenSize(func(c *nbio.Conn, _ []byte, n int) { conn.Of(c).Written(n) })
	s.engine.OnClose(func(c *nbio.Conn, _ error) { conn.Of(c).Finish() })
	s.engine.OnAcceptError(func(error) { time.Sleep(acceptAgain) })
	if err := s.engine.Start(); err != nil {
		return nil, err
	}
	s.addr = s.engine.Addrs[0]
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.addr }

// Stop answers what comes within lastRequests, lets pollers finish what they handle, and closes every connection. nbio can't end
// accepting before. What takes longer than ctx ends with the process.
func (s *server) Stop(ctx context.Context) error {
	time.Sleep(lastRequests)
	s.draining.Store(true)
	for s.handling.Load() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	_ = s.engine.Shutdown(ctx) // its error is that of ctx
	for s.ending.Load() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return nil
}

// onData answers what a poller has read.
func (s *server) onData(c *nbio.Conn, data []byte) {
	s.handling.Add(1)
	defer s.handling.Add(-1)
	if !s.draining.Load() {
		conn.Of(c).Answer(data)
	}
}
