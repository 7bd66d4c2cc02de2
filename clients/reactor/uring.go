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
)

// What a completion is of, in the highest byte of its data. Below it lie 24 bits of the connection's generation and the
// connection, or the index of a sending.
const (
	ofPoll = uint64(iota) << 56
	ofReceive
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
	s      *shard
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
	t := &uringTransport{s: s, ring: r, queued: make([]uint32, len(s.conns)), receiving: make([]bool, len(s.conns))}
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

// receive begins to receive on connection i: once where it has one request only, so that nothing is under way when it
// is closed, and else for ever.
func (t *uringTransport) receive(i int32) {
	t.queue(i)
	t.receiving[i] = true
	if t.s.requests == 1 {
		t.ring.ReceiveOnce(t.s.conns[i].fd, t.data(ofReceive, i))
		return
	}
	t.ring.Receive(t.s.conns[i].fd, t.data(ofReceive, i))
}

// write queues a send. Until its completion it is pending, since bytes of two sends might mix.
func (t *uringTransport) write(i int32, b []byte, lasting bool) {
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

func (t *uringTransport) handle(k int) {
	c := t.ring.Completion(k)
	if !c.More() {
		t.active--
	}
	i, gen := int32(uint32(c.Data)), uint32(c.Data>>32)&genOf
	switch c.Data & ofMask {
	case ofReceive:
		t.received(i, gen, c)
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
		t.receive(i)
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
			t.receive(i)
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
		t.cancel(t.data(ofReceive, i))
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
