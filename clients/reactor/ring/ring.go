// Package ring is a thin layer on Linux's io_uring for sockets: sends, receives into buffers that the kernel chooses, polls
// and cancels, submitted and waited for in one system call. It is made for one thread with an event loop.
//
// A ring is set up with deferred task run: the kernel completes nothing behind the thread's back, but when it enters the
// ring. All memory that the kernel shares lies outside the Go heap; bytes to send are the caller's and must be pinned.
package ring

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Config is the size of a ring. All four are powers of two.
type Config struct {
	// Submissions is how many operations can be queued before they are submitted.
	Submissions int
	// Completions is how many can be there at a time. What is more waits in the kernel, and is counted by Overflows.
	Completions int
	// Buffers of BufferSize bytes take what is received.
	Buffers, BufferSize int
}

// Ring is an io_uring. It belongs to the thread that called Start; only Close may be called from another one, when
// that thread no longer uses it.
type Ring struct {
	fd      int
	rings   []byte // both rings' heads, tails and flags, and the completions
	entries []byte // of the submission ring
	scratch []byte // the argument of a wait

	sqHead, sqTail, sqFlags *uint32
	cqHead, cqTail          *uint32
	cqOverflow              *uint32
	sqMask, cqMask          uint32
	sqes, cqes              unsafe.Pointer
	tail                    uint32 // of the submission ring, published or not
	head                    uint32 // of the completion ring
	arg                     *waitArg
	ts                      *unix.Timespec

	pool
	overflowed bool
	overflows  int64
}

// Completion is the end of an operation, or one result of several.
type Completion struct {
	// Data is what the operation was given.
	Data uint64
	// Res is a number of bytes, or a negated errno.
	Res   int32
	flags uint32
}

// More reports whether the operation goes on.
func (c Completion) More() bool { return c.flags&cqeMore != 0 }

// Errno is the operation's error, zero without.
func (c Completion) Errno() syscall.Errno {
	if c.Res < 0 {
		return syscall.Errno(-c.Res)
	}
	return 0
}

// New sets a ring up. Nothing may be submitted before Start.
func New(config Config) (*Ring, error) {
	p := params{
		cqEntries: uint32(config.Completions),
		flags: setupCQSize | setupRDisabled | setupSubmitAll | setupTaskrunFlag | setupSingleIssuer | setupDeferTaskrun |
			setupNoSQArray,
	}
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(config.Submissions), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, setupError(errno)
	}
	r := &Ring{fd: int(fd)}
	err := missing(p.features)
	if err == nil {
		err = r.share(&p)
	}
	if err == nil {
		err = r.provide(config.Buffers, config.BufferSize)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// share maps what the ring shares with the kernel.
func (r *Ring) share(p *params) (err error) {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	size := p.cq.cqes + p.cqEntries*uint32(unsafe.Sizeof(cqe{}))
	if r.rings, err = unix.Mmap(r.fd, offSQRing, int(size), prot, flags); err != nil {
		return fmt.Errorf("mapping the rings of io_uring: %w", err)
	}
	if r.entries, err = unix.Mmap(r.fd, offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})), prot, flags); err != nil {
		return fmt.Errorf("mapping the submissions of io_uring: %w", err)
	}
	if r.scratch, err = memory(int(unsafe.Sizeof(waitArg{}) + unsafe.Sizeof(unix.Timespec{}))); err != nil {
		return err
	}
	word := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }
	r.sqHead, r.sqTail, r.sqFlags = word(p.sq.head), word(p.sq.tail), word(p.sq.flags)
	r.cqHead, r.cqTail, r.cqOverflow = word(p.cq.head), word(p.cq.tail), word(p.cq.overflow)
	r.sqMask, r.cqMask = *word(p.sq.ringMask), *word(p.cq.ringMask)
	r.sqes, r.cqes = unsafe.Pointer(&r.entries[0]), unsafe.Pointer(&r.rings[p.cq.cqes])
	r.arg = (*waitArg)(unsafe.Pointer(&r.scratch[0]))
	r.ts = (*unix.Timespec)(unsafe.Pointer(&r.scratch[unsafe.Sizeof(waitArg{})]))
	r.arg.ts = uint64(uintptr(unsafe.Pointer(r.ts)))
	return nil
}

// memory is zeroed memory outside the Go heap.
func memory(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", n, err)
	}
	return b, nil
}

// Start gives the ring to the calling thread, which must be locked to its goroutine.
func (r *Ring) Start() error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerEnableRings, 0, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("starting io_uring: %w", errno)
	}
	return nil
}

// Close gives everything back. What is under way is cancelled; the descriptors of its sockets stay the caller's.
func (r *Ring) Close() {
	// Errors of a wrong argument only. The ring goes first, since the kernel may still write to the buffers.
	_ = unix.Close(r.fd)
	for _, b := range [][]byte{r.rings, r.entries, r.scratch, r.pool.ring, r.pool.bytes} {
		if b != nil {
			_ = unix.Munmap(b)
		}
	}
	*r = Ring{fd: -1}
}

// Queued is how many operations wait to be submitted.
func (r *Ring) Queued() int { return int(r.tail - atomic.LoadUint32(r.sqHead)) }

// Overflows is how often completions had to wait in the kernel because there was no room for them. None is lost.
func (r *Ring) Overflows() int64 { return r.overflows }

// Dropped is how many completions the kernel lost, since it had no memory left for them.
func (r *Ring) Dropped() int64 { return int64(atomic.LoadUint32(r.cqOverflow)) }

// Submit submits what is queued, without blocking. What is done at once is completed; the rest is with the next Wait.
func (r *Ring) Submit() syscall.Errno {
	n := r.publish()
	if n == 0 {
		return 0
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), n, 0, 0, 0, 0)
	return r.entered(errno)
}

