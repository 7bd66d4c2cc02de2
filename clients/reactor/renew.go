package reactor

import (
	"math"

	"github.com/millrace/millrace/internal/procfs"
)

// renewAt is when the next connection is to be closed and opened anew.
func (s *shard) renewAt() int64 {
	if s.phase < 0 || s.connecting >= maxConnecting {
		return math.MaxInt64
	}
	return s.renewal.At()
}

// renewMore renews what is due, up to so many. A connection that is not open is gone anyway, and left out.
func (s *shard) renewMore(limit int) {
	for ; limit > 0 && s.renewAt() <= s.now; limit-- {
		i := int32(s.renewal.Next())
		if c := &s.conns[i]; c.state == open {
			c.renewing = true // from now on it takes no requests
			s.offer(i)
		}
	}
}

// renew closes a connection whose requests are answered, and opens it anew to exchange one at once.
func (s *shard) renew(i int32) {
	if s.messages != nil {
		s.farewell(i)
		return
	}
	s.anew(i)
}

// anew closes the socket of a connection that is to be renewed, and opens the next.
func (s *shard) anew(i int32) {
	s.openNow--
	s.now = procfs.Monotonic()
	s.shut(i, false)
	s.conns[i].first = true
	s.connect(i)
}
