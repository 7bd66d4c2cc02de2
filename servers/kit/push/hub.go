// Package push makes the frames that a server sends on its own, and keeps what waits for each of its subscribers. It knows no
// model and no encoding.
//
// There is one log of the last frames for all subscribers, and each subscriber has a place in it, the number of the frame that
// it takes next. So a frame is made and encoded once, handing it on costs a subscriber no memory, and the writers of different
// connections share no lock. What a queue per subscriber would hold is what lies between its place and the end of the log, and
// it is bounded in the same way.
package push

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The three ways of scenarios.Overflows.
const (
	Block      = "block"
	DropOldest = "drop-oldest"
	Disconnect = "disconnect"
)

const (
	// blockFor is how long, with Block, a frame waits for room at all its subscribers together. Those that have none then are
	// disconnected, so that clients which died without a word can't stop the others for longer.
	blockFor = 5 * time.Second
	// sweepEvery is how soon at the latest the hub forgets subscribers that have ended.
	sweepEvery = time.Second
	// TakeBytes is how much Pushed hands over at once, as much as a socket buffer takes by default.
	TakeBytes = 64 << 10
)

// Config says what a Hub makes. It is data but for its two functions.
type Config struct {
	// Rate is how many frames a second are made, above 0.
	Rate float64
	// Queue is how many frames may wait for one subscriber, at least 1.
	Queue int
	// Overflow is what happens to a subscriber with so many: Block, DropOldest or Disconnect.
	Overflow string
	// Encode returns a frame as it is written to a socket, in memory of its own: its number, from 1 on, and the CLOCK_MONOTONIC
	// in ns at which it was due. It is called by the hub's goroutine.
	Encode func(number uint64, clock int64) []byte
	// Head is how many bytes of an encoded frame come before its message: the number, the clock and the payload.
	Head int
	// Delivered is called with the frames that a connection took, and the bytes of their messages, by its own writer. Nil does
	// nothing.
	Delivered func(frames, bytes int)
}

// Counts are cumulative, Subscribers apart.
type Counts struct {
	Pushed       int64 // frames made
	Delivered    int64 // copies of them that connections took
	Dropped      int64 // copies that were forgotten, since too many waited for their subscriber
	Disconnected int64 // subscribers ended for the same reason
	Subscribers  int64 // now
	// LateMaxNs and LateP99Ns are of the times from when frames were due until subscribers were told of them, over all frames: the
	// largest, and the 99th percentile as its bucket's upper bound, up to a quarter more.
	LateMaxNs, LateP99Ns int64
}

// Hub makes frames and tells outboxes of them. Its goroutine begins with the first subscriber and ends with Stop. Safe for
// concurrent use.
type Hub struct {
	config Config
	log    []atomic.Pointer[[]byte] // log[n%len] is frame n, of the last Queue+1
	head   atomic.Uint64            // the number of the last frame made

	delivered                     counter
	pushed, dropped, disconnected atomic.Int64 // counted by the hub's goroutine alone
	subscribers                   counter
	late                          lateness

	waitsFor atomic.Pointer[Outbox] // whose room the hub waits for, with Block
	room     chan struct{}          // of one: that outbox has room, or has ended
	ended    atomic.Int64           // outboxes to be forgotten

	mu       sync.Mutex // guards what follows
	joined   []*Outbox  // not yet known to the hub's goroutine
	running  bool
	stopping bool
	stop     chan struct{}
	done     sync.WaitGroup

	outboxes []*Outbox // of the hub's goroutine
}

// counter is a number that many threads add to, alone on its cache line.
type counter struct {
	_ [64]byte
	atomic.Int64
	_ [56]byte
}

// New returns a hub that makes nothing until it has a subscriber.
func New(c Config) *Hub {
	return &Hub{
		config: c, log: make([]atomic.Pointer[[]byte], c.Queue+1), room: make(chan struct{}, 1), stop: make(chan struct{}),
	}
}

// Counts returns the present counts.
func (h *Hub) Counts() Counts {
	most, p99 := h.late.read()
	return Counts{
		LateMaxNs: most, LateP99Ns: p99,
		Pushed: h.pushed.Load(), Delivered: h.delivered.Load(), Dropped: h.dropped.Load(),
		Disconnected: h.disconnected.Load(), Subscribers: h.subscribers.Load(),
	}
}

// Stop ends the making of frames. What waits for subscribers can still be taken. More than once does no harm.
func (h *Hub) Stop() {
	h.mu.Lock()
	if !h.stopping {
		h.stopping = true
		close(h.stop)
	}
	h.mu.Unlock()
	h.done.Wait()
}

