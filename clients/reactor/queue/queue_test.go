package queue

import "testing"

func TestFirstInFirstOut(t *testing.T) {
	q := New(3)
	for i := range int32(10) { // so that it wraps around at every place
		q.Push(i)
		q.Push(i + 100)
		if first, a, b := q.First(), q.Pop(), q.Pop(); first != i || a != i || b != i+100 || q.Len() != 0 {
			t.Fatalf("saw %d, took %d and %d after %d and %d", first, a, b, i, i+100)
		}
	}
	q.Push(7)
	q.Clear()
	if q.Push(8); q.Len() != 1 || q.Pop() != 8 {
		t.Error("7 was not forgotten")
	}
}
