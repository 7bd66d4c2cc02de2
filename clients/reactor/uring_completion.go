package reactor

import (
	"golang.org/x/sys/unix"

	iouring "github.com/millrace/millrace/clients/reactor/ring"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/procfs"
)

func (t *uringTransport) handle(k int) {
	c := t.ring.Completion(k)
	if !c.More() {
		t.active--
	}
	i, gen := int32(uint32(c.Data)), uint32(c.Data>>32)&genOf
	switch c.Data & ofMask {
	case ofReceive:
		t.received(i, gen, c)
	case ofWatch, ofAgain:
		t.readable(i, gen, c)
	case ofSend:
		t.sent(i, c, t.taken+uint32(k))
	case ofPoll:
		if t.s.conns[i].fd >= 0 && t.s.conns[i].gen&genOf == gen {
			t.connected(i, c)
		}
	}
}

// connected takes a connection that has opened, or has not.
func (t *uringTransport) connected(i int32, c iouring.Completion) {
	conn := &t.s.conns[i]
	errno := c.Errno()
	if errno == 0 && c.Res&(unix.POLLERR|unix.POLLHUP) != 0 {
		if errno = sys.SocketError(conn.fd); errno == 0 {
			errno = unix.ECONNRESET
		}
	}
	if errno != 0 {
		t.s.refused(i, errno)
		return
	}
	gen := conn.gen
	t.s.opened(i)
	if conn.gen == gen {
		t.listen(i)
	}
}

// readable reads what has come on a connection that is read by hand. The kernel's time stamp of a send is an event as well.
func (t *uringTransport) readable(i int32, gen uint32, c iouring.Completion) {
	conn := &t.s.conns[i]
	if conn.fd < 0 || conn.gen&genOf != gen {
		return
	}
	if c.Data&ofMask == ofWatch {
		t.receiving[i] = c.More()
	}
	full := conn.gen
	more := t.receive(i, endingOf(uint32(c.Res)))
	switch {
	case conn.gen != full:
	case !t.receiving[i]:
		t.listen(i)
	case more:
		t.queue(i)
		t.ring.Poll(conn.fd, unix.POLLIN|unix.POLLRDHUP, t.data(ofAgain, i))
	}
}

// received hands the shard what has come, and sees to it that more can.
func (t *uringTransport) received(i int32, gen uint32, c iouring.Completion) {
	b := t.ring.Take(c)
	conn := &t.s.conns[i]
	if conn.fd >= 0 && conn.gen&genOf == gen {
		t.receiving[i] = c.More()
		t.s.now = procfs.Monotonic()
		full := conn.gen
		switch errno := c.Errno(); {
		case len(b) > 0:
			t.s.arrived(i, b)
		case errno == 0:
			t.s.eof(i)
		case errno != unix.ENOBUFS:
			t.s.failed(i, errno)
		}
		if conn.gen == full && !t.receiving[i] {
			t.listen(i)
		}
	}
	t.ring.Recycle(c)
}

// sent ends a send with its completion, which was the n-th of all.
func (t *uringTransport) sent(k int32, c iouring.Completion, n uint32) {
	x := &t.sends[k]
	t.spare = append(t.spare, k)
	conn := &t.s.conns[x.conn]
	if conn.gen != x.gen || conn.pending != k {
		return
	}
	conn.pending = -1
	age := t.submits - x.submit
	switch {
	case int(c.Res) < x.size:
		errno := c.Errno()
		if errno == 0 {
			errno = unix.EPIPE // after a part of it
		}
		t.s.failed(x.conn, errno)
	case age <= uint32(len(t.there)) && int32(n-t.there[x.submit%uint32(len(t.there))]) < 0:
		t.s.offer(x.conn) // it went at once: if the connection was not free meanwhile, that is the client's fault
	default:
		t.s.flushed(x.conn)
	}
}
