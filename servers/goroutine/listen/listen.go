// Package listen holds the ways in which the goroutine model accepts connections: one listener, one for each CPU, or one with a
// limit.
package listen

import (
	"context"
	"net"
	"runtime"
	"sync"

	"golang.org/x/net/netutil"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/reuseport"
)

// Listener is what the server accepts from. Each has an accept loop of its own.
type Listener interface {
	AcceptTCP() (*net.TCPConn, error)
	Addr() net.Addr
	Close() error
}

var (
	_ Listener = (*net.TCPListener)(nil)
	_ Listener = (*Limited)(nil)
)

// leastListeners is how many Often opens where there is one CPU: one would be no different from the default.
const leastListeners = 2

// Open opens one listener, or as many as Often does, or one that is Limited where limit is above 0.
func Open(env *kit.Env, often bool, limit int) ([]Listener, error) {
	if often {
		return Often(env)
	}
	l, err := env.Listener(context.Background())
	switch {
	case err != nil:
		return nil, err
	case limit > 0:
		return []Listener{NewLimited(l, limit)}, nil
	}
	return []Listener{l}, nil
}

// Often opens a listener for each CPU, all at one port, two at least.
func Often(env *kit.Env) ([]Listener, error) {
	opened, err := reuseport.Listen(env, max(leastListeners, runtime.GOMAXPROCS(0)))
	all := make([]Listener, len(opened))
	for i, l := range opened {
		all[i] = l
	}
	return all, err
}

// Close closes them all.
func Close(all []Listener) {
	for _, l := range all {
		l.Close()
	}
}

// Limited accepts as netutil.LimitListener does: while so many connections are open it accepts none, and they wait in the
// kernel's backlog, and in their clients once that is full. Close its connections with Release.
type Limited struct {
	net.Listener
	// LimitListener hides what kind its connections are, so the innermost listener remembers the one that the accept loop is
	// about to get.
	last *net.TCPConn

	mu      sync.Mutex // guards wrapped
	wrapped map[*net.TCPConn]net.Conn
}

// NewLimited returns l with a limit of at least 1.
func NewLimited(l *net.TCPListener, limit int) *Limited {
	outer := &Limited{wrapped: map[*net.TCPConn]net.Conn{}}
	outer.Listener = netutil.LimitListener(&remembering{l, &outer.last}, limit)
	return outer
}

// AcceptTCP is for one goroutine.
func (l *Limited) AcceptTCP() (*net.TCPConn, error) {
	c, err := l.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrapped[l.last] = c
	return l.last, nil
}

// Release closes a connection and makes room for another. It is for any goroutine, once a connection.
func (l *Limited) Release(c *net.TCPConn) {
	l.mu.Lock()
	wrapped := l.wrapped[c]
	delete(l.wrapped, c)
	l.mu.Unlock()
	wrapped.Close()
}

// remembering keeps the connection that it accepted last.
type remembering struct {
	*net.TCPListener
	last **net.TCPConn
}

// Accept is what LimitListener calls.
func (r *remembering) Accept() (net.Conn, error) {
	c, err := r.AcceptTCP()
	if err != nil {
		return nil, err
	}
	*r.last = c
	return c, nil
}
