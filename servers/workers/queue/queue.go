// Package queue holds the queues that can stand between the reader and its workers: a channel, a list behind a mutex, and a
// ring of atomic numbers. All are first in, first out, and safe for any number of goroutines at both ends.
package queue

// Queue hands values from goroutines that put to goroutines that take.
type Queue[T any] interface {
	// Put waits while the queue is full.
	Put(v T)
	// Take waits while it is empty.
	Take() T
}

var (
	_ Queue[int] = Channel[int](nil)
	_ Queue[int] = (*Deque[int])(nil)
	_ Queue[int] = (*Ring[int])(nil)
)

// Channel is a buffered channel.
type Channel[T any] chan T

// Put waits while the queue is full.
func (c Channel[T]) Put(v T) { c <- v }

// Take waits while it is empty.
func (c Channel[T]) Take() T { return <-c }
