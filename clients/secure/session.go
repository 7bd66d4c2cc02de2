package secure

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/procfs"
)

// Session is TLS on one socket that is nonblocking and open. Until it is settled the socket belongs to the handshake's
// goroutine; then all belongs to the engine's thread, which moves the bytes itself:
//
//	s.Feed(received)
//	for {
//		n, err := s.Next(buf)    // n plain bytes, until err is ErrMore
//	}
//
// What is to be written to the socket, by Seal, Next or Close, is appended to the buffer that Start was given.
type Session struct {
	tls    *tls.Conn
	wire   conduit
	client *Client

	mu        sync.Mutex // of what follows, until settled
	settled   bool
	abandoned bool
	reset     bool // how an abandoned socket is closed
	err       error
	took      int64
	notify    func()
}

// ErrMore says that all bytes fed were used up. It is what a socket whose read deadline has passed returns, after which
// crypto/tls goes on reading where it was.
var ErrMore = os.ErrDeadlineExceeded

// Start begins the handshake on a socket. All sessions of a thread may share out. notify is called once, by another
// goroutine, when the handshake is settled, unless the session is closed before; it must not call the session.
func (c *Client) Start(fd int32, out *[]byte, notify func()) *Session {
	s := &Session{client: c, notify: notify, wire: conduit{fd: fd, out: out, wake: make(chan struct{}, 1), turns: c.turns}}
	s.tls = tls.Client(&s.wire, c.config)
	c.wg.Go(s.shake)
	return s
}

func (s *Session) shake() {
	begun := procfs.Monotonic()
	s.client.turns <- struct{}{}
	err := s.tls.Handshake()
	<-s.client.turns
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled, s.err, s.took = true, err, procfs.Monotonic()-begun
	if s.abandoned {
		shut(s.wire.fd, s.reset)
		return
	}
	s.wire.shaken = true
	s.notify()
}

// Wake tells the handshake that the socket may have something to read, or to write to.
func (s *Session) Wake() {
	select {
	case s.wire.wake <- struct{}{}:
	default:
	}
}

// Settled reports whether the handshake is over, well or not.
func (s *Session) Settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled
}

// Close closes the socket, if the handshake is still under way as soon as it lets go of it. With reset the server gets a
// reset; otherwise it is told the end of TLS before that of TCP, unless it was the first to end either.
func (s *Session) Close(reset bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settled {
		s.abandoned, s.reset = true, reset
		s.wire.quit.Store(true)
		s.Wake()
		return
	}
	if !reset && s.err == nil && !s.wire.over {
		// What can't be written, or the socket does not take at once, the server learns from TCP.
		_ = s.tls.CloseWrite()
		if out := *s.wire.out; len(out) > 0 {
			_, _ = sys.Send(s.wire.fd, out)
			*s.wire.out = out[:0]
		}
	}
	shut(s.wire.fd, reset)
}

func shut(fd int32, reset bool) {
	if reset {
		sys.ResetOnClose(fd)
	}
	sys.Close(fd)
}

// Feed takes bytes that have come. They must stay as they are until Next returns ErrMore.
func (s *Session) Feed(received []byte) { s.wire.in = received }

// Next reads decrypted bytes into a buffer, and returns ErrMore where there are none left, io.EOF where the server has ended
// TLS as it should, and another error where this is no TLS any more.
func (s *Session) Next(b []byte) (int, error) {
	n, err := s.tls.Read(b)
	if err != nil && err != ErrMore {
		s.wire.over = true
	}
	return n, err
}

// Seal encrypts bytes to be sent.
func (s *Session) Seal(plain []byte) error {
	_, err := s.tls.Write(plain)
	return err
}

// Ended tells that the server has closed TCP.
func (s *Session) Ended() { s.wire.over = true }

// conduit is the net.Conn below a session. During the handshake its goroutine reads and writes the socket; afterwards it
// gives what it was fed, and keeps what is to be written.
type conduit struct {
	fd     int32
	shaken bool
	over   bool // the server ended it, or it is broken
	errno  syscall.Errno

	wake  chan struct{}
	quit  atomic.Bool
	turns chan struct{}

	in  []byte
	out *[]byte
}

var _ net.Conn = (*conduit)(nil)

func (c *conduit) Read(b []byte) (int, error) {
	if c.shaken {
		if len(c.in) == 0 {
			return 0, ErrMore
		}
		n := copy(b, c.in)
		c.in = c.in[n:]
		return n, nil
	}
	for {
		n, errno := sys.Receive(c.fd, b)
		switch {
		case c.quit.Load():
			return 0, net.ErrClosed
		case errno == unix.EAGAIN:
			c.await()
		case errno == unix.EINTR:
		case errno != 0:
			c.errno = errno
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (c *conduit) Write(b []byte) (int, error) {
	if c.shaken {
		*c.out = append(*c.out, b...)
		return len(b), nil
	}
	for sent := 0; sent < len(b); {
		n, errno := sys.Send(c.fd, b[sent:])
		switch {
		case c.quit.Load():
			return sent, net.ErrClosed
		case errno == unix.EAGAIN:
			c.await()
		case errno == unix.EINTR:
		case errno != 0:
			c.errno = errno
			return sent, errno
		default:
			sent += n
		}
	}
	return len(b), nil
}

// await lets others compute until something happens to the socket.
func (c *conduit) await() {
	<-c.turns
	<-c.wake
	c.turns <- struct{}{}
}

// The engine's thread closes the socket and watches the time.

func (c *conduit) Close() error                     { return nil }
func (c *conduit) LocalAddr() net.Addr              { return nil }
func (c *conduit) RemoteAddr() net.Addr             { return nil }
func (c *conduit) SetDeadline(time.Time) error      { return nil }
func (c *conduit) SetReadDeadline(time.Time) error  { return nil }
func (c *conduit) SetWriteDeadline(time.Time) error { return nil }
