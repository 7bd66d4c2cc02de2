package reactor

import (
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	iouring "github.com/millrace/millrace/clients/reactor/ring"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/procfs"
)

// uringName is the engine's in clients.Engines and in reports.
const uringName = "uring"

// probeRing reports why there is no io_uring here.
var probeRing = iouring.Probe

// runnable is the engine that runs when one is asked for, and why it is another one: where there is no io_uring, it is epoll.
func runnable(engine string) (name, note string) {
	switch engine {
	case secureName:
		return secureName, ""
	case uringName:
		err := probeRing()
		if err == nil {
			return uringName, ""
		}
		note = fmt.Sprintf("engine %s fell back to %s: %v", uringName, clients.Engines[0], err)
	}
	return clients.Engines[0], note
}

const (
	// ringSubmissions are queued at most before they are submitted; ringCompletions is what these and a batch can bring.
	ringSubmissions = 1024
	ringCompletions = 8192
	// ringBuffers of ringBuffer bytes take what is received. All of them lie in a core's own cache.
	ringBuffers = 32
	ringBuffer  = 16 << 10
	// openTaken completions are taken at a time in an open loop: what becomes due meanwhile is late by as long as they take.
	openTaken = 16
	// closedTaken are taken at a time in a closed loop. A wait there is for closedWait of them, or one in closedShare of all
	// that could come, and for several no longer than one closedPart-th of a mean service time, and closedMost ns.
	closedTaken = 1024
	closedWait  = 256
	closedShare = 8
	closedPart  = 10
	closedMost  = 500_000
	// freeTries waits of freeWait ns are for the completions of what is cancelled at the end.
	freeTries = 1000
	freeWait  = 1_000_000
	// byHandEvery is one of how many kept connections is read with a system call of its own, because only such a one comes
	// with the kernel's time stamps.
	byHandEvery = 64
)

// What a completion is of, in the highest byte of its data. Below it lie 24 bits of the connection's generation and the
// connection, or the index of a sending.
const (
	ofPoll = uint64(iota) << 56
	ofReceive
	ofWatch
	ofAgain
	ofSend
	ofCancel
	ofMask = uint64(0xff) << 56
	genOf  = 0xffffff
)

// uringTransport is the transport on io_uring: one system call for all that is written at a time, and one for a wait and all
// that has come. Each kept connection has one receive under way for its whole life.
//
// In a closed loop it waits for several replies at a time, which saves it most of its waits, and the server some. What a reply
// waits for others counts in its latency: at most a tenth of the mean, and half a millisecond.
type uringTransport struct {
	reader
	ring   *iouring.Ring // nil after free
	begun  bool          // by its thread
	batch  int           // completions that handle may take
	left   bool          // there were more
	taken  uint32        // completions before them
	active int           // operations under way
	pins   runtime.Pinner

	submits uint32     // the number of the submit to come
	there   [64]uint32 // by submit: how many completions there were, ever, when it was done
	sends   []sending
	spare   []int32 // free ones

	queued    []uint32 // by connection: the submit with which its last operation goes
	receiving []bool   // by connection
}

// sending is a send from its write to its completion.
type sending struct {
	conn   int32
	gen    uint32
	size   int
	submit uint32
	copied []byte // of bytes that don't last; pinned
	pin    runtime.Pinner
}

var _ transport = (*uringTransport)(nil)

func newUringTransport(s *shard) (*uringTransport, error) {
	r, err := iouring.New(iouring.Config{
		Submissions: ringSubmissions, Completions: ringCompletions, Buffers: ringBuffers, BufferSize: ringBuffer,
	})
	if err != nil {
		return nil, err
	}
	t := &uringTransport{reader: reader{s, make([]byte, readBuffer)}, ring: r, queued: make([]uint32, len(s.conns)), receiving: make([]bool, len(s.conns))}
	s.target.Lasting(func(b []byte) { t.pins.Pin(&b[0]) })
	s.defers = true
	return t, nil
}

// begin gives the ring to the shard's thread.
func (t *uringTransport) begin() {
	t.begun = true
	if err := t.ring.Start(); err != nil {
		panic(err) // it works once for any ring
	}
}

// data is what the completion of an operation on connection i says.
func (t *uringTransport) data(of uint64, i int32) uint64 {
	return of | uint64(t.s.conns[i].gen&genOf)<<32 | uint64(i)
}

// queue makes room for an operation on connection i.
func (t *uringTransport) queue(i int32) {
	if t.ring.Queued() == ringSubmissions {
		t.submit()
	}
	t.queued[i] = t.submits
	t.active++
}

func (t *uringTransport) watch(i int32) syscall.Errno {
	t.queue(i)
	t.ring.Poll(t.s.conns[i].fd, unix.POLLOUT, t.data(ofPoll, i))
	return 0
}

// byHand reports whether what comes on connection i is read with a system call.
func (t *uringTransport) byHand(i int32) bool { return i%byHandEvery == 0 && t.s.requests == 0 }

