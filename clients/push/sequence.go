package push

import "github.com/millrace/millrace/clients"

const (
	// window is how many numbers behind the highest one are known by themselves.
	window = 64
	// maxStep between two numbers is more than any server sends in a load; beyond it they are no numbers.
	maxStep = 1 << 32
)

// sequence is what has come on one connection, by number. Its zero value is a connection on which nothing has.
type sequence struct {
	first, last uint64 // the lowest and the highest
	seen        uint64 // bit k: last − k has come
}

// take counts the next frame's number. fresh means that it had not come before; false without an error, that it had, or that
// nobody can say. ok is false for a number that can't be one of the same stream.
//
//	n > last           received, and the numbers between are missing
//	n in the window    duplicated if it has come, else received and reordered, and no longer missing
//	n below it         stale
func (s *sequence) take(n uint64, c *clients.PushCounts) (fresh, ok bool) {
	switch {
	case s.seen == 0:
		s.first, s.last, s.seen = n, n, 1
	case n > s.last:
		step := n - s.last
		if step > maxStep {
			return false, false
		}
		c.Missing += int64(step - 1)
		s.last, s.seen = n, s.seen<<step|1
	case s.last-n >= window:
		c.Stale++
		return false, s.last-n <= maxStep
	case s.seen>>(s.last-n)&1 != 0:
		c.Duplicated++
		return false, true
	default:
		s.seen |= 1 << (s.last - n)
		c.Reordered++
		if n < s.first {
			c.Missing += int64(s.first - n - 1)
			s.first = n
		} else {
			c.Missing--
		}
	}
	c.Received++
	return true, true
}

// expected is how many frames there are from the lowest number to the highest.
func (s *sequence) expected() int64 {
	if s.seen == 0 {
		return 0
	}
	return int64(s.last-s.first) + 1
}