// join makes an outbox known to the hub's goroutine, before the next frame.
func (h *Hub) join(o *Outbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.joined = append(h.joined, o)
	if !h.running && !h.stopping {
		h.running = true
		h.done.Go(h.run)
	}
}

// run makes frame n at the start plus (n−1) ÷ Rate. One that is late is made at once, and none is left out. It is stamped with
// when it was due, so that a hub which is late, for want of CPU time or of room, shows in the lag of every frame.
func (h *Hub) run() {
	begin, clock := time.Now(), monotonic()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := uint64(0); ; n++ {
		after := time.Duration(float64(n) * float64(time.Second) / h.config.Rate)
		if !h.until(begin.Add(after), timer) || !h.publish(begin.Add(after), clock+int64(after)) {
			return
		}
	}
}

// until waits for a time and reports false when the hub is to stop.
func (h *Hub) until(due time.Time, timer *time.Timer) bool {
	for {
		left := time.Until(due)
		if left <= 0 {
			select {
			case <-h.stop:
				return false
			default:
				return true
			}
		}
		timer.Reset(min(left, sweepEvery))
		select {
		case <-h.stop:
			return false
		case <-timer.C:
		}
		if left > sweepEvery && h.ended.Swap(0) > 0 {
			h.absorb()
			h.each(func(*Outbox) {})
		}
	}
}

// publish makes a frame that was due at a time, by Go's clock and by CLOCK_MONOTONIC, and tells everyone whose outbox was empty.
// It reports false when the hub is to stop.
func (h *Hub) publish(due time.Time, clock int64) bool {
	h.absorb()
	number := h.head.Load() + 1
	frame := h.config.Encode(number, clock)
	if h.config.Overflow == Block && !h.makeRoom(number) {
		return false
	}
	h.log[number%uint64(len(h.log))].Store(&frame)
	h.head.Store(number)
	h.pushed.Add(1)
	h.late.add(int64(time.Since(due)))
	h.each(func(o *Outbox) {
		if next := o.next.Load(); int64(number-next) >= int64(h.config.Queue) { // taken already where it is negative
			h.overflow(o, next)
		}
		if o.idle.Load() && o.idle.CompareAndSwap(true, false) {
			o.wake()
		}
	})
	return true
}

// overflow deals with an outbox that has one frame too many, unless its writer has just taken one.
func (h *Hub) overflow(o *Outbox, next uint64) {
	if h.config.Overflow == DropOldest {
		if o.next.CompareAndSwap(next, next+1) {
			h.dropped.Add(1)
		}
		return
	}
	if o.state.CompareAndSwap(live, overflowed) {
		h.subscribers.Add(-1)
		h.disconnected.Add(1)
		o.idle.Store(false)
		o.wake()
	}
}

// makeRoom waits until a frame fits into every queue, and reports false when the hub is to stop.
func (h *Hub) makeRoom(number uint64) bool {
	var late <-chan time.Time
	expired := false
	for _, o := range h.outboxes {
		for o.full(number) && !expired {
			if late == nil {
				timer := time.NewTimer(blockFor)
				defer timer.Stop()
				late = timer.C
			}
			h.waitsFor.Store(o)
			if !o.full(number) {
				break // its writer looked at waitsFor before
			}
			select {
			case <-h.room:
			case <-late:
				expired = true
			case <-h.stop:
				return false
			}
		}
		if o.full(number) {
			h.overflow(o, 0)
		}
	}
	h.waitsFor.Store(nil)
	return true
}

// absorb takes in who has joined. Their first frame is the next one.
func (h *Hub) absorb() {
	h.mu.Lock()
	joined := h.joined
	h.joined = nil
	h.mu.Unlock()
	next := h.head.Load() + 1
	for _, o := range joined {
		o.next.Store(next)
	}
	h.outboxes = append(h.outboxes, joined...)
}

// each calls f for every live outbox and forgets the others.
func (h *Hub) each(f func(*Outbox)) {
	all := h.outboxes
	for i := 0; i < len(all); {
		if o := all[i]; o.state.Load() == live {
			f(o)
			i++
			continue
		}
		last := len(all) - 1
		all[i], all[last] = all[last], nil
		all = all[:last]
	}
	h.outboxes = all
}

// monotonic is CLOCK_MONOTONIC in ns.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("reading CLOCK_MONOTONIC: " + err.Error())
	}
	return ts.Nano()
}
