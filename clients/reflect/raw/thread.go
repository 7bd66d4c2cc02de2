package raw

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/internal/wire"
)

const (
	// readBuffer is more than a loopback socket holds by default.
	readBuffer = 256 << 10
	// eventsAtOnce are taken at a time.
	eventsAtOnce = 256
	// acceptsAtOnce are taken before the next look at the connections.
	acceptsAtOnce = 64
	// watched is what a connection is watched for, edge-triggered; blocked, what one is whose socket takes no more.
	watched = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	blocked = watched | unix.EPOLLOUT
	// spinFor is longer than the gaps of any load that is worth measuring, and short to a human.
	spinFor = time.Millisecond
	// lingerMost connections at a time are read to their end after a refusal; others are closed at once.
	lingerMost = 1000
	// lingerBytes are read of one at most: four of the largest requests.
	lingerBytes = 8 << 20
)

// thread serves its share of the connections. The first one accepts them all.
type thread struct {
	r      *Reflector
	epoll  int32
	events []unix.EpollEvent
	in     []byte // what was read last, of connections that hold nothing
	out    []byte // replies to it
	// held are the connections of this thread with something in the middle: a request or a reply.
	held  map[int32]*half
	known memory
	fresh half // of a connection that holds nothing
	// nextThread gets the next connection.
	nextThread int
	lingering  int
}

// half is a connection in the middle of something.
type half struct {
	in   []byte // the beginning of a request
	out  []byte // the rest of replies; nothing is read until it is gone
	req  wire.Request
	told bool // 100 Continue was sent for it
	// last means that the connection ends with out; linger, that it is ended and its input thrown away.
	last, linger bool
	dropped      int // bytes, since it lingers
}

func newThread(r *Reflector) (*thread, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("opening epoll: %w", err)
	}
	return &thread{r: r, epoll: int32(epoll), events: make([]unix.EpollEvent, eventsAtOnce), in: make([]byte, readBuffer), held: map[int32]*half{}}, nil
}

func (t *thread) control(op int, fd int32, events uint32) syscall.Errno {
	ev := unix.EpollEvent{Events: events, Fd: fd}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(t.epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// wait returns the events there are, and blocks without any. A call that can block goes through Syscall6, lest the
// scheduler wait for it; under load there is no need to.
func (t *thread) wait() []unix.EpollEvent {
	list, size := uintptr(unsafe.Pointer(&t.events[0])), uintptr(len(t.events))
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(t.epoll), list, size, 0, 0, 0)
	if n == 0 && t.r.spin {
		for until := time.Now().Add(spinFor); n == 0 && time.Now().Before(until); {
			n, _, errno = syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(t.epoll), list, size, 0, 0, 0)
		}
	}
	for n == 0 || errno == unix.EINTR {
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(t.epoll), list, size, ^uintptr(0), 0, 0)
	}
	if errno != 0 {
		panic("raw: waiting for events: " + errno.Error()) // of this epoll and this list it can't fail
	}
	return t.events[:n]
}

// run serves until the reflector is closed.
func (t *thread) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		for _, ev := range t.wait() {
			switch ev.Fd {
			case t.r.wake:
				return
			case t.r.listen:
				t.accept()
			default:
				t.serve(ev.Fd, ev.Events)
			}
		}
	}
}

// accept takes connections and hands each to the next thread. One of its own is read at once: where many come, their
// requests are here already, and one that ends with its reply is never watched at all.
func (t *thread) accept() {
	for range acceptsAtOnce {
		fd, errno := acceptOne(t.r.listen)
		switch {
		case errno == unix.EMFILE || errno == unix.ENFILE:
			if t.r.full.Swap(true) {
				return
			}
			t.control(unix.EPOLL_CTL_DEL, t.r.listen, 0) // until a connection is closed, perhaps just now
			continue
		case errno == unix.ECONNABORTED || errno == unix.EINTR:
			continue
		case errno != 0:
			return
		case !t.r.opened(fd):
			closeFD(fd)
			continue
		}
		to := t.r.threads[t.nextThread]
		if t.nextThread++; t.nextThread == len(t.r.threads) {
			t.nextThread = 0
		}
		var mask uint32 = watched
		if to == t {
			if !t.serve(fd, 0) {
				continue
			}
			if h := t.held[fd]; h != nil && len(h.out) > 0 {
				mask = blocked
			}
		}
		if to.control(unix.EPOLL_CTL_ADD, fd, mask) != 0 {
			t.close(fd)
		}
	}
}

