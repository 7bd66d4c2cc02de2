package push

import "sync/atomic"

// The states of an outbox.
const (
	silent     = iota // not subscribed yet
	live              // subscribed
	overflowed        // to be disconnected
	over              // ended
)

// Outbox is what waits for one subscriber. Pushed and Message belong to one writer at a time; everything else may be called by
// any goroutine.
type Outbox struct {
	hub  *Hub
	wake func()
	next atomic.Uint64 // the number of the frame that it takes next; 0 until the hub's goroutine knows it
	// idle says that the writer has taken everything and wants to be woken by the next frame.
	idle  atomic.Bool
	state atomic.Uint32
}

// NewOutbox returns the outbox of a connection that has not subscribed yet. wake is called by the hub's goroutine when the
// outbox turns from empty to not empty, and once when it overflows; it must not block.
func (h *Hub) NewOutbox(wake func()) *Outbox { return &Outbox{hub: h, wake: wake} }

// Subscribe begins with the next frame. More than once, or after End, it does nothing.
func (o *Outbox) Subscribe() {
	if !o.state.CompareAndSwap(silent, live) {
		return
	}
	o.idle.Store(true)
	o.hub.subscribers.Add(1)
	o.hub.join(o)
}

// Pushed appends waiting frames to out, as they are written to a socket: as many as 64 KiB hold, at least one if there is one.
// more says that others wait, so that it is to be called again once these are written; otherwise wake announces the next. closing
// says that too many waited and the connection is to be ended.
func (o *Outbox) Pushed(out []byte) (reply []byte, more, closing bool) {
	if s := o.state.Load(); s != live {
		return out, false, s == overflowed
	}
	begin, frames, next := len(out), 0, uint64(0)
	for {
		var frame []byte
		if frame, next = o.peek(); frame == nil {
			break
		}
		if frames > 0 && len(out)-begin+len(frame) > TakeBytes {
			more = true
			break
		}
		out = append(out, frame...)
		if !o.claim(next) {
			out = out[:len(out)-len(frame)]
			if o.state.Load() != live {
				closing = o.Overflowed()
				break
			}
			continue
		}
		frames++
	}
	if frames > 0 {
		o.took(frames, len(out)-begin)
	}
	return out, more, closing
}

// Message takes the next frame's message, number, clock and payload, for models whose framework frames by itself. It is shared and
// must not be changed. It is nil where none waits; wake announces the next then. closing as in Pushed.
func (o *Outbox) Message() (message []byte, closing bool) {
	if s := o.state.Load(); s != live {
		return nil, s == overflowed
	}
	for {
		frame, next := o.peek()
		if frame == nil {
			return nil, false
		}
		if o.claim(next) {
			o.took(1, len(frame))
			return frame[o.hub.config.Head:], false
		}
		if o.state.Load() != live {
			return nil, o.Overflowed()
		}
	}
}

// claim takes the frame that peek returned, and reports false where that was dropped meanwhile, or where the outbox is no longer
// live: the hub goes on without it then, and what peek found may have been a later frame in the same place of the log.
func (o *Outbox) claim(next uint64) bool {
	return o.next.CompareAndSwap(next, next+1) && o.state.Load() == live
}

// peek returns the next frame and its number, nil where there is none. Then the hub will call wake.
func (o *Outbox) peek() (frame []byte, next uint64) {
	h := o.hub
	for {
		next = o.next.Load()
		if next > 0 && next <= h.head.Load() {
			return *h.log[next%uint64(len(h.log))].Load(), next
		}
		o.idle.Store(true)
		// A frame that was made in between may have found the writer busy.
		if next = o.next.Load(); next == 0 || next > h.head.Load() || !o.idle.CompareAndSwap(true, false) {
			return nil, 0
		}
	}
}

// took counts what was taken and tells a hub that waits for room.
func (o *Outbox) took(frames, bytes int) {
	h := o.hub
	h.delivered.Add(int64(frames))
	if h.config.Delivered != nil {
		h.config.Delivered(frames, bytes-frames*h.config.Head)
	}
	o.leave()
}

// leave tells a hub that waits for this outbox.
func (o *Outbox) leave() {
	if o.hub.waitsFor.Load() == o {
		select {
		case o.hub.room <- struct{}{}:
		default:
		}
	}
}

// full reports whether a frame of this number is one too many.
func (o *Outbox) full(number uint64) bool {
	return int64(number-o.next.Load()) >= int64(o.hub.config.Queue) && o.state.Load() == live
}

// Overflowed reports whether the connection is to be ended, since too much waited for it. A model whose writer blocks in a write
// asks when it is woken, and ends the write.
func (o *Outbox) Overflowed() bool { return o.state.Load() == overflowed }

// End unsubscribes. What waits is forgotten, and wake is not called any more but for a call under way. More than once does no
// harm.
func (o *Outbox) End() {
	if o.state.Swap(over) == live {
		o.hub.subscribers.Add(-1)
		o.hub.ended.Add(1)
	}
	o.leave()
}
