// Package queue holds connection indexes, first in, first out.
package queue

// Queue has a place for each index of a table, which is in it at most once. It never allocates after New, and belongs to
// one goroutine.
type Queue struct {
	at         []int32
	head, size int
}

// New returns an empty queue of indexes in [0, n).
func New(n int) Queue { return Queue{at: make([]int32, n)} }

// Len is how many indexes wait.
func (q *Queue) Len() int { return q.size }

// First is the one that Pop would return. The queue must not be empty.
func (q *Queue) First() int32 { return q.at[q.head] }

// Push appends an index that is not in the queue.
func (q *Queue) Push(i int32) {
	tail := q.head + q.size
	if tail >= len(q.at) {
		tail -= len(q.at)
	}
	q.at[tail] = i
	q.size++
}

// Pop takes the first index. The queue must not be empty.
func (q *Queue) Pop() int32 {
	i := q.at[q.head]
	if q.head++; q.head == len(q.at) {
		q.head = 0
	}
	q.size--
	return i
}

// Clear forgets all indexes.
func (q *Queue) Clear() { q.head, q.size = 0, 0 }
