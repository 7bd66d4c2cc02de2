package reactor

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
)

// transport moves the bytes of one shard's connections, and belongs to its thread. It tells what happens by calling the
// shard: opened or refused of a connection that was watched; arrived, eof or failed of an open one.
type transport interface {
	// watch takes connection i, whose socket is connecting. With an error it has not.
	watch(i int32) syscall.Errno
	// write sends bytes on connection i, which has none pending. They are lasting if they never change; others are copied
	// where they are kept. What the kernel does not take at once is pending (conn.pending ≥ 0), and no room until it is
	// gone.
	write(i int32, b []byte, lasting bool)
	// submit hands the kernel what was written, if it has not been yet, and returns when the kernel began with it; zero if all
	// that is known is that it has.
	submit() (begun int64)
	// wait blocks for at most ns if there are no events, and returns how many handle can take: k in [0, n).
	wait(ns int64) int
	handle(k int)
	// close closes the socket of connection i, and drops what was pending. With reset the server gets a reset.
	close(i int32, reset bool)
	// free gives everything back, once all connections are closed.
	free()
}

func newTransport(s *shard) (transport, error) {
	if s.e.secure != nil {
		return newSecureTransport(s, s.e.secure)
	}
	if s.e.plan.Engine == uringName {
		return newUringTransport(s)
	}
	return newEpollTransport(s)
}

// epollTransport is the transport on epoll: one write and one read a request beside the shared waits.
type epollTransport struct {
	reader
	poll *sys.Poller

	unsent [][]byte // by conn.pending: the rest of a write
	spare  []int32  // free indexes of unsent
}

var _ transport = (*epollTransport)(nil)

func newEpollTransport(s *shard) (*epollTransport, error) {
	poll, err := sys.NewPoller(maxEvents)
	if err != nil {
		return nil, err
	}
	return &epollTransport{reader: reader{s, make([]byte, readBuffer)}, poll: poll}, nil
}

func (t *epollTransport) watch(i int32) syscall.Errno {
	c := &t.s.conns[i]
	return t.poll.Add(c.fd, i, c.gen)
}

func (t *epollTransport) submit() int64 { return 0 }

func (t *epollTransport) wait(ns int64) int { return t.poll.Wait(ns) }

func (t *epollTransport) free() { t.poll.Close() }

func (t *epollTransport) close(i int32, reset bool) {
	c := &t.s.conns[i]
	if reset {
		sys.ResetOnClose(c.fd)
	}
	sys.Close(c.fd)
	t.drop(i)
}

func (t *epollTransport) write(i int32, b []byte, _ bool) {
	n, errno := t.send(i, b)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		t.keep(i, b)
	case errno != 0:
		t.s.failed(i, errno)
	case n < len(b):
		t.keep(i, b[n:])
	}
}

// keep stores the unsent rest of a write.
func (t *epollTransport) keep(i int32, rest []byte) {
	if len(t.spare) == 0 {
		t.unsent = append(t.unsent, nil)
		t.spare = append(t.spare, int32(len(t.unsent)-1))
	}
	last := len(t.spare) - 1
	k := t.spare[last]
	t.spare = t.spare[:last]
	t.unsent[k] = append(t.unsent[k][:0], rest...)
	t.s.conns[i].pending = k
}

// drop frees the rest of a write.
func (t *epollTransport) drop(i int32) {
	if k := t.s.conns[i].pending; k >= 0 {
		t.spare = append(t.spare, k)
		t.s.conns[i].pending = -1
	}
}

// flush goes on with a write.
func (t *epollTransport) flush(i int32) {
	k := t.s.conns[i].pending
	n, errno := sys.Send(t.s.conns[i].fd, t.unsent[k])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0:
		t.s.failed(i, errno)
	case n == len(t.unsent[k]):
		t.drop(i)
		t.s.flushed(i)
	default:
		t.unsent[k] = t.unsent[k][:copy(t.unsent[k], t.unsent[k][n:])]
	}
}

func (t *epollTransport) handle(k int) {
	ev := &t.poll.Events[k]
	i, gen, events := ev.Fd, uint32(ev.Pad), ev.Events
	c := &t.s.conns[i]
	if c.gen != gen || c.fd < 0 {
		return
	}
	switch {
	case c.state == connecting && events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		errno := sys.SocketError(c.fd)
		if errno == 0 {
			errno = unix.ECONNRESET
		}
		t.s.refused(i, errno)
		return
	case c.state == connecting:
		if events&unix.EPOLLOUT == 0 {
			return
		}
		t.s.opened(i)
	case events&unix.EPOLLOUT != 0 && c.pending >= 0:
		t.flush(i)
	}
	told := endingOf(events)
	if (events&unix.EPOLLIN != 0 || told != noEnd) && c.gen == gen {
		if t.receive(i, told) {
			// Of an open socket it can't fail.
			_ = t.poll.Again(c.fd, i, c.gen)
		}
	}
}

// streamOutcome is the drawer of an error on an open connection. Whatever is not known counts as a reset.
func streamOutcome(errno syscall.Errno) clients.Outcome {
	if errno == unix.ETIMEDOUT {
		return clients.Timeout
	}
	return clients.Reset
}
