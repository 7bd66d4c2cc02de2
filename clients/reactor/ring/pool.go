package ring

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pool is what a ring receives into: a few large buffers, which the kernel fills one behind the other, so that small
// messages lie close together. A buffer comes back when it is full and all that was received into it has been read.
type pool struct {
	ring  []byte // of the buffers that the kernel may fill
	bytes []byte
	state []filling // by buffer
	size  int
	tail  uint16 // of ring, published or not
	given uint16 // published
}

// filling is how far a buffer is.
type filling struct {
	filled int  // bytes
	unread int  // receives whose bytes have not been recycled
	full   bool // the kernel has done with it
}

// provide registers so many buffers.
func (r *Ring) provide(n, size int) (err error) {
	p := &r.pool
	if p.ring, err = memory(n * int(unsafe.Sizeof(buf{}))); err != nil {
		return err
	}
	if p.bytes, err = memory(n * size); err != nil {
		return err
	}
	reg := bufReg{
		ringAddr: uint64(uintptr(unsafe.Pointer(&p.ring[0]))), ringEntries: uint32(n), bgid: bufferGroup, flags: pbufRingInc,
	}
	_, _, errno := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerPbufRing, uintptr(unsafe.Pointer(&reg)), 1, 0, 0)
	if errno != 0 {
		return fmt.Errorf("registering %d buffers of %d bytes: %w", n, size, errno)
	}
	p.state, p.size = make([]filling, n), size
	for i := range p.state {
		p.give(uint16(i))
	}
	r.restock()
	return nil
}

// give puts a buffer at the end of the ring.
func (p *pool) give(id uint16) {
	p.state[id] = filling{}
	e := p.entry(int(p.tail) & (len(p.state) - 1))
	e.addr, e.len, e.bid = uint64(uintptr(unsafe.Pointer(&p.bytes[int(id)*p.size]))), uint32(p.size), id
	p.tail++
}

func (p *pool) entry(k int) *buf { return (*buf)(unsafe.Pointer(&p.ring[k*int(unsafe.Sizeof(buf{}))])) }

// restock publishes the buffers that were given. There is no atomic store of the tail's two bytes, so that the two before
// them, the id in the first entry, are stored again with them.
func (p *pool) restock() {
	if p.given == p.tail {
		return
	}
	var word [4]byte
	binary.NativeEndian.PutUint16(word[:], p.entry(0).bid)
	binary.NativeEndian.PutUint16(word[2:], p.tail)
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&p.ring[bufferTailOffset])), binary.NativeEndian.Uint32(word[:]))
	p.given = p.tail
}

// filled reports whether part of a buffer was used up. Without bytes none was, though kernels up to 6.18 name one then, and
// as if they had done with it.
func (c Completion) filled() bool { return c.Res > 0 && c.flags&cqeBuffer != 0 }

// Take returns what a receive's completion brought, valid until Recycle of the same completion. Every completion of a
// receive must be taken once, in order, and recycled. At the end of a stream there are no bytes.
func (p *pool) Take(c Completion) []byte {
	if !c.filled() {
		return nil
	}
	id, n := int(c.flags>>cqeBufferShift), int(c.Res)
	f := &p.state[id]
	from := id*p.size + f.filled
	f.filled += n
	f.unread++
	f.full = c.flags&cqeBufMore == 0
	return p.bytes[from : from+n : from+n]
}

// Recycle gives back the bytes that Take returned.
func (p *pool) Recycle(c Completion) {
	if !c.filled() {
		return
	}
	id := uint16(c.flags >> cqeBufferShift)
	f := &p.state[id]
	if f.unread--; f.full && f.unread == 0 {
		p.give(id)
	}
}
