// Package messages serves WebSocket connections for models whose framework has a codec of its own: echo, work and push as the
// contract says, over whole messages.
package messages

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
)

// lastRequests is how long a connection is still read from after the server was asked to stop: what was sent by then is
// answered.
const lastRequests = 100 * time.Millisecond

// Conn is a connection after the opening handshake, whose framework answers pings and closes. Read belongs to one goroutine,
// everything else may be called by any.
type Conn interface {
	// Read returns the next message, valid until the next Read.
	Read() (binary bool, message []byte, err error)
	// Write sends a message.
	Write(binary bool, message []byte) error
	// Interrupt ends the present Read and all that follow. It does not block.
	Interrupt()
	// Close ends the connection at once. More than once does no harm.
	Close()
}

// Server holds the connections of a server. It is safe for any number of goroutines; the zero value is not usable, see New.
type Server struct {
	env *kit.Env

	mu      sync.Mutex // guards what follows
	conns   map[Conn]struct{}
	stopped bool
	serving sync.WaitGroup
}

// New returns a server without connections.
func New(env *kit.Env) *Server { return &Server{env: env, conns: map[Conn]struct{}{}} }

// Serve answers a connection that the model has counted as opened, until either side ends it, and counts it as closed.
func (s *Server) Serve(c Conn) {
	s.open(c)
	defer s.close(c)
	feed := newFeed(s.env, c)
	defer feed.end()
	for {
		isBinary, message, err := c.Read()
		if err != nil {
			return
		}
		switch s.pushRequest(isBinary, message) {
		case kit.PushSubscribe:
			feed.subscribe()
			continue
		case kit.PushHeartbeat:
			continue
		}
		if err := c.Write(isBinary, s.answer(isBinary, message)); err != nil {
			return
		}
	}
}

func (s *Server) pushRequest(isBinary bool, message []byte) kit.PushRequest {
	if !isBinary {
		return kit.PushOther
	}
	return s.env.PushRequestOf(message)
}

// idBytes is what a binary message holds before its body; a shorter one has no id.
const idBytes = 8

// answer does the work that a message asks for, counts it, and returns the reply, a part of it.
func (s *Server) answer(isBinary bool, message []byte) []byte {
	if !isBinary || len(message) < idBytes {
		s.env.Count(1, len(message), len(message))
		return message
	}
	body, reply := message[idBytes:], message
	if binary.BigEndian.Uint64(message)&wire.FrameWork != 0 && s.env.DoWork(body) != nil {
		reply = message[:idBytes]
	}
	s.env.Count(1, len(body), len(reply)-idBytes)
	return reply
}

func (s *Server) open(c Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	s.serving.Add(1)
	if s.stopped {
		c.Interrupt()
	}
}

func (s *Server) close(c Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.env.Closed()
	s.serving.Done()
}

// each calls f for every connection, and marks the server as stopped.
func (s *Server) each(f func(Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for c := range s.conns {
		f(c)
	}
}

// Stop gives every connection a last moment to be read from, and returns when all have ended; when ctx ends it closes them.
func (s *Server) Stop(ctx context.Context) {
	s.mu.Lock()
	none := len(s.conns) == 0
	s.mu.Unlock()
	if !none {
		select {
		case <-time.After(lastRequests):
		case <-ctx.Done():
		}
	}
	s.each(Conn.Interrupt)
	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.each(Conn.Close)
	}
}
