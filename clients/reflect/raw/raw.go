// Package raw is the fastest reflector that this host can run in Go: what a load client reaches against it is the client's
// own floor. It answers at once and does no work: http1 requests with a fixed reply, or with their body where they have
// one, frames with themselves. Where package reflect has scripted faults and a goroutine a connection, this one has a
// locked thread, one epoll, two system calls a request, and nothing in memory for a connection that is idle.
//
// It needs Linux.
package raw

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/internal/wire"
)

// Protocols are what a reflector speaks.
var Protocols = []string{"http1", "frame"}

// Config is what a reflector is asked for. Listen checks it.
type Config struct {
	Protocol string // one of Protocols
	// Listen is HOST:PORT with an IP address, or unix:PATH. Port 0 takes a free one outside the range that clients' ports
	// come from, where there is one: inside it a socket in TIME_WAIT may hold the port.
	Listen string
	// Payload is the bytes of the body of a reply to an http1 request without one, 0 to wire.MaxBody.
	Payload int
	// Threads serve the connections, each its share; zero is one.
	Threads int
	// Spin looks for events for spinFor before it waits to be woken up, which costs the sender's CPU as well. The reflector
	// needs CPUs of its own then.
	Spin bool
}

// maxThreads is more than the servers of one host need: the kernel's TCP is the limit before.
const maxThreads = 64

// Validate says what is wrong with a configuration.
func (c *Config) Validate() error {
	switch {
	case !slices.Contains(Protocols, c.Protocol):
		return fmt.Errorf("protocol %q: want one of %v", c.Protocol, Protocols)
	case c.Payload < 0 || c.Payload > wire.MaxBody:
		return fmt.Errorf("payload %d: want 0 to %d bytes", c.Payload, wire.MaxBody)
	case c.Threads < 0 || c.Threads > maxThreads:
		return fmt.Errorf("threads %d: want 1 to %d", c.Threads, maxThreads)
	}
	_, err := parseListen(c.Listen)
	return err
}

// Reflector is a reflector that listens. Connections are accepted from Listen on and served during Serve.
type Reflector struct {
	frame   bool
	spin    bool
	body    []byte // of a reply to an http1 request without one
	addr    string
	family  int
	path    string // of a unix socket, to be removed
	listen  int32
	wake    int32 // an eventfd, readable when the reflector is to end
	threads []*thread
	// sockets has a bit for every open connection, by descriptor, for the end. A process can't open more files than bits.
	sockets []atomic.Uint64
	full    atomic.Bool // no more files: the listener is not watched

	mu       sync.Mutex
	released bool // the descriptors may be somebody else's
}

// Listen opens a reflector. Whoever gets one calls Serve, and Close to end it.
func Listen(c Config) (*Reflector, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("opening reflector: %w", err)
	}
	at, err := parseListen(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("opening reflector: %w", err)
	}
	files, err := mostFiles()
	if err != nil {
		return nil, fmt.Errorf("opening reflector: %w", err)
	}
	r := &Reflector{frame: c.Protocol == "frame", spin: c.Spin, body: wire.Payload(c.Payload), family: at.family, path: at.path,
		wake: -1, sockets: make([]atomic.Uint64, (files+63)/64)}
	if r.listen, r.addr, err = at.open(); err != nil {
		remedy := ""
		if err == unix.EADDRINUSE {
			remedy = ": end the program that listens there, remove the socket's file, or take port 0"
		}
		return nil, fmt.Errorf("opening reflector at %s: %w%s", c.Listen, err, remedy)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		r.wake = int32(wake)
		err = r.openThreads(max(c.Threads, 1))
	}
	if err != nil {
		r.release()
		return nil, fmt.Errorf("opening reflector at %s: %w", c.Listen, err)
	}
	return r, nil
}

// Addr is the address with its port, or unix:PATH.
func (r *Reflector) Addr() string { return r.addr }

// Serve serves until Close. It may be called once.
func (r *Reflector) Serve() {
	var wg sync.WaitGroup
	for _, t := range r.threads {
		wg.Go(t.run)
	}
	wg.Wait()
	r.release()
}

// Close ends Serve, which closes all connections. It does not wait, and may be called at any time by anyone.
func (r *Reflector) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.released {
		// An eventfd takes a one in any state.
		_, _ = unix.Write(int(r.wake), []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// openThreads gives each thread its epoll. The first one accepts.
func (r *Reflector) openThreads(n int) error {
	for i := range n {
		t, err := newThread(r)
		if err != nil {
			return err
		}
		r.threads = append(r.threads, t)
		watched := []int32{r.wake}
		if i == 0 {
			watched = append(watched, r.listen)
		}
		for _, fd := range watched {
			if errno := t.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); errno != 0 {
				return fmt.Errorf("watching sockets: %w", errno)
			}
		}
	}
	return nil
}

// release closes whatever is open. No thread runs.
func (r *Reflector) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released = true
	for word := range r.sockets {
		for open := r.sockets[word].Load(); open != 0; open &= open - 1 {
			closeFD(int32(word*64 + bits.TrailingZeros64(open)))
		}
	}
	for _, t := range r.threads {
		closeFD(t.epoll)
	}
	closeFD(r.listen)
	if r.wake >= 0 {
		closeFD(r.wake)
	}
	if r.path != "" {
		// Gone already is as good.
		_ = unix.Unlink(r.path)
	}
}

// opened and closed keep book of the connections.
func (r *Reflector) opened(fd int32) bool {
	word := int(fd / 64)
	if word >= len(r.sockets) {
		return false // the limit was raised meanwhile
	}
	r.sockets[word].Or(1 << (fd % 64))
	return true
}

func (r *Reflector) closed(fd int32) { r.sockets[fd/64].And(^(uint64(1) << (fd % 64))) }

// filesCounted bounds the book of connections to 2 MiB.
const filesCounted = 1 << 24

// mostFiles is how many files this process may open, as far as they are counted.
func mostFiles() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("reading the limit of open files: %w", err)
	}
	return int(min(limit.Cur, filesCounted)), nil
}
