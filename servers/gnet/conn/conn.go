package conn

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/pool/goroutine"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// aheadBytes is how much gnet may have to write when it is given more to be pushed: a default socket buffer.
	aheadBytes = 64 << 10
	// lookAgain is when a connection with more is looked at again, since gnet doesn't tell when it has written. It doubles each
	// time, up to lookLast.
	lookAgain, lookLast = time.Millisecond, 128 * time.Millisecond
)

// conn belongs to its loop.
type conn struct {
	gnet.Conn
	handler *Handler
	session kit.Session
	tasks   int         // in the pool
	last    bool        // nothing follows: the request that ends the connection has been read, or the connection is broken
	drop    bool        // what is not written is not to be
	waiting atomic.Bool // to be looked at again
	pause   time.Duration
}

// task is requests and their replies, or replies alone.
type task struct {
	conn  *conn
	batch kit.Batch
	out   []byte
}

var tasks = sync.Pool{New: func() any { return new(task) }}

// serve answers on the loop and returns how many bytes it took off in. gnet copies what the socket doesn't take.
func (k *conn) serve(in []byte) (taken int) {
	t := tasks.Get().(*task)
	defer tasks.Put(t)
	for n := 1; n > 0 && !k.last; taken += n {
		n, t.out, k.last = k.session.Serve(in[taken:], t.out[:0])
		if len(t.out) > 0 {
			if _, err := k.Write(t.out); err != nil {
				k.last = true
			}
		}
	}
	return taken
}

// full reports whether nothing more may be handed to the pool: http1 and ws have one task at a time, so that replies keep the
// order.
func (k *conn) full() bool { return k.last || k.tasks > 0 && k.handler.batch > 1 }

// submit hands whole requests to the pool, copied: every frame as a task, those of http1 and ws as a batch. What is not taken
// waits in gnet's buffer. When the pool is full, the loop does the work.
func (k *conn) submit(in []byte) (taken int) {
	for !k.full() {
		t := tasks.Get().(*task)
		taken += t.batch.Fill(&k.session, in[taken:], k.handler.batch)
		if t.batch.Len() == 0 {
			tasks.Put(t)
			break
		}
		t.conn, k.last = k, t.batch.Last()
		k.tasks++
		k.handler.inFlight.Add(1)
		if goroutine.DefaultWorkerPool.Submit(t.run) != nil {
			t.run()
		}
	}
	return taken
}

// run answers in the pool.
func (t *task) run() {
	defer kit.Crash()
	k := t.conn
	t.out = t.batch.Answer(k.handler.env, t.out[:0], func(out []byte) []byte {
		k.AsyncWrite(out, nil)
		return nil // gnet has the buffer now
	})
	k.AsyncWrite(t.out, t.written)
}

// written is called on the loop when gnet has taken the replies, or err says that the connection is gone.
func (t *task) written(_ gnet.Conn, err error) error {
	k := t.conn
	t.conn = nil
	tasks.Put(t)
	k.handler.inFlight.Add(-1)
	k.tasks--
	if err == nil && (k.last && k.tasks == 0 || !k.last && k.handler.OnTraffic(k.Conn) == gnet.Close) {
		return k.EventLoop().Close(k.Conn)
	}
	return nil
}

// wake makes the loop call OnTraffic. Any goroutine may call it.
func (k *conn) wake() { k.Wake(nil) }

// push hands over what waits, as long as the socket takes it, and reports whether the connection goes on.
func (k *conn) push() bool {
	if !k.handler.env.Pushes() {
		return true
	}
	if k.drop = k.session.Overflowed(); k.drop {
		return false
	}
	t := tasks.Get().(*task)
	defer tasks.Put(t)
	for more := true; more; {
		if k.OutboundBuffered() >= aheadBytes {
			if k.waiting.CompareAndSwap(false, true) {
				k.pause = min(max(2*k.pause, lookAgain), lookLast)
				time.AfterFunc(k.pause, func() {
					k.waiting.Store(false)
					k.wake()
				})
			}
			return true
		}
		k.pause = 0
		if t.out, more, k.drop = k.session.Pushed(t.out[:0]); k.drop {
			return false
		}
		if len(t.out) > 0 {
			if _, err := k.Write(t.out); err != nil {
				return false
			}
		}
	}
	return true
}
