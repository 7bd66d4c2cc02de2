// Package conn is a connection of nbio: what has arrived is answered, and what is pushed handed over.
package conn

import (
	"bytes"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lesismal/nbio"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// lateLimit is how long the rest of a closed connection's replies is written.
	lateLimit = 10 * time.Second
	// aheadBytes is how much nbio may have to write when it is given more to be pushed: a default socket buffer.
	aheadBytes = 64 << 10
)

// Conn is a connection. Its poller reads and answers; a goroutine hands over what is pushed.
type Conn struct {
	*nbio.Conn
	env     *kit.Env
	ending  *atomic.Int64
	session kit.Session
	rest    []byte // input without its end

	handed, written atomic.Int64 // bytes given to nbio, and those of them that the socket took
	stalled         atomic.Bool  // what is pushed waits until written has come up to handed
	pushing         sync.Mutex   // held by the goroutine that pushes

	mu   sync.Mutex // held while bytes are handed over; guards what follows
	tail []byte     // a copy of the last bytes handed over, at least those that are not written
	late *os.File   // the socket's other descriptor, which outlives nbio's; where there was a tail
	drop bool       // the tail is not to be written
}

var buffers = sync.Pool{New: func() any { return new([]byte) }} // for replies

// Open begins to serve a connection, whose Session it is from then on. ending counts connections that nbio has closed and whose
// replies are still written.
func Open(c *nbio.Conn, env *kit.Env, ending *atomic.Int64) {
	env.Opened()
	k := &Conn{Conn: c, env: env, ending: ending, session: env.NewSession()}
	k.session.Notify(k.wake)
	c.SetSession(k)
}

// Of is what Open made of c.
func Of(c *nbio.Conn) *Conn { return c.Session().(*Conn) }

// Answer handles the requests in rest and data, and keeps what is not whole.
func (k *Conn) Answer(data []byte) {
	in := data
	if len(k.rest) > 0 {
		k.rest = append(k.rest, data...)
		in = k.rest
	}
	out, closing := buffers.Get().(*[]byte), false
	for n := 1; n > 0 && !closing; in = in[n:] {
		if n, *out, closing = k.session.Serve(in, (*out)[:0]); len(*out) > 0 && k.write(*out) != nil {
			closing = true
		}
	}
	buffers.Put(out)
	switch {
	case closing:
		k.Close() // the tail is written all the same
	case len(in) == 0:
		k.rest = nil
	case len(in) != len(k.rest):
		k.rest = append(k.rest[:0], in...)
	}
}

// write hands bytes over. nbio copies what the socket doesn't take, and drops it when the connection is closed, be it by the
// end of the client's sending side; so there is another copy, while there is such a rest.
func (k *Conn) write(out []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.handed.Add(int64(len(out)))
	if _, err := k.Write(out); err != nil {
		k.handed.Add(-int64(len(out)))
		return err
	}
	left := int(k.handed.Load() - k.written.Load())
	if left == 0 {
		k.tail = nil
		return nil
	}
	k.tail = append(k.tail, out...)
	k.tail = k.tail[len(k.tail)-left:]
	if k.late == nil {
		k.late = k.another()
	}
	return nil
}

// another returns the socket by another descriptor, or nil where that can't be had.
func (k *Conn) another() *os.File {
	k.Lock()
	defer k.Unlock()
	if closed, _ := k.IsClosed(); closed { // nbio's descriptor may be another's by now
		return nil
	}
	raw, _ := k.SyscallConn() // it never fails
	other := -1
	_ = raw.Control(func(fd uintptr) { other, _ = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if other < 0 {
		return nil
	}
	return os.NewFile(uintptr(other), "connection") // Go's poller waits for it
}

// Written counts n bytes that the socket has taken. nbio calls it with its lock of the connection.
func (k *Conn) Written(n int) {
	if k.written.Add(int64(n)) == k.handed.Load() && k.stalled.CompareAndSwap(true, false) {
		go k.push()
	}
}

// Finish ends a connection that nbio has closed: what is left of its replies is written by a goroutine.
func (k *Conn) Finish() {
	defer kit.Crash()
	k.session.End()
	k.mu.Lock()
	defer k.mu.Unlock()
	left := int(k.handed.Load() - k.written.Load())
	if k.late == nil || left == 0 || k.drop {
		k.late.Close() // of nil, it is an error and no harm
		k.env.Closed()
		return
	}
	tail, late := bytes.Clone(k.tail[len(k.tail)-left:]), k.late
	k.ending.Add(1)
	go func() {
		_ = late.SetWriteDeadline(time.Now().Add(lateLimit))
		_, _ = late.Write(tail) // a client that is gone has no use for it
		late.Close()
		k.env.Closed()
		k.ending.Add(-1)
	}()
}

// wake is called by the hub's goroutine when frames wait.
func (k *Conn) wake() { go k.push() }

// push hands over what waits, as long as the socket takes it. nbio's Write may be called by any goroutine.
func (k *Conn) push() {
	defer kit.Crash()
	k.pushing.Lock()
	defer k.pushing.Unlock()
	out := buffers.Get().(*[]byte)
	defer buffers.Put(out)
	for more := true; more; {
		if !k.session.Overflowed() && k.blocked() {
			return
		}
		var closing bool
		*out, more, closing = k.session.Pushed((*out)[:0])
		if closing {
			k.mu.Lock()
			k.drop = true
			k.mu.Unlock()
		}
		if closing || len(*out) > 0 && k.write(*out) != nil {
			k.Close()
			return
		}
	}
}

// blocked reports whether nbio has too much to write. If so, Written calls push when it has nothing any more.
func (k *Conn) blocked() bool {
	if k.handed.Load()-k.written.Load() < aheadBytes {
		return false
	}
	k.stalled.Store(true)
	return k.handed.Load() != k.written.Load() || !k.stalled.CompareAndSwap(true, false)
}
