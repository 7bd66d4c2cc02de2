// Package conn is the connections of gnet: what has arrived is answered on the loop or in a pool, and what is pushed handed
// over.
package conn

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// heldBytes is what a connection's buffers may hold before it is closed: gnet reads on while nobody takes the replies.
	heldBytes = 256 << 20
	// flushWait is how long a loop waits for the last reply to go out: gnet's close drops what the socket doesn't take.
	flushWait = time.Second
	// batchJobs is how many pipelined requests of http1, or messages of ws, one task of the pool answers.
	batchJobs = 64
)

// Handler is what gnet's loops call for connections.
type Handler struct {
	gnet.BuiltinEventEngine
	env      *kit.Env
	handle   func(k *conn, in []byte) (taken int)
	batch    int          // how many requests one task answers
	inFlight atomic.Int64 // tasks in the pool
	draining atomic.Bool  // input is no longer looked at
}

// NewHandler returns a handler of requests on the loops, or in the pool.
func NewHandler(env *kit.Env, pooled bool) *Handler {
	h := &Handler{env: env, handle: (*conn).serve, batch: batchJobs}
	if pooled {
		h.handle = (*conn).submit
	}
	if env.Protocol == "frame" || env.Protocol == "push" { // whose replies need no order
		h.batch = 1
	}
	return h
}

// Drain ends the handling of input and waits for the pool, no longer than ctx.
func (h *Handler) Drain(ctx context.Context) {
	h.draining.Store(true)
	for h.inFlight.Load() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

// OnOpen is called on the loop of the connection, as all that follows.
func (h *Handler) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	h.env.Opened()
	k := &conn{Conn: c, handler: h, session: h.env.NewSession()}
	k.session.Notify(k.wake)
	c.SetContext(k)
	return nil, gnet.None
}

// OnTraffic hands over what is to be pushed and handles what has arrived. gnet keeps what is not discarded.
func (h *Handler) OnTraffic(c gnet.Conn) gnet.Action {
	k := c.Context().(*conn)
	if !k.push() || c.InboundBuffered()+c.OutboundBuffered() > heldBytes {
		return gnet.Close
	}
	if h.draining.Load() || k.full() {
		return gnet.None
	}
	in, _ := c.Peek(-1)
	if taken := h.handle(k, in); taken > 0 { // to gnet, zero means all
		c.Discard(taken)
	}
	if k.last && k.tasks == 0 {
		return gnet.Close
	}
	return gnet.None
}

// OnClose is called before gnet writes once more and closes. It waits until the replies are out or can't go out.
func (h *Handler) OnClose(c gnet.Conn, _ error) gnet.Action {
	h.env.Closed()
	k := c.Context().(*conn)
	k.session.End()
	until, fd := time.Now().Add(flushWait), []unix.PollFd{{Fd: int32(c.Fd()), Events: unix.POLLOUT}}
	for c.OutboundBuffered() > 0 && !k.drop {
		n, err := unix.Poll(fd, int(max(0, time.Until(until).Milliseconds())))
		if err != unix.EINTR && (n <= 0 || fd[0].Revents != unix.POLLOUT) {
			break
		}
		c.Flush()
	}
	return gnet.None
}
