package push

import (
	"math"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

// paceBatch is how many slow reads or heartbeats come before the next look at what has come.
const paceBatch = 16

// paced is what a shard does at a pace of its own: it reads for slow subscribers, a frame's length each time, and sends heartbeats.
// With m that take turns, the n-th turn of the shard is due at
//
//	from + (n + index ÷ stride) · every ÷ m
//
// Where: every = 1 ÷ push.slow_rate, or push.heartbeat.
type paced struct {
	slow     slowTally
	slows    []int32 // connections
	slowSize int     // bytes that one takes at a time
	slowGap  float64 // ns between two of the shard
	slowDone int64
	beatGap  float64
	beatDone int64
	beats    int64 // that were sent
}

// slowTally is what slow subscribers got, over the whole load.
type slowTally struct {
	clients.PushCounts
	ended         int64 // expected frames of connections that have ended
	subscriptions int64
	lost          clients.Tally
}

// isSlow reports whether connection n of the whole load is slow, so that a share of all are, evenly spread.
func isSlow(n int, share scenarios.Percent) bool {
	per := func(n int) int64 { return int64(float64(n)*float64(share)/100 + 1e-9) }
	return per(n+1) > per(n)
}

// setPace says which connections are slow, and how far apart turns are.
func (s *shard) setPace() {
	p := &s.e.plan.Scenario.Push
	for j := range s.conns {
		if isSlow(j*s.stride+s.index, p.Slow) {
			s.conns[j].slow = true
			s.slows = append(s.slows, int32(j))
		}
	}
	if s.slowSize = wire.PushHead + s.e.plan.Scenario.Payload; s.e.websocket {
		// Behind the length of a frame come as many bytes as in a message, whose head is 2, 4 or 10 bytes.
		s.slowSize += -4 + 2
		if n := 16 + s.e.plan.Scenario.Payload; n >= 1<<16 {
			s.slowSize += 8
		} else if n >= 126 {
			s.slowSize += 2
		}
	}
	if len(s.slows) > 0 {
		s.slowGap = 1e9 / float64(p.SlowRate) / float64(len(s.slows))
	}
	if p.Heartbeat > 0 {
		s.beatGap = float64(p.Heartbeat) / float64(len(s.conns))
	}
}

// turnAt is when turn n since a time is due; never without a gap between two.
func (s *shard) turnAt(from, n int64, gap float64) int64 {
	if gap == 0 {
		return math.MaxInt64
	}
	return from + int64((float64(n)+float64(s.index)/float64(s.stride))*gap)
}

func (s *shard) slowAt() int64 { return s.turnAt(s.t0, s.slowDone, s.slowGap) }

// beatAt counts from the start of the phases.
func (s *shard) beatAt() int64 {
	if s.start == math.MaxInt64 {
		return math.MaxInt64
	}
	return s.turnAt(s.start, s.beatDone, s.beatGap)
}

// readSlow reads for the slow subscribers whose turn it is. One that has nothing to read has lost its turn.
func (s *shard) readSlow() {
	for n := 0; n < paceBatch && s.slowAt() <= s.now; n++ {
		i := s.slows[s.slowDone%int64(len(s.slows))]
		s.slowDone++
		c := &s.conns[i]
		if c.state != open {
			continue
		}
		size, errno := sys.Receive(c.fd, s.buf[:min(s.slowSize, len(s.buf))])
		s.now = procfs.Monotonic()
		switch {
		case errno == unix.EAGAIN || errno == unix.EINTR:
		case errno != 0:
			s.lose(i, streamOutcome(errno))
		case size == 0:
			s.lose(i, clients.EOF)
		default:
			s.arrived(i, s.buf[:size])
		}
	}
}

// beatMore sends the heartbeats that are due. One whose connection is not open, or takes no bytes, is left out.
func (s *shard) beatMore() {
	for n := 0; n < paceBatch && s.beatAt() <= s.now; n++ {
		i := int32(s.beatDone % int64(len(s.conns)))
		s.beatDone++
		if s.conns[i].state == open && s.say(i, s.e.beat) {
			s.beats++
		}
	}
}

// say writes a few bytes on an open connection, and reports whether they went out. A part of them ends the connection.
func (s *shard) say(i int32, b []byte) bool {
	switch n, errno := sys.Send(s.conns[i].fd, b); {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return false
	case errno != 0:
		s.lose(i, streamOutcome(errno))
		return false
	case n < len(b):
		s.lose(i, clients.Reset)
		return false
	}
	return true
}
