package reflect

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/wire"
)

// The faults of a Pusher: what befalls every Every-th frame of a channel.
const (
	PushGap       = "gap"        // it is never sent
	PushDuplicate = "duplicate"  // it is sent twice
	PushReordered = "reordered"  // it is sent behind the next one
	PushWrongBody = "wrong-body" // a payload of the right length and another last byte
	PushSlow      = "slow"       // it is sent Delay after its clock was read, and so is what comes behind it
	PushFuture    = "future"     // its clock is an hour ahead
	PushClose     = "close"      // behind it every subscriber's connection is closed
	PushReset     = "reset"      // behind it every subscriber's connection is reset
	PushGarbage   = "garbage"    // bytes that are no frame
	PushStop      = "stop"       // behind the first one nothing comes any more, and the connections stay open
)

// PushFaults is the closed set of them.
var PushFaults = []string{
	PushGap, PushDuplicate, PushReordered, PushWrongBody, PushSlow, PushFuture, PushClose, PushReset, PushGarbage, PushStop,
}

// maxPushRate is more frames a second than one thread makes.
const maxPushRate = 1e6

// PushScript is what a Pusher does. It is data.
type PushScript struct {
	// Listen is HOST:PORT or unix:PATH; 127.0.0.1:0 by default.
	Listen string
	// Rate is the frames a second of each channel, every one of which goes to all who subscribe to it; above 0. They are
	// at equal distances, or with Exponential at those of NewService(Seed).
	Rate        float64
	Exponential bool
	Seed        uint64
	// Payload is the bytes behind the clock.
	Payload int
	// Fault is one of PushFaults, or empty. It befalls every Every-th frame, by default each.
	Fault string
	Every int
	// Delay is that of PushSlow.
	Delay time.Duration
}

// Validate says what is wrong with a script.
func (s *PushScript) Validate() error {
	switch {
	case !(s.Rate > 0 && s.Rate <= maxPushRate):
		return fmt.Errorf("push rate %v: want more than 0 and at most %.0f frames a second", s.Rate, maxPushRate)
	case s.Payload < 0 || s.Payload > wire.MaxBody-wire.PushHead:
		return fmt.Errorf("push payload %d: want 0 to %d bytes", s.Payload, wire.MaxBody-wire.PushHead)
	case s.Fault != "" && !slices.Contains(PushFaults, s.Fault):
		return fmt.Errorf("push fault %q: want one of %s", s.Fault, strings.Join(PushFaults, ", "))
	case s.Every < 0 || s.Every > math.MaxInt32:
		return fmt.Errorf("push fault in every %d frames: want 1 or more", s.Every)
	case s.Delay < 0:
		return fmt.Errorf("push delay %v: want 0 or more", s.Delay)
	}
	return nil
}

// Pusher is a server that sends frames on its own to whoever has subscribed, from one locked thread. A frame's clock is read
// once, when it is due and made; so the time that it takes to hand it to many subscribers is part of its delivery. It begins
// with number 1 when a channel has its first subscriber, and goes on while there is none. Its methods may be called by any
// goroutine.
type Pusher struct {
	// Accepted connections; Subscribed of them, ever; Made frames over all channels; Pushed copies of them that the sockets,
	// or what waits for them, took; Faulty of the frames made, those that the Fault befell.
	Accepted, Subscribed, Made, Pushed, Faulty atomic.Int64
	// Dropped counts connections that were closed since their client read too slowly, or sent no subscribe frame.
	Dropped atomic.Int64
	// Beats counts the heartbeats that came.
	Beats atomic.Int64

	script PushScript
	addr   string
	path   string // of a unix socket, to be removed
	loop   *pushLoop
	wg     sync.WaitGroup
	once   sync.Once
}

// StartPush listens and serves until Close.
func StartPush(s PushScript) (*Pusher, error) {
	if s.Listen == "" {
		s.Listen = "127.0.0.1:0"
	}
	s.Every = max(s.Every, 1)
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("starting push reflector: %w", err)
	}
	p := &Pusher{script: s}
	var fd int32
	var err error
	if p.path, _ = strings.CutPrefix(s.Listen, "unix:"); p.path != s.Listen {
		p.addr = s.Listen
		fd, err = listenUnix(p.path)
	} else {
		p.path = ""
		fd, p.addr, err = listenAt(s.Listen)
	}
	if err != nil {
		return nil, fmt.Errorf("starting push reflector: %w", err)
	}
	if p.loop, err = newPushLoop(p, fd); err != nil {
		sys.Close(fd)
		return nil, fmt.Errorf("starting push reflector: %w", err)
	}
	p.wg.Go(p.loop.run)
	return p, nil
}

// listenUnix opens a listening socket at a path where nothing is.
func listenUnix(path string) (int32, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		sys.Close(int32(fd))
		return -1, fmt.Errorf("listening at %s: %w", path, err)
	}
	return int32(fd), nil
}

// Addr is host:port, or unix:PATH.
func (p *Pusher) Addr() string { return p.addr }

// URL is where it answers; of a unix socket it names a host that nobody asks.
func (p *Pusher) URL() string {
	if p.path != "" {
		return "push://unix:1"
	}
	return "push://" + p.addr
}

// Close stops listening, closes all connections and waits for the thread to end.
func (p *Pusher) Close() error {
	p.once.Do(p.loop.stop)
	p.wg.Wait()
	if p.path != "" {
		if err := os.Remove(p.path); err != nil && !errors.Is(err, syscall.ENOENT) {
			return fmt.Errorf("removing socket: %w", err)
		}
	}
	return nil
}

// listenAt opens a listening socket at HOST:PORT, port 0 being a free one.
func listenAt(address string) (fd int32, addr string, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return 0, "", err
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return 0, "", err
	}
	// A duplicate, so that it is ours alone and not in the runtime's poller.
	var bad error
	err = raw.Control(func(own uintptr) {
		var n int
		n, bad = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
		fd = int32(n)
	})
	if err == nil {
		err = bad
	}
	return fd, l.Addr().String(), err
}
