package conn

import (
	"io"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
)

// buffer is what a connection reads into and writes from.
type buffer struct {
	in  kit.Input
	out []byte
}

func newBuffer() *buffer { return &buffer{in: kit.NewInput()} }

// pool holds the buffers of Pooled that no connection has at the moment.
var pool = sync.Pool{New: func() any { return newBuffer() }}

// Pooled is Half with buffers from a sync.Pool. A connection has one while it reads and answers, and none while it waits for
// input, unless that is the rest of a request.
func Pooled(env *kit.Env, c *net.TCPConn) { serveLent(env, c, true) }

// OnDemand is Pooled with new buffers each time.
func OnDemand(env *kit.Env, c *net.TCPConn) { serveLent(env, c, false) }

// lent is a connection that has a buffer only now and then. Go's net reads into a buffer that is there before the input; so it
// reads by itself, when the runtime's poller says that there is something.
type lent struct {
	fd     int
	pooled bool
	waited bool // for input, since the last read
	buffer *buffer
	err    error // of the last read
}

func serveLent(env *kit.Env, c *net.TCPConn, pooled bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	session := env.NewSession()
	if env.Pushes() {
		p := startPusher(c, &session)
		defer p.end()
	}
	l := &lent{pooled: pooled}
	defer l.release()
	for read := l.read; ; {
		l.waited = false
		if raw.Read(read) != nil || l.err != nil || !answer(c, &session, &l.buffer.in, &l.buffer.out) {
			return
		}
		if len(l.buffer.in.Bytes()) == 0 {
			l.release()
		}
	}
}

// read is called while there may be input, and reports whether it is done. A pool's buffer costs little, so that trying takes
// one; a new one is made only once there is input.
func (l *lent) read(fd uintptr) (done bool) {
	l.fd = int(fd)
	if l.buffer == nil {
		if !l.pooled && !l.waited && !l.readable() {
			l.waited = true
			return false
		}
		l.take()
	}
	l.err = l.buffer.in.Read(l)
	if l.err != unix.EAGAIN {
		return true
	}
	l.err, l.waited = nil, true
	if len(l.buffer.in.Bytes()) == 0 {
		l.release()
	}
	return false
}

// Read reads what is there; unix.EAGAIN where that is nothing.
func (l *lent) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(l.fd, p)
		switch {
		case err == unix.EINTR:
			continue
		case n == 0 && err == nil:
			return 0, io.EOF
		}
		return max(n, 0), err
	}
}

// readable reports whether a read would return something: bytes, the end, or an error.
func (l *lent) readable() bool {
	var b [1]byte
	_, _, err := unix.Recvfrom(l.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err != unix.EAGAIN && err != unix.EINTR
}

func (l *lent) take() {
	if l.pooled {
		l.buffer = pool.Get().(*buffer)
	} else {
		l.buffer = newBuffer()
	}
}

// release gives the buffer back, without what is left in it.
func (l *lent) release() {
	if l.pooled && l.buffer != nil {
		l.buffer.in.Take(len(l.buffer.in.Bytes()))
		pool.Put(l.buffer)
	}
	l.buffer = nil
}
