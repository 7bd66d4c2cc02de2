package reactor

import (
	"math"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/target"
	"github.com/millrace/millrace/internal/procfs"
)

// trickle is when a shard's idle connections send a request all the same. Connection j of m that are idle in all agents has its
// n-th one at
//
//	from + (n + j ÷ m) · every
//
// Where: from = the begin of the phase since which these are idle.
type trickle struct {
	every int64 // ns; zero: never
	from  int64
	first int   // entries of the table from this one on are idle,
	count int   // so many of them
	sent  int64 // requests since from
}

// trickleAt is when the next one is due.
func (s *shard) trickleAt() int64 {
	t := &s.trickle
	if t.count == 0 {
		return math.MaxInt64
	}
	n, j := t.sent/int64(t.count), t.sent%int64(t.count)
	// Shards are alike: j is this shard's j-th, and its others' j-th ones lie in between.
	share := (float64(j) + float64(s.index)/float64(s.stride)) / float64(t.count)
	return t.from + n*t.every + int64(share*float64(t.every))
}

// idleFrom sets which connections are idle from a time on: those of the phase that is open then. What was due before is sent
// first.
func (s *shard) idleFrom(first, count int, from int64) {
	t := &s.trickle
	if t.every == 0 || t.first == first && t.count == count {
		return // and goes on at its pace
	}
	for at := s.trickleAt(); at < from; at = s.trickleAt() {
		s.trickleOne(at)
	}
	t.first, t.count, t.from, t.sent = first, max(count, 0), from, 0
}

// trickleMore sends what idle connections have due, in at most so many writes.
func (s *shard) trickleMore(limit int) {
	for at := s.trickleAt(); limit > 0 && at <= s.now && s.phase >= 0; at = s.trickleAt() {
		s.trickleOne(at)
		limit--
	}
}

// trickleOne sends the next one, which was due at a time.
func (s *shard) trickleOne(at int64) {
	t := &s.trickle
	i := int32(t.first + int(t.sent%int64(t.count)))
	t.sent++
	s.now = procfs.Monotonic()
	if s.room(i) <= 0 { // it is not open, or its last one is not answered
		s.missTrickle(at)
		return
	}
	sl, j := s.grab(i)
	sl.intended, sl.trickle = at, true
	s.assign(i, sl, j, s.ownNumber(), s.now, s.now)
	s.rec.SentTrickle(s.now)
	s.out = s.out[:0]
	s.prepare(i, sl, false)
	s.transmit(i, sl)
}

// missTrickle counts one that was due and could not be sent.
func (s *shard) missTrickle(at int64) {
	s.rec.FinishTrickle(s.rec.DueTrickle(at), clients.Unsent, at, 0, s.now)
}

// record tells the recorder what became of a slot's request, and frees the slot.
func (s *shard) record(sl *slot, o clients.Outcome) {
	if sl.trickle {
		s.rec.FinishTrickle(sl.cell, o, sl.intended, sl.sent, s.now)
	} else {
		s.rec.Finish(sl.cell, o, sl.intended, sl.begun, sl.sent, s.now)
		s.rec.Side(sl.cell, sl.kind&target.Work != 0, o, sl.intended, s.now)
	}
	sl.begun, sl.trickle = 0, false
}
