package reactor

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/procfs"
)

// readsAtOnce is how often a connection's socket is read in a row.
const readsAtOnce = 16

// reader reads from the sockets of a shard.
type reader struct {
	s   *shard
	buf []byte // everything read
}

// ending is what an event told of a socket beside bytes.
type ending uint8

const (
	noEnd     ending = iota
	endTold          // the server has sent all that it will
	errorTold        // the connection is broken, or the kernel has a time stamp of a send
)

// endingOf reads the events of epoll, which are those of poll.
func endingOf(events uint32) ending {
	switch {
	case events&(unix.EPOLLHUP|unix.EPOLLERR) != 0:
		return errorTold
	case events&unix.EPOLLRDHUP != 0:
		return endTold
	}
	return noEnd
}

// receive reads what has arrived on connection i, and hands it to the shard. A read that doesn't fill the buffer has emptied
// the socket: of one whose end the event told the next would read that end, and of a broken one the error. A server that sends
// without an end gets readsAtOnce, and the other connections and the clock their turn: then there is more.
func (t *reader) receive(i int32, told ending) (more bool) {
	c := &t.s.conns[i]
	gen := c.gen
	for range readsAtOnce {
		n, errno := t.read(i)
		t.s.now = procfs.Monotonic()
		switch {
		case errno == unix.EAGAIN:
			return false
		case errno == unix.EINTR:
			continue
		case errno != 0:
			t.s.failed(i, errno)
			return false
		case n == 0:
			t.s.eof(i)
			return false
		}
		t.s.arrived(i, t.buf[:n])
		switch {
		case c.gen != gen:
			return false
		case n == len(t.buf) || told == errorTold:
		case told == endTold:
			t.s.eof(i)
			return false
		default:
			return false
		}
	}
	return true
}

// read reads what has arrived on connection i, with the kernel's time stamp where that is wanted.
func (t *reader) read(i int32) (n int, errno syscall.Errno) {
	c := &t.s.conns[i]
	if p := t.s.stamps; p.conn == i && p.gen == c.gen {
		var at int64
		if n, at, errno = p.Read(c.fd, t.buf); at != 0 {
			p.arrived = at
		}
		return n, errno
	}
	return sys.Receive(c.fd, t.buf)
}