// Wait submits what is queued and completes what can be, and blocks until there are so many completions, with those that are
// ready, or until most ns have passed; with fewer, after least ns (of whole µs) a new one is enough.
func (r *Ring) Wait(count int, least, most int64) syscall.Errno {
	n := r.publish()
	if most <= 0 || r.Ready() >= count {
		if n == 0 && atomic.LoadUint32(r.sqFlags)&(sqTaskrun|sqCQOverflow) == 0 {
			return 0
		}
		_, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), n, 0, enterGetEvents, 0, 0)
		return r.entered(errno)
	}
	*r.ts = unix.NsecToTimespec(most)
	r.arg.minWaitUsec = uint32(min(least, most) / 1000)
	_, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), n, uintptr(count), enterGetEvents|enterExtArg,
		uintptr(unsafe.Pointer(r.arg)), unsafe.Sizeof(waitArg{}))
	return r.entered(errno)
}

// publish hands what is queued to the kernel with the next system call, and tells how much that is.
func (r *Ring) publish() uintptr {
	r.restock()
	atomic.StoreUint32(r.sqTail, r.tail)
	return uintptr(r.Queued())
}

// entered is the error of a system call, unless it only tells that nothing came.
func (r *Ring) entered(errno syscall.Errno) syscall.Errno {
	over := atomic.LoadUint32(r.sqFlags)&sqCQOverflow != 0
	if over && !r.overflowed {
		r.overflows++
	}
	r.overflowed = over
	switch errno {
	case unix.ETIME, unix.EINTR, unix.EAGAIN, unix.EBUSY:
		return 0
	}
	return errno
}

// Ready is how many completions there are.
func (r *Ring) Ready() int { return int(atomic.LoadUint32(r.cqTail) - r.head) }

// Completion is number k of those that are ready.
func (r *Ring) Completion(k int) Completion {
	c := (*cqe)(unsafe.Add(r.cqes, uintptr((r.head+uint32(k))&r.cqMask)*unsafe.Sizeof(cqe{})))
	return Completion{c.userData, c.res, c.flags}
}

// Release gives back the room of the first completions that were ready.
func (r *Ring) Release(n int) {
	r.head += uint32(n)
	atomic.StoreUint32(r.cqHead, r.head)
}

// next is an entry for an operation. If there is none, what is queued is submitted.
func (r *Ring) next() *sqe {
	for r.Queued() > int(r.sqMask) {
		if errno := r.Submit(); errno != 0 {
			panic(fmt.Sprintf("ring: submitting: %v (a ring belongs to the thread that started it)", errno))
		}
	}
	e := (*sqe)(unsafe.Add(r.sqes, uintptr(r.tail&r.sqMask)*unsafe.Sizeof(sqe{})))
	r.tail++
	return e
}

// Send queues a send of all bytes, which must stay pinned and unchanged until its completion. Res is the number of bytes,
// fewer than all only if the socket failed on the way. Of two sends on a socket at a time the bytes may mix.
func (r *Ring) Send(fd int32, b []byte, data uint64) {
	*r.next() = sqe{
		opcode: opSend, fd: fd, addr: uint64(uintptr(unsafe.Pointer(&b[0]))), len: uint32(len(b)),
		opFlags: unix.MSG_WAITALL | unix.MSG_NOSIGNAL, userData: data,
	}
}

// Receive queues a receive into the ring's buffers. It goes on until the socket ends, fails or is cancelled, or until there
// is no buffer left (ENOBUFS); each completion but the last one has More. It first waits until the socket is readable.
func (r *Ring) Receive(fd int32, data uint64) {
	*r.next() = sqe{
		opcode: opRecv, flags: sqeBufferSelect, ioprio: recvMultishot | recvPollFirst, fd: fd, bufGroup: bufferGroup,
		userData: data,
	}
}

// ReceiveOnce queues a receive that has one completion.
func (r *Ring) ReceiveOnce(fd int32, data uint64) {
	*r.next() = sqe{opcode: opRecv, flags: sqeBufferSelect, ioprio: recvPollFirst, fd: fd, bufGroup: bufferGroup, userData: data}
}

// Poll queues a wait for one of the events, unix.POLLOUT and the like. Res of its completion are the events.
func (r *Ring) Poll(fd int32, events uint32, data uint64) {
	*r.next() = sqe{opcode: opPollAdd, fd: fd, opFlags: pollWord(events), userData: data}
}

// Watch queues a poll that goes on: it has a completion for whatever happens to a socket among the events, and those that can't
// be left out (POLLERR, POLLHUP), but not for what has not been dealt with since.
func (r *Ring) Watch(fd int32, events uint32, data uint64) {
	*r.next() = sqe{opcode: opPollAdd, fd: fd, len: pollMulti, opFlags: pollWord(events), userData: data}
}

// Cancel queues the end of all operations with this data. Each has a completion, with ECANCELED unless it was done;
// Res of the cancel's own is how many there were.
func (r *Ring) Cancel(target, data uint64) {
	*r.next() = sqe{opcode: opAsyncCancel, addr: target, opFlags: cancelAll, userData: data}
}

// CancelSocket queues the end of all operations on a socket, as Cancel does.
func (r *Ring) CancelSocket(fd int32, data uint64) {
	*r.next() = sqe{opcode: opAsyncCancel, fd: fd, opFlags: cancelAll | cancelFD, userData: data}
}

// pollWord is where the kernel reads a poll's events: the halves of the word are swapped on big-endian machines.
func pollWord(events uint32) uint32 {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return events
	}
	return events<<16 | events>>16
}
