package queue

import (
	"math/bits"
	"runtime"
	"sync/atomic"
)

// Ring is Dmitry Vyukov's bounded queue for many producers and many consumers
// (https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue): each cell has a sequence number that says
// whose turn it is, and each end is one compare-and-swap on a position. His queue does not wait; here a goroutine that finds it
// full or empty tries some times more, and then sleeps in a channel until the other end has done something.
type Ring[T any] struct {
	cells []cell[T] // a power of two of them
	mask  uint64
	spins int
	_     line
	puts  atomic.Uint64 // the position of the next put
	_     line
	takes atomic.Uint64 // and of the next take
	_     line
	some  sleepers // who wait for a value
	room  sleepers // who wait for room
}

// line keeps the two ends from sharing a cache line.
type line [64]byte

// cell is free for the put at position p where turn is p, holds its value where turn is p+1, and is free for the next round
// where turn is p+len(cells).
type cell[T any] struct {
	turn  atomic.Uint64
	value T
}

// NewRing returns an empty one for size values, rounded up to a power of two of at least 2. Before it sleeps, a goroutine tries
// spins times more and lets others run in between.
func NewRing[T any](size, spins int) *Ring[T] {
	n := uint64(1) << bits.Len(uint(max(size, 2)-1))
	r := &Ring[T]{cells: make([]cell[T], n), mask: n - 1, spins: spins}
	for i := range r.cells {
		r.cells[i].turn.Store(uint64(i))
	}
	r.some.tokens, r.room.tokens = make(chan struct{}), make(chan struct{})
	return r
}

// TryPut reports false where the queue is full.
func (r *Ring[T]) TryPut(v T) bool {
	for {
		at := r.puts.Load()
		c := &r.cells[at&r.mask]
		switch ahead := int64(c.turn.Load() - at); {
		case ahead == 0:
			if r.puts.CompareAndSwap(at, at+1) {
				c.value = v
				c.turn.Store(at + 1)
				return true
			}
		case ahead < 0:
			return false
		}
	}
}

// TryTake reports false where the queue is empty.
func (r *Ring[T]) TryTake() (v T, ok bool) {
	for {
		at := r.takes.Load()
		c := &r.cells[at&r.mask]
		switch ahead := int64(c.turn.Load() - (at + 1)); {
		case ahead == 0:
			if r.takes.CompareAndSwap(at, at+1) {
				v, c.value = c.value, v
				c.turn.Store(at + r.mask + 1)
				return v, true
			}
		case ahead < 0:
			return v, false
		}
	}
}

// Put waits while the queue is full.
func (r *Ring[T]) Put(v T) {
	for tried := 0; !r.TryPut(v); tried++ {
		if tried < r.spins {
			runtime.Gosched()
			continue
		}
		r.room.enter()
		if r.TryPut(v) {
			r.room.leave()
			break
		}
		<-r.room.tokens
	}
	r.some.wakeOne()
	if at := r.puts.Load(); r.cells[at&r.mask].turn.Load() == at {
		r.room.wakeOne() // see Take
	}
}

// Take waits while it is empty.
func (r *Ring[T]) Take() T {
	v, ok := r.TryTake()
	for tried := 0; !ok; tried++ {
		if tried < r.spins {
			runtime.Gosched()
			v, ok = r.TryTake()
			continue
		}
		r.some.enter()
		if v, ok = r.TryTake(); ok {
			r.some.leave()
			break
		}
		<-r.some.tokens
		v, ok = r.TryTake()
	}
	r.room.wakeOne()
	// Who was woken for the next value may have come before this one was there, and sleep again.
	if at := r.takes.Load(); r.cells[at&r.mask].turn.Load() == at+1 {
		r.some.wakeOne()
	}
	return v
}

// sleepers are the goroutines that wait for the other end of a ring. One enters, looks once more, and then either leaves or
// takes a token. The other end acts first and looks for sleepers then, so that one of the two always sees the other: atomic
// operations of Go are in one order for all (https://go.dev/ref/mem).
type sleepers struct {
	n      atomic.Int64  // entered, and nobody has a token for them
	tokens chan struct{} // without a buffer: every token has a taker, who is there or on the way
	_      line
}

func (s *sleepers) enter() { s.n.Add(1) }

// leave takes the place back, or the token that it was given meanwhile.
func (s *sleepers) leave() {
	if !s.claim() {
		<-s.tokens
	}
}

// wakeOne gives a token to one sleeper, if there is one.
func (s *sleepers) wakeOne() {
	if s.claim() {
		s.tokens <- struct{}{}
	}
}

func (s *sleepers) claim() bool {
	for n := s.n.Load(); n > 0; n = s.n.Load() {
		if s.n.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}
