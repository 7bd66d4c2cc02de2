// Package conn is the connections of netpoll: what has arrived is answered in the order of its coming, and what is pushed
// handed over.
package conn

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// biteBytes is how much of a connection's input is handled at once: a default socket buffer.
	biteBytes = 64 << 10
	// ownBytes is the largest reply that netpoll's writer writes. It gives up what the socket doesn't take at once when the
	// client ends its sending side, without telling how much is out; larger ones are written around it.
	ownBytes = 16 << 10
)

// Handler is what connections have in common.
type Handler struct {
	Env *kit.Env
	// Inline says that Run is netpoll's runner: requests are handled on the poller.
	Inline bool

	late atomic.Int64 // connections that write what their socket did not take
}

// OnPrepare is called when a connection was accepted; it gets its conn as context.
func (h *Handler) OnPrepare(c netpoll.Connection) context.Context {
	h.Env.Opened()
	k := &conn{Context: context.Background(), Connection: c, handler: h, session: h.Env.NewSession()}
	k.session.Notify(k.wake)
	_ = c.AddCloseCallback(func(netpoll.Connection) error { // it never fails
		k.session.End()
		h.Env.Closed()
		return nil
	})
	return k
}

// Wait waits until no connection writes around netpoll, no longer than ctx.
func (h *Handler) Wait(ctx context.Context) {
	for h.late.Load() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

// Run takes the place of netpoll's pool: it handles on the poller, where waiting and closing would stop it for ever, be it
// by another goroutine before handle returns. What asks for that comes afterwards.
func Run(ctx context.Context, handle func()) {
	k := ctx.(*conn)
	if k.turn.TryLock() {
		k.handle(handle)
		return
	}
	go func() {
		k.turn.Lock()
		k.handle(handle)
	}()
}

// handle is called with turn locked.
func (k *conn) handle(handle func()) {
	if handle(); k.then == nil {
		k.turn.Unlock()
		return
	}
	go func() {
		defer kit.Crash()
		k.then()
		k.then = nil
		k.turn.Unlock()
	}()
}

// conn is used by one call of OnRequest at a time.
type conn struct {
	context.Context
	netpoll.Connection
	handler *Handler
	session kit.Session
	rest    []byte     // input without its end
	turn    sync.Mutex // of Run, and of who pushes
	then    func()     // what must not happen on the poller, and the next requests wait for
}

var buffers = sync.Pool{New: func() any { return new([]byte) }} // for replies

// OnRequest is called by netpoll as long as there is input; it must take some, or it is called for ever.
func OnRequest(ctx context.Context, c netpoll.Connection) error {
	defer kit.Crash()
	k, r := ctx.(*conn), c.Reader()
	if k.handler.Env.Pushes() && !k.handler.Inline {
		k.turn.Lock()
		defer k.turn.Unlock()
	}
	in, err := r.Next(min(r.Len(), biteBytes))
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	if len(k.rest) > 0 || k.then != nil {
		k.rest = append(k.rest, in...)
		in = k.rest
	}
	if k.then == nil && k.answer(in) {
		k.later(func() { k.Close() })
	}
	return r.Release()
}

// later calls f now, or on the poller later.
func (k *conn) later(f func()) {
	if k.handler.Inline {
		k.then = f
	} else {
		f()
	}
}

// answer handles the requests in in, which is rest or netpoll's, and keeps what is not whole. It reports whether the
// connection is to be closed.
func (k *conn) answer(in []byte) (closing bool) {
	out := buffers.Get().(*[]byte)
	for n := 1; n > 0 && !closing; {
		n, *out, closing = k.session.Serve(in, (*out)[:0])
		in = in[n:]
		if len(*out) == 0 {
			continue
		}
		left, err := k.write(*out)
		if err != nil {
			return true // out may be netpoll's
		}
		if len(left) > 0 {
			k.keep(in)
			return k.delay(bytes.Clone(left), closing)
		}
	}
	buffers.Put(out)
	k.keep(in)
	return closing || k.handler.Env.Stopping() && len(in) == 0
}

// keep makes in, which may be the end of rest, the rest.
func (k *conn) keep(in []byte) {
	if len(in) == 0 {
		k.rest = nil
	} else if len(in) != len(k.rest) {
		k.rest = append(k.rest[:0], in...)
	}
}

// write writes a reply and returns what the socket did not take. On the poller netpoll's writer would wait for itself.
func (k *conn) write(out []byte) (left []byte, err error) {
	if !k.handler.Inline && len(out) <= ownBytes && k.IsActive() {
		if _, err := k.Writer().WriteBinary(out); err != nil {
			return nil, err
		}
		return nil, k.Writer().Flush()
	}
	n, err := unix.Write(k.Connection.(netpoll.Conn).Fd(), out)
	if err == unix.EAGAIN {
		return out, nil
	}
	return out[max(n, 0):], err
}

// delay writes left, answers the rest and closes if closing, through a descriptor that outlives netpoll's. Go's poller wakes it.
// It reports whether the connection is to be closed at once.
func (k *conn) delay(left []byte, closing bool) (failed bool) {
	fd, err := unix.FcntlInt(uintptr(k.Connection.(netpoll.Conn).Fd()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return true
	}
	k.handler.late.Add(1)
	k.later(func() {
		f := os.NewFile(uintptr(fd), "connection")
		_, err := f.Write(left)
		in := k.rest
		for n := 1; n > 0 && !closing && err == nil; in = in[n:] {
			if n, left, closing = k.session.Serve(in, left[:0]); len(left) > 0 {
				_, err = f.Write(left)
			}
		}
		k.keep(in)
		f.Close()
		if closing || err != nil || k.handler.Env.Stopping() {
			k.Close()
		}
		k.handler.late.Add(-1)
	})
	return false
}

// wake is called by the hub's goroutine when frames wait, and when there are too many; then it ends the write that waits.
func (k *conn) wake() {
	if k.session.Overflowed() {
		go k.Close()
	} else {
		go k.push()
	}
}

// push writes what waits. netpoll's Write waits for the socket, may be called by any goroutine, and the connection's end waits
// for it.
func (k *conn) push() {
	defer kit.Crash()
	k.turn.Lock()
	defer k.turn.Unlock()
	out := buffers.Get().(*[]byte)
	defer buffers.Put(out)
	for more, closing := true, false; more; {
		if *out, more, closing = k.session.Pushed((*out)[:0]); len(*out) > 0 {
			_, err := k.Write(*out)
			closing = err != nil
		}
		if closing {
			k.Close()
			return
		}
	}
}
