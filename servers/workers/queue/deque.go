package queue

import "sync"

// Deque is a circular buffer behind a mutex, with a condition for each end. It grows as values wait, and keeps its memory.
type Deque[T any] struct {
	mu     sync.Mutex // guards what follows
	some   sync.Cond  // said when a value came
	room   sync.Cond  // said when one went
	limit  int        // 0 is none
	values []T
	first  int // index of the oldest
	n      int // values that wait
}

// leastValues is where the buffer begins. It doubles.
const leastValues = 16

// NewDeque returns an empty one that holds limit values, or any number where that is 0.
func NewDeque[T any](limit int) *Deque[T] {
	d := &Deque[T]{limit: limit}
	d.some.L, d.room.L = &d.mu, &d.mu
	return d
}

// Put waits while the queue is full.
func (d *Deque[T]) Put(v T) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.limit > 0 && d.n == d.limit {
		d.room.Wait()
	}
	if d.n == len(d.values) {
		grown := make([]T, max(2*d.n, leastValues))
		copy(grown[copy(grown, d.values[d.first:]):], d.values[:d.first])
		d.values, d.first = grown, 0
	}
	d.values[(d.first+d.n)%len(d.values)] = v
	d.n++
	d.some.Signal()
}

// Take waits while it is empty.
func (d *Deque[T]) Take() T {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.n == 0 {
		d.some.Wait()
	}
	var zero T
	v := d.values[d.first]
	d.values[d.first] = zero
	d.first = (d.first + 1) % len(d.values)
	d.n--
	d.room.Signal()
	return v
}
