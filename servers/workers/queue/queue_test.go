package queue

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// queues are all of them, for size values.
func queues(size int) map[string]Queue[int] {
	return map[string]Queue[int]{
		"channel": make(Channel[int], size), "deque": NewDeque[int](size), "unbounded": NewDeque[int](0),
		"ring": NewRing[int](size, 0), "ring-spin": NewRing[int](size, 100),
	}
}

// Every value arrives once, and those of one producer in their order as far as one consumer sees them.
func TestManyProducersAndConsumers(t *testing.T) {
	const producers, consumers, each = 4, 5, 20000
	for _, size := range []int{2, 64} {
		for name, q := range queues(size) {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				t.Parallel()
				var putting, taking sync.WaitGroup
				seen := make([][]int, consumers)
				for p := range producers {
					putting.Go(func() {
						for i := range each {
							q.Put(p*each + i)
						}
					})
				}
				for c := range consumers {
					taking.Go(func() {
						for v := q.Take(); v >= 0; v = q.Take() {
							seen[c] = append(seen[c], v)
						}
					})
				}
				putting.Wait()
				for range consumers {
					q.Put(-1)
				}
				taking.Wait()
				var all []int
				for _, values := range seen {
					last := make([]int, producers)
					for _, v := range values {
						if v < last[v/each] {
							t.Fatalf("value %d came after %d of the same producer", v, last[v/each])
						}
						last[v/each] = v
					}
					all = append(all, values...)
				}
				slices.Sort(all)
				if len(all) != producers*each {
					t.Fatalf("%d values arrived, want %d", len(all), producers*each)
				}
				for i, v := range all {
					if i != v {
						t.Fatalf("value %d is missing or came twice: %d stands in its place", i, v)
					}
				}
			})
		}
	}
}

// One goroutine, any order of puts and takes: a queue behaves as a slice.
func TestIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(2, 40).Draw(t, "size")
		for name, q := range queues(size) {
			var model []int
			for i, put := range rapid.SliceOfN(rapid.Bool(), 0, 200).Draw(t, name) {
				switch {
				case put && len(model) < size:
					q.Put(i)
					model = append(model, i)
				case !put && len(model) > 0:
					if got := q.Take(); got != model[0] {
						t.Fatalf("%s: took %d, want %d", name, got, model[0])
					}
					model = model[1:]
				}
			}
		}
	})
}

// A put to a full queue waits for a take, and a take from an empty one for a put.
func TestWaits(t *testing.T) {
	const size = 4
	for name := range queues(size) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := queues(size)[name] // channels belong to the bubble that makes them
				for i := range size {
					q.Put(i)
				}
				put := false
				go func() {
					q.Put(size)
					put = true
				}()
				synctest.Wait()
				if full := name != "unbounded"; put == full {
					t.Errorf("a put behind %d values: done is %t, want %t", size, put, !full)
				}
				for i := range size + 1 {
					if got := q.Take(); got != i {
						t.Errorf("took %d, want %d", got, i)
					}
				}
				synctest.Wait()
				if !put {
					t.Error("a put waits although there is room")
				}
				var got []int
				var mu sync.Mutex
				for range 3 {
					go func() {
						v := q.Take()
						mu.Lock()
						got = append(got, v)
						mu.Unlock()
					}()
				}
				synctest.Wait()
				if len(got) > 0 {
					t.Fatalf("took %v from an empty queue", got)
				}
				for i := range 3 {
					q.Put(i)
				}
				synctest.Wait()
				if slices.Sort(got); !slices.Equal(got, []int{0, 1, 2}) {
					t.Errorf("three that waited took %v", got)
				}
			})
		})
	}
}

func TestRingSaysFullAndEmpty(t *testing.T) {
	r := NewRing[int](3, 0) // rounded up to 4
	if _, ok := r.TryTake(); ok {
		t.Error("took from an empty ring")
	}
	for i := range 4 {
		if !r.TryPut(i) {
			t.Fatalf("a ring of 4 is full with %d", i)
		}
	}
	if r.TryPut(4) {
		t.Error("a ring of 4 took a fifth value")
	}
}

// What a value costs from one goroutine to another, with so many goroutines at the taking end.
func BenchmarkQueue(b *testing.B) {
	const size = 1024
	for _, consumers := range []int{1, 256} {
		for _, name := range []string{"channel", "deque", "ring", "ring-spin"} {
			b.Run(fmt.Sprintf("%s/takers=%d", name, consumers), func(b *testing.B) {
				q := queues(size)[name]
				var taking sync.WaitGroup
				for range consumers {
					taking.Go(func() {
						for q.Take() >= 0 {
						}
					})
				}
				for b.Loop() {
					q.Put(1)
				}
				for range consumers {
					q.Put(-1)
				}
				taking.Wait()
				runtime.KeepAlive(q)
			})
		}
	}
}