// listen begins to receive on connection i: once where it has one request only, so that nothing is under way when it
// is closed, and else for ever.
func (t *uringTransport) listen(i int32) {
	t.queue(i)
	t.receiving[i] = true
	switch fd := t.s.conns[i].fd; {
	case t.byHand(i):
		t.ring.Watch(fd, unix.POLLIN|unix.POLLRDHUP, t.data(ofWatch, i))
	case t.s.requests == 1:
		t.ring.ReceiveOnce(fd, t.data(ofReceive, i))
	default:
		t.ring.Receive(fd, t.data(ofReceive, i))
	}
}

// write queues a send. Until its completion it is pending, since bytes of two sends might mix. What is to be stamped goes at
// once, as far as it can. In a closed loop nothing is: while one socket wants stamps every packet of the host is stamped, 3 % of
// the client's CPU, and no check judges by them there.
func (t *uringTransport) write(i int32, b []byte, lasting bool) {
	if t.s.closed || !t.byHand(i) {
		t.s.stamps.count++
	} else if t.s.wantsStamp(i) {
		n, errno := t.s.stamps.Write(t.s.conns[i].fd, b)
		switch {
		case errno == unix.EAGAIN || errno == unix.EINTR:
		case errno != 0:
			t.s.failed(i, errno)
			return
		case n == len(b):
			return
		default:
			b = b[n:]
		}
	}
	t.queue(i)
	if len(t.spare) == 0 {
		t.sends = append(t.sends, sending{})
		t.spare = append(t.spare, int32(len(t.sends)-1))
	}
	last := len(t.spare) - 1
	k := t.spare[last]
	t.spare = t.spare[:last]
	x, c := &t.sends[k], &t.s.conns[i]
	x.conn, x.gen, x.size, x.submit = i, c.gen, len(b), t.submits
	if !lasting {
		b = x.copy(b)
	}
	c.pending = k
	t.ring.Send(c.fd, b, ofSend|uint64(k))
}

// copy keeps bytes where they neither change nor move.
func (x *sending) copy(b []byte) []byte {
	if cap(x.copied) < len(b) {
		x.pin.Unpin()
		x.copied = make([]byte, 0, 2*len(b))
		x.pin.Pin(&x.copied[:1][0])
	}
	x.copied = append(x.copied[:0], b...)
	return x.copied
}

// submit knows when the kernel began with a single operation. Of several it knows that only of the first.
func (t *uringTransport) submit() (begun int64) {
	if t.ring == nil || t.ring.Queued() == 0 {
		return 0
	}
	if !t.begun {
		t.begin()
	}
	if t.ring.Queued() == 1 {
		begun = procfs.Monotonic()
	}
	t.check(t.ring.Submit())
	t.there[t.submits%uint32(len(t.there))] = t.taken + uint32(t.ring.Ready())
	t.submits++
	return begun
}

// check stops at errors of the ring itself, which none of its uses here can have.
func (t *uringTransport) check(errno syscall.Errno) {
	if errno != 0 && errno != unix.EBADR { // completions were lost; Dropped counts them
		panic(fmt.Sprintf("entering io_uring: %v", errno))
	}
}

func (t *uringTransport) wait(ns int64) int {
	if !t.begun {
		t.begin()
	}
	t.ring.Release(t.batch)
	t.taken += uint32(t.batch)
	count, least, limit := 1, int64(0), openTaken
	if t.s.closed {
		count, least, limit = max(1, min(closedWait, t.active/closedShare)), min(closedMost, t.s.service/closedPart), closedTaken
	}
	// Of what is ready, sends that are done can wait where no connection does for them.
	ready := t.ring.Ready()
	if ready == 0 || ns > 0 && t.s.closed && t.s.depth == 1 && !t.left {
		t.check(t.ring.Wait(ready+count, least, ns))
		ready = t.ring.Ready()
	}
	t.batch, t.left = min(ready, limit), ready > limit
	return t.batch
}

// close closes a socket. What is under way on it holds it open until it is cancelled, with the next submit.
func (t *uringTransport) close(i int32, reset bool) {
	c := &t.s.conns[i]
	if t.queued[i] == t.submits {
		t.submit() // or it would go to the next socket of this number
	}
	if c.state == connecting {
		t.cancel(t.data(ofPoll, i))
	}
	if t.receiving[i] {
		t.receiving[i] = false
		if t.byHand(i) {
			t.cancel(t.data(ofWatch, i))
			t.cancel(t.data(ofAgain, i))
		} else {
			t.cancel(t.data(ofReceive, i))
		}
	}
	if c.pending >= 0 {
		t.cancel(ofSend | uint64(c.pending))
		c.pending = -1
	}
	if reset {
		sys.ResetOnClose(c.fd)
	}
	sys.Close(c.fd)
}

func (t *uringTransport) cancel(data uint64) {
	if t.ring.Queued() == ringSubmissions {
		t.submit()
	}
	t.active++
	t.ring.Cancel(data, ofCancel)
}

func (t *uringTransport) free() {
	t.ring.Release(t.batch)
	for tries := 0; t.begun && t.active > 0 && tries < freeTries; tries++ {
		t.check(t.ring.Wait(1, 0, freeWait))
		n := t.ring.Ready()
		for k := range n {
			if !t.ring.Completion(k).More() {
				t.active--
			}
		}
		t.ring.Release(n)
	}
	t.ring.Close()
	t.ring = nil
	t.pins.Unpin()
	for k := range t.sends {
		t.sends[k].pin.Unpin()
	}
}
