package push

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/millrace/millrace/clients"
)

// oracle says the same of a list of numbers by remembering all of them.
func oracle(numbers []uint64) (c clients.PushCounts, expected int64) {
	seen := map[uint64]bool{}
	low, high := numbers[0], numbers[0]
	for i, n := range numbers {
		switch {
		case i > 0 && n < high && high-n >= window:
			c.Stale++
			continue
		case seen[n]:
			c.Duplicated++
			continue
		case n < high:
			c.Reordered++
		}
		seen[n] = true
		c.Received++
		low, high = min(low, n), max(high, n)
	}
	expected = int64(high-low) + 1
	c.Missing = expected - c.Received
	return c, expected
}

func TestSequenceAgainstTheOracle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		numbers := []uint64{rnd.Uint64N(1000) + 200}
		for range rnd.IntN(300) {
			last := numbers[len(numbers)-1]
			switch rnd.IntN(10) {
			case 0:
				numbers = append(numbers, last+rnd.Uint64N(100))
			case 1:
				numbers = append(numbers, last-min(last, rnd.Uint64N(100)))
			default:
				numbers = append(numbers, last+1)
			}
		}
		var s sequence
		var got clients.PushCounts
		for _, n := range numbers {
			if _, ok := s.take(n, &got); !ok {
				t.Fatalf("%v: %d is refused", numbers, n)
			}
		}
		want, expected := oracle(numbers)
		if got != want || s.expected() != expected || got.Received+got.Missing != expected {
			t.Fatalf("%v:\n got %+v, expected %d\nwant %+v, expected %d", numbers, got, s.expected(), want, expected)
		}
	}
}

func TestSequenceRefusesNoNumbers(t *testing.T) {
	var s sequence
	var c clients.PushCounts
	for _, n := range []uint64{1 << 62, 1<<62 + maxStep + 1, 1<<62 - maxStep - 1, 0} {
		if _, ok := s.take(n, &c); ok != (n == 1<<62) {
			t.Errorf("%d behind 2^62: ok %v", n, ok)
		}
	}
}

func TestConnIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(conn{}); n > 112 {
		t.Errorf("%d bytes for each connection, want at most 112", n)
	}
}
