// Package reflect holds servers with scripted delays and faults: the known answers that load engines are tested and
// calibrated against. They listen on loopback, in the process of the test or in a child (see Serve).
//
// A Reflector is one locked thread with one epoll. It computes when each reply departs and sends it then, to within the
// time that a thread takes to wake up: Go's own timers, rounded up to a millisecond, would bend every prediction.
package reflect

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/clients/reactor/sys"
)

// Script is what a Reflector does. The zero value, with a Protocol, answers every request at once. Durations are not
// negative. It is data, and travels to a child as JSON.
type Script struct {
	Protocol string // "http1" or "frame"
	// TLS secures the connections, with a certificate that nobody signed. It costs some 50 µs, and rounds nothing.
	TLS bool
	// Host is the address to listen on, 127.0.0.1 by default.
	Host string
	// Body of http1 replies to requests without one of their own; frames and bodies are echoed.
	Body []byte
	// Status of http1 replies, 200 by default.
	Status int
	// Delay between a request and its reply. The requests of one connection are served one after the other, and it
	// delays nothing on other connections.
	Delay time.Duration
	// SlowDelay takes the place of Delay for every SlowEvery-th request over all connections; zero: for none.
	SlowDelay time.Duration
	SlowEvery int
	// WorkDelay is added for requests that ask for work.
	WorkDelay time.Duration
	// Service, where it is not zero, makes all connections queue for one server that takes so long for a request, in the
	// order in which they arrive. With Exponential, request k takes Service times value k of NewService(Seed).
	Service     time.Duration
	Exponential bool
	Seed        uint64
	// The server answers nothing from FreezeAt after the first request on, for FreezeFor; and with FreezeEvery again
	// every FreezeEvery from then on.
	FreezeAt, FreezeFor, FreezeEvery time.Duration
	// Spin has the reflector's thread keep its CPU while connections are open, where it speaks no TLS: a virtual CPU that
	// halts may be woken milliseconds late, and one that does not halt knows what the host took of it (Counts.Stalled).
	Spin bool
	// CloseAfter closes a connection after so many replies, without saying so before. Zero never does.
	CloseAfter int
	// Fault is one of Faults, or empty. It befalls every Every-th request of a connection, by default each.
	Fault string
	Every int
}

// Counts is what a reflector has counted.
type Counts struct {
	Accepted int64 // connections
	Handled  int64 // whole requests
	Worked   int64 // of them, those that asked for work
	Faulty   int64 // of them, those that the Fault befell
	// Stalled is how long a thread that spins did not run, in stretches of 1 ms or more.
	Stalled time.Duration
}

// Reflector is a running server. Its methods may be called by any goroutine.
type Reflector struct {
	// Accepted, Handled, Worked and Faulty are those of Counts. A request is counted before it is answered.
	Accepted, Handled, Worked, Faulty atomic.Int64

	stalled atomic.Int64 // ns

	script Script
	addr   string
	loop   *loop
	front  *front // nil without TLS
	wg     sync.WaitGroup
	once   sync.Once
}

// Start listens on a free port and serves until Close.
func Start(s Script) (*Reflector, error) {
	if err := s.complete(); err != nil {
		return nil, fmt.Errorf("starting reflector: %w", err)
	}
	fd, addr, err := listenAt(net.JoinHostPort(s.Host, "0"))
	if err != nil {
		return nil, fmt.Errorf("starting reflector: %w", err)
	}
	r := &Reflector{script: s, addr: addr}
	if r.loop, err = newLoop(r, fd); err != nil {
		sys.Close(fd)
		return nil, fmt.Errorf("starting reflector: %w", err)
	}
	r.wg.Go(r.loop.run)
	if s.TLS {
		if r.front, err = startFront(addr); err != nil {
			return nil, errors.Join(fmt.Errorf("starting reflector: %w", err), r.Close())
		}
	}
	return r, nil
}

// complete checks a script and fills in its defaults.
func (s *Script) complete() error {
	switch {
	case !slices.Contains([]string{"http1", "frame"}, s.Protocol):
		return fmt.Errorf("protocol %q: want http1 or frame", s.Protocol)
	case s.Fault != "" && !slices.Contains(Faults, s.Fault):
		return fmt.Errorf("fault %q: want one of %s", s.Fault, strings.Join(Faults, ", "))
	case s.FreezeEvery > 0 && s.FreezeEvery <= s.FreezeFor:
		return fmt.Errorf("a freeze of %v every %v: want it shorter", s.FreezeFor, s.FreezeEvery)
	}
	if s.Host == "" {
		s.Host = "127.0.0.1"
	}
	if s.Status == 0 {
		s.Status = 200
	}
	s.Every = max(s.Every, 1)
	s.Spin = s.Spin && !s.TLS // its goroutines need the CPU
	return nil
}

// URL is where the reflector answers.
func (r *Reflector) URL() string {
	scheme := map[string]string{"http1": "http", "frame": "frame"}[r.script.Protocol]
	if r.front != nil {
		return scheme + "s://" + r.front.listener.Addr().String()
	}
	return scheme + "://" + r.addr
}

// Counts is what it has counted so far.
func (r *Reflector) Counts() (Counts, error) {
	return Counts{r.Accepted.Load(), r.Handled.Load(), r.Worked.Load(), r.Faulty.Load(), time.Duration(r.stalled.Load())}, nil
}

// Process is the id of the process that it runs in: this one.
func (r *Reflector) Process() int { return os.Getpid() }

// Close stops listening, closes all connections and waits for everything to end.
func (r *Reflector) Close() error {
	r.once.Do(func() {
		if r.front != nil {
			r.front.close()
		}
		r.loop.stop()
	})
	r.wg.Wait()
	return nil
}
