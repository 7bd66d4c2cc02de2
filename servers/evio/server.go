package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// heldBytes is what the replies to one read may be, 64 KiB of requests, before the connection is closed: evio takes them
	// all at once.
	heldBytes = 256 << 20
	// tick is how often evio is asked to ask whether to end, its only way to. Its loops wake up every 100 ms of themselves.
	tick = 100 * time.Millisecond
	// lastRequests is how long requests are still answered after the server was asked to stop.
	lastRequests = 100 * time.Millisecond
	// firstFiles is where listeners are looked for: a program that has just begun has few files.
	firstFiles = 64
)

// server is what evio's loops call.
type server struct {
	env      *kit.Env
	addr     string
	reuse    bool
	state    chan error  // nil when evio serves, then what evio.Serve returned
	draining atomic.Bool // connections are closed when what is to be written is out
	over     atomic.Bool // the loops are to end

	mu    sync.Mutex // guards conns
	conns map[evio.Conn]struct{}
}

var _ kit.Server = (*server)(nil)

// conn belongs to its loop.
type conn struct {
	session kit.Session
	input   evio.InputStream
}

func start(env *kit.Env, single, reuse bool) (kit.Server, error) {
	addr, release, err := env.Reserve()
	if err != nil {
		return nil, err
	}
	defer release()
	s := &server{env: env, addr: addr, reuse: reuse, state: make(chan error, 2), conns: map[evio.Conn]struct{}{}}
	events := evio.Events{NumLoops: -1, Serving: s.serving, Opened: s.opened, Closed: s.closed, Data: s.data, Tick: s.tick}
	if single {
		events.NumLoops = 1
	}
	go func() {
		defer kit.Crash()
		s.state <- evio.Serve(events, "tcp://"+addr)
		env.Fail(errors.New("serving: evio's loops ended by themselves: it ends at the first connection that can't be accepted"))
	}()
	if err := <-s.state; err != nil {
		return nil, fmt.Errorf("listening at %s: %w", addr, err)
	}
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.addr }

// Stop answers what comes within lastRequests, closes every connection when its replies are out, and ends the loops. evio can't
// end accepting before. What takes longer than ctx ends with the process.
func (s *server) Stop(ctx context.Context) error {
	time.Sleep(lastRequests)
	s.draining.Store(true)
	s.mu.Lock()
	for c := range s.conns {
		c.Wake()
	}
	s.mu.Unlock()
	for s.open() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	s.over.Store(true)
	select {
	case err := <-s.state:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (s *server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// serving is called when the listener is open, and before anything is accepted.
func (s *server) serving(evio.Server) evio.Action {
	if err := noDelay(s.addr); err != nil {
		s.state <- err
		return evio.Shutdown
	}
	s.state <- nil
	return evio.None
}

// noDelay sets TCP_NODELAY at the listener, from which connections have it: evio accepts without Go's net, which would set it
// for each, has no option for it and keeps the descriptors to itself.
func noDelay(addr string) error {
	want, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("looking for evio's listener: %w", err)
	}
	for fd := range firstFiles {
		listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err != nil || listens == 0 {
			continue
		}
		if sa, err := unix.Getsockname(fd); err == nil && portOf(sa) == want.Port() {
			return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
	}
	return fmt.Errorf("looking for evio's listener at %s: none among the first %d files: start the program with fewer open", addr,
		firstFiles)
}

func portOf(sa unix.Sockaddr) uint16 {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port)
	case *unix.SockaddrInet6:
		return uint16(sa.Port)
	}
	return 0
}

// opened is called on the loop of the connection, as all that follows.
func (s *server) opened(c evio.Conn) ([]byte, evio.Options, evio.Action) {
	s.env.Opened()
	c.SetContext(&conn{session: s.env.NewSession()})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	if s.draining.Load() {
		return nil, evio.Options{}, evio.Close
	}
	return nil, evio.Options{ReuseInputBuffer: s.reuse}, evio.None
}

func (s *server) closed(c evio.Conn, _ error) evio.Action {
	if c.Context() == nil { // accepted, and never seen by opened
		return evio.None
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.env.Closed()
	return evio.None
}

// data answers what has arrived, all at once: evio reads on when out is written, and closes then if it is to. in is nil where
// Wake asked; out may be the reply to something else then, and what is returned would take its place.
func (s *server) data(c evio.Conn, in []byte) (out []byte, action evio.Action) {
	if s.draining.Load() {
		return nil, evio.Close
	}
	k := c.Context().(*conn)
	rest, closing := k.input.Begin(in), false
	for n := 1; n > 0 && !closing; rest = rest[n:] {
		n, out, closing = k.session.Serve(rest, out)
	}
	k.input.End(rest)
	if closing || len(out) > heldBytes {
		return out, evio.Close
	}
	return out, evio.None
}

// tick is called on the first loop.
func (s *server) tick() (time.Duration, evio.Action) {
	if s.over.Load() {
		return tick, evio.Shutdown
	}
	return tick, evio.None
}