// serve answers what has come on a connection, and reports whether it lives on.
func (t *thread) serve(fd int32, events uint32) bool {
	if len(t.held) > 0 {
		if h := t.held[fd]; h != nil {
			return t.resume(fd, h)
		}
	}
	for {
		n, errno := receive(fd, t.in)
		switch {
		case errno == unix.EAGAIN:
			return true
		case errno == unix.EINTR:
			continue
		case errno != 0 || n == 0:
			t.close(fd)
			return false
		}
		if alive, whole := t.answer(fd, t.in[:n]); !alive || !whole {
			return alive
		}
		// Less than was asked for is all there is, unless the end follows; what comes later is another event.
		if n < len(t.in) && events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			return true
		}
	}
}

// answer answers the requests in b, which begins with one. whole is false where the connection is held now.
func (t *thread) answer(fd int32, b []byte) (alive, whole bool) {
	n, out, last := t.take(&t.fresh, b)
	sent, ok := t.send(fd, out)
	switch {
	case !ok:
		t.close(fd)
		return false, false
	case sent == len(out) && last:
		return t.end(fd, nil, n == len(b)), false
	case sent == len(out) && n == len(b):
		return true, true
	}
	h := &half{req: t.fresh.req, told: t.fresh.told, in: append([]byte(nil), b[n:]...), out: append([]byte(nil), out[sent:]...), last: last}
	t.fresh = half{}
	t.held[fd] = h
	if len(h.out) > 0 {
		t.control(unix.EPOLL_CTL_MOD, fd, blocked) // one that is not yet watched will be
		return true, false
	}
	return t.resume(fd, h), false
}

// resume goes on with a connection that was held, and reports whether it lives on.
func (t *thread) resume(fd int32, h *half) bool {
	for {
		if len(h.out) > 0 {
			sent, ok := t.send(fd, h.out)
			if !ok {
				t.close(fd)
				return false
			}
			if h.out = h.out[sent:]; len(h.out) > 0 {
				return true
			}
			h.out = nil
			t.control(unix.EPOLL_CTL_MOD, fd, watched)
			if h.last {
				return t.end(fd, h, false)
			}
		}
		h.in = grow(h.in)
		n, errno := receive(fd, h.in[len(h.in):cap(h.in)])
		switch {
		case errno == unix.EAGAIN:
			if len(h.in) == 0 && !h.linger {
				delete(t.held, fd)
			}
			return true
		case errno == unix.EINTR:
			continue
		case errno != 0 || n == 0:
			t.close(fd)
			return false
		}
		if h.linger {
			if h.dropped += n; h.dropped > lingerBytes {
				t.close(fd)
				return false
			}
			continue
		}
		h.in = h.in[:len(h.in)+n]
		took, out, last := t.take(h, h.in)
		sent, ok := t.send(fd, out)
		if !ok {
			t.close(fd)
			return false
		}
		if last && sent == len(out) {
			return t.end(fd, h, took == len(h.in))
		}
		if h.last = last; sent < len(out) {
			h.out = append(h.out, out[sent:]...)
			t.control(unix.EPOLL_CTL_MOD, fd, blocked)
		}
		h.in = h.in[:copy(h.in, h.in[took:])]
	}
}

// growBy is how much a held connection reads at a time.
const growBy = 64 << 10

// grow makes room behind the beginning of a request. Doubling keeps the copying linear in the request's size.
func grow(b []byte) []byte {
	if cap(b)-len(b) >= growBy/2 {
		return b
	}
	return append(make([]byte, 0, 2*len(b)+growBy), b...)
}

// send writes and returns how much the socket took; ok is false when the connection is broken.
func (t *thread) send(fd int32, b []byte) (sent int, ok bool) {
	for sent < len(b) {
		n, errno := transmit(fd, b[sent:])
		switch errno {
		case 0:
			sent += n
		case unix.EAGAIN:
			return sent, true
		case unix.EINTR:
		default:
			return sent, false
		}
	}
	return sent, true
}

// end ends a connection after its last reply: at once where all of its input was read, otherwise with a FIN and once the
// peer has ended too, since a close with unread input sends a reset, which may overtake the reply. It reports whether
// the connection lives on.
func (t *thread) end(fd int32, h *half, clean bool) bool {
	if clean || t.lingering >= lingerMost {
		t.close(fd)
		return false
	}
	shutWrite(fd)
	if h == nil {
		h = &half{}
		t.held[fd] = h
	}
	h.in, h.out, h.linger = h.in[:0], nil, true
	t.lingering++
	return t.resume(fd, h)
}

func (t *thread) close(fd int32) {
	if h := t.held[fd]; h != nil {
		if h.linger {
			t.lingering--
		}
		delete(t.held, fd)
	}
	t.r.closed(fd)
	closeFD(fd)
	if t.r.full.Load() && t.r.full.Swap(false) {
		t.r.threads[0].control(unix.EPOLL_CTL_ADD, t.r.listen, unix.EPOLLIN)
	}
}
