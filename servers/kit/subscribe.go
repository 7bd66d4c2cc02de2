package kit

import (
	"encoding/binary"
	"flag"
	"fmt"

	"github.com/gobwas/ws"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
	"github.com/millrace/millrace/servers/kit/push"
	"github.com/millrace/millrace/servers/kit/websocket"
)

const (
	defaultPushRate  = "10/s"
	defaultPushQueue = 64
	maxPushQueue     = 65536   // scenarios' limit
	maxPushLog       = 1 << 30 // bytes of payload of the frames that may wait: scenarios' limit
	maxPushRate      = 1e6     // frames a second: more than one goroutine makes
	// maxSubscribe is the most bytes of a message that subscribes.
	maxSubscribe = len("subscribe ") + wire.MaxChannel
)

// Outbox is what waits for one subscriber: see Env.Subscribe, and Session.Notify for sessions.
type Outbox = push.Outbox

// pushOptions are the flags of a server that sends on its own.
type pushOptions struct {
	rate, overflow string
	queue          int
}

func (o *pushOptions) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.rate, "push-rate", "", "frames a second that the server sends on its own, with protocol push (10/s by default) or ws (none)")
	fs.IntVar(&o.queue, "push-queue", defaultPushQueue, "frames that may wait for one subscriber")
	Choice(fs, &o.overflow, "push-overflow", "what happens when so many wait: drop-oldest, disconnect, or block, which makes all others wait too",
		push.DropOldest, push.Block, push.Disconnect)
}

// hub returns what the flags ask for, nil for a server that does not send on its own.
func (o *pushOptions) hub(e *Env) (*push.Hub, error) {
	text := o.rate
	if text == "" && e.Protocol == scenarios.Push {
		text = defaultPushRate
	}
	if text == "" {
		return nil, nil
	}
	rate, err := scenarios.ParseRate(text)
	size := idBytes + 8 + len(e.body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--push-rate: %w", err)
	case rate == 0 && e.Protocol != scenarios.Push:
		return nil, nil
	case e.Protocol != scenarios.Push && e.Protocol != scenarios.WS:
		return nil, fmt.Errorf("--push-rate %s with --protocol %s: want protocol push or ws", text, e.Protocol)
	case rate <= 0 || rate > maxPushRate:
		return nil, fmt.Errorf("--push-rate %s: want more than 0 and at most %.0f frames a second", text, maxPushRate)
	case o.queue < 1 || o.queue > maxPushQueue:
		return nil, fmt.Errorf("--push-queue %d: want 1 to %d frames", o.queue, maxPushQueue)
	case size > wire.MaxBody:
		return nil, fmt.Errorf("--payload %d of a frame that is pushed: want at most %d bytes", len(e.body), wire.MaxBody-idBytes-8)
	case o.queue*len(e.body) > maxPushLog:
		return nil, fmt.Errorf("--push-queue %d of frames with --payload %d: want at most %d bytes together", o.queue, len(e.body), maxPushLog)
	}
	c := push.Config{Rate: float64(rate), Queue: o.queue, Overflow: o.overflow, Delivered: e.delivered}
	if e.Protocol == scenarios.WS {
		c.Head = len(websocket.AppendHeader(nil, ws.OpBinary, size))
		c.Encode = func(number uint64, clock int64) []byte {
			b := websocket.AppendHeader(make([]byte, 0, c.Head+size), ws.OpBinary, size)
			b = binary.BigEndian.AppendUint64(b, number)
			return append(binary.BigEndian.AppendUint64(b, uint64(clock)), e.body...)
		}
	} else {
		c.Head = wire.FrameHead - idBytes
		c.Encode = func(number uint64, clock int64) []byte {
			return wire.AppendPush(make([]byte, 0, c.Head+size), number, clock, e.body)
		}
	}
	return push.New(c), nil
}

// delivered counts frames that a connection took; their numbers are no part of their bodies. It spins for --inject.
func (e *Env) delivered(frames, bytes int) {
	if e.inject > 0 {
		burn(frames * e.inject)
	}
	e.Counters.BodyBytesOut.Add(int64(bytes - frames*idBytes))
}

// appendPushes appends the counts as members of a reading.
func appendPushes(b []byte, c push.Counts) []byte {
	b = member(b, "pushed", c.Pushed)
	b = member(b, "delivered", c.Delivered)
	b = member(b, "dropped", c.Dropped)
	b = member(b, "disconnected", c.Disconnected)
	b = member(b, "push_late_max_ns", c.LateMaxNs)
	b = member(b, "push_late_p99_ns", c.LateP99Ns)
	return member(b, "subscribers", c.Subscribers)
}

// Pushes reports whether the server sends on its own: protocol push, or ws with --push-rate.
func (e *Env) Pushes() bool { return e.hub != nil }

// Subscribe subscribes a connection of a model whose framework reads and frames by itself, where Pushes; PushRequestOf says
// when. For wake see Session.Notify. The model takes frames by Message, or by Pushed where it can write what is framed already,
// and calls End when the connection is over.
func (e *Env) Subscribe(wake func()) *Outbox {
	o := e.hub.NewOutbox(wake)
	o.Subscribe()
	return o
}

// PushRequest is what a message asks for where the server sends on its own.
type PushRequest uint8

// The requests.
const (
	PushOther     PushRequest = iota // an echo
	PushSubscribe                    // to be subscribed, without a reply
	PushHeartbeat                    // nothing
)

// PushRequestOf reads a binary message of ws, its id included.
func (e *Env) PushRequestOf(message []byte) PushRequest {
	if e.hub == nil || len(message) < idBytes {
		return PushOther
	}
	return pushRequestOf(message[idBytes:])
}

func pushRequestOf(body []byte) PushRequest {
	if len(body) == 0 {
		return PushHeartbeat
	}
	if _, ok := wire.ParseSubscribe(body); ok {
		return PushSubscribe
	}
	return PushOther
}

// Notify prepares a connection for frames that the server sends on its own. A model that serves push calls it once per
// connection, before the first Serve or Next; where the server does not push it does nothing. wake is called from the hub's
// goroutine when the first frame waits, or the first one again since Pushed found no more, and once when too many wait and the
// connection is to be ended. It must not block: it makes the connection's writer call Pushed. A model whose writer may be within
// a write that blocks asks Overflowed in wake and ends that write (SetWriteDeadline does), since such a writer is how an
// overflow comes about. A model whose framework takes any number of bytes to be written must leave frames where they are while
// the framework has as much as a socket buffer unwritten, or nothing bounds what waits for a slow subscriber.
func (s *Session) Notify(wake func()) {
	if s.env.hub != nil {
		s.outbox = s.env.hub.NewOutbox(wake)
	}
}

// Pushed appends frames that wait for the connection, up to 64 KiB at once. more says that others wait: call it again once
// these are written, since wake is not called for them. closing says that the connection is to be ended, since too many waited.
// It may be called at the same time as Serve and Next, but not as itself; what both hand over is written one after the other,
// in any order.
func (s *Session) Pushed(out []byte) (reply []byte, more, closing bool) {
	if s.outbox == nil {
		return out, false, false
	}
	return s.outbox.Pushed(out)
}

// Overflowed reports whether the connection is to be ended, since too many frames waited for it. Any goroutine may ask.
func (s *Session) Overflowed() bool { return s.outbox != nil && s.outbox.Overflowed() }

// End ends the subscription, if there is one. A model calls it when the connection is over, from any goroutine; more than once
// does no harm.
func (s *Session) End() {
	if s.outbox != nil {
		s.outbox.End()
	}
}
