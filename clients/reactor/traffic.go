package reactor

import (
	"syscall"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/reactor/target"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
)

// queueDue reports whether a request is due, whether or not a connection is free.
func (s *shard) queueDue() bool { return s.phase >= 0 && (s.arrivalDue() || s.closed) }

// arrivalDue reports whether one of the schedule is.
func (s *shard) arrivalDue() bool {
	at, _, ok := s.cursor.Peek()
	return ok && s.start+int64(at) <= s.now
}

// available reports whether a request could go out now.
func (s *shard) available() bool {
	for s.ready.Len() > 0 {
		if s.room(s.ready.First()) > 0 {
			return true
		}
		s.conns[s.ready.Pop()].queued = false
	}
	return s.idle.Len() > 0 && s.phase >= 0
}

// drainVacant is how many requests could go out now, at least. It empties the queue of ready connections: the shard is at its end.
func (s *shard) drainVacant() int {
	n := s.idle.Len()
	for ; s.ready.Len() > 0; n += s.room(s.ready.Pop()) {
	}
	return n
}

// room is how many more requests connection i takes now.
func (s *shard) room(i int32) int {
	c := &s.conns[i]
	if c.state != open || c.pending >= 0 || c.renewing {
		return 0
	}
	room := s.depth - int(c.flying)
	if s.requests > 0 {
		room = min(room, s.requests-int(c.sent))
	}
	return room
}

// offer queues a connection that has room, if it is one of the active ones, and renews one whose time has come.
func (s *shard) offer(i int32) {
	c := &s.conns[i]
	if len(s.owed) > 0 && c.pending < 0 {
		s.payOwed(i)
	}
	if c.renewing && c.state == open && c.flying == 0 && c.pending < 0 {
		s.renew(i)
		return
	}
	if !c.queued && (int(i) < s.active || s.requests > 0) && s.room(i) > 0 {
		c.queued = true
		s.ready.Push(i)
	}
}

// send sends what is due, in at most so many writes.
func (s *shard) send(limit int) {
	for ; limit > 0 && s.queueDue() && s.available(); limit-- {
		if s.ready.Len() == 0 {
			s.openFor(s.idle.Pop())
			continue
		}
		i := s.ready.Pop()
		s.conns[i].queued = false
		s.fill(i)
		s.offer(i)
	}
}

// fill sends the next requests on a connection in one write: one, or with pipelining its share of the backlog.
func (s *shard) fill(i int32) {
	c := &s.conns[i]
	s.now = procfs.Monotonic()
	n := 1
	if s.depth > 1 {
		n = s.room(i)
		if !s.closed || s.arrivalDue() {
			n = max(1, min(n, s.share()))
		}
	}
	s.out = s.out[:0]
	var last *slot
	for ; n > 0; n-- {
		last = s.arrive(i, s.now, s.now)
		s.sent(last, c.freeAt)
		s.prepare(i, last, n > 1)
	}
	s.transmit(i, last)
}

// share is how many of the requests that are due the next connection gets: what every connection with room would, or, once
// the client is behind, at least lateBatch, since one write of several takes hardly longer than one of one.
func (s *shard) share() int {
	s.count()
	backlog, ways := s.due-s.taken, int64(s.ready.Len()+1)
	even := (backlog + ways - 1) / ways
	if at, _, ok := s.cursor.Peek(); ok && s.now-s.start-int64(at) > lateAfter {
		even = max(even, min(backlog, lateBatch))
	}
	return int(even)
}

// flight is a request that was written, but that the kernel may not have got yet.
type flight struct {
	cell int32
	due  int64 // when it could have gone
}

// sent takes note that a request is written at s.now, on a connection that was free for it since a time. How late that is
// is known only when the kernel has it.
func (s *shard) sent(sl *slot, free int64) {
	if !s.defers {
		s.rec.Sent(sl.cell, sl.intended, free, s.now)
		return
	}
	s.rec.Begun(sl.cell, sl.intended, free, s.now)
	s.flights = append(s.flights, flight{sl.cell, max(sl.intended, free)})
}

// launch sees to it that the kernel has all that was written, and tells the recorder how late that was.
func (s *shard) launch() {
	begun := s.io.submit()
	s.now = procfs.Monotonic()
	if begun == 0 {
		begun = s.now
	}
	for _, f := range s.flights {
		s.rec.Late(f.cell, begun-f.due)
	}
	s.flights = s.flights[:0]
}

// ownNumber numbers a request outside the schedule, as the shards share those of the schedule.
func (s *shard) ownNumber() int64 {
	s.own++
	return s.ownBase + (s.own-1)*int64(s.stride) + int64(s.index)
}

// arrive takes the next arrival into a slot of connection i, or, in a closed loop, one that has been due since the connection
// became free. What was free before the last tick was so for want of a load, or is one of more than go out at once at the
// begin of a phase, and is due now.
func (s *shard) arrive(i int32, begun, sent int64) *slot {
	sl, j := s.grab(i)
	if !s.arrivalDue() {
		if sl.intended = s.now; s.conns[i].freeAt > s.ticked {
			sl.intended = s.conns[i].freeAt
		}
		return s.assign(i, sl, j, s.ownNumber(), begun, sent)
	}
	number := s.cursor.Number()
	at, _, _ := s.cursor.Next()
	s.taken++
	sl.intended = s.start + int64(at)
	return s.assign(i, sl, j, number, begun, sent)
}

// sendOwn sends a request outside the schedule on a connection that has just opened.
func (s *shard) sendOwn(i int32) {
	sl, j := s.grab(i)
	sl.intended = s.now
	s.assign(i, sl, j, s.ownNumber(), s.now, s.now)
	s.sent(sl, s.now)
	s.out = s.out[:0]
	s.prepare(i, sl, false)
	s.transmit(i, sl)
}

// assign fills a slot that was grabbed.
func (s *shard) assign(i int32, sl *slot, j int, number, begun, sent int64) *slot {
	c := &s.conns[i]
	sl.begun, sl.sent = begun, sent
	if sl.kind = 0; sl.trickle {
		sl.cell = s.rec.DueTrickle(sl.intended)
	} else {
		sl.cell = s.rec.Due(sl.intended)
	}
	if arrivals.AsksForWork(s.seed, number, s.work) {
		sl.kind = target.Work
	}
	c.sent++
	if s.policy == "fin-server" && int(c.sent) == s.requests {
		sl.kind |= target.Close
	}
	if sl.id = uint64(number)<<s.idShift | uint64(j); s.target.Frame && sl.kind&target.Work != 0 {
		sl.id |= wire.FrameWork
	}
	return sl
}

// flushFirst sends the request for which a connection was opened.
func (s *shard) flushFirst(i int32) {
	slots := s.slotsOf(i)
	for j := range slots {
		if sl := &slots[j]; sl.begun != 0 {
			sl.sent = s.now
			s.out = s.out[:0]
			s.prepare(i, sl, false)
			s.transmit(i, sl)
			return
		}
	}
}

// flushed takes note that the rest of a write is gone.
func (s *shard) flushed(i int32) {
	s.now = procfs.Monotonic()
	s.conns[i].freeAt = s.now
	s.offer(i)
}

// failed ends an open connection with an error.
func (s *shard) failed(i int32, errno syscall.Errno) {
	switch s.conns[i].state {
	case closing:
		s.ended(i)
	case upgrading:
		s.unopened(i, clients.ConnectHandshake, streamOutcome(errno))
	default:
		s.lose(i, streamOutcome(errno))
	}
}

// arrived takes bytes that have come on a connection at s.now.
func (s *shard) arrived(i int32, b []byte) {
	gen := s.conns[i].gen
	switch {
	case s.replies != nil:
		s.takeReplies(i, b)
	case s.messages != nil:
		s.takeMessages(i, b)
	default:
		s.takeFrames(i, b)
	}
	if s.conns[i].gen == gen {
		s.offer(i)
	}
}

// eof ends a connection that the server has closed.
func (s *shard) eof(i int32) {
	c := &s.conns[i]
	if s.replies != nil && c.flying > 0 && s.replies[i].EOF(s.expected(i)) {
		s.takeReply(i)
		if c.state == closed {
			return
		}
		c.state = closing
	}
	switch c.state {
	case closing:
		s.ended(i)
	case upgrading:
		s.unopened(i, clients.ConnectHandshake, clients.EOF)
	default:
		s.lose(i, clients.EOF)
	}
}

// takeReplies feeds http1 bytes to the replies of a connection, which come in the order of the requests.
func (s *shard) takeReplies(i int32, b []byte) {
	c := &s.conns[i]
	gen := c.gen
	for len(b) > 0 && c.gen == gen {
		if c.flying == 0 {
			s.lose(i, clients.ProtocolError)
			return
		}
		n, done, err := s.feedReply(i, b)
		if err != nil {
			s.lose(i, clients.ProtocolError)
			return
		}
		if !done {
			return
		}
		b = b[n:]
		s.takeReply(i)
	}
}

// takeReply ends the oldest request of a connection with the reply that is whole.
func (s *shard) takeReply(i int32) {
	c, r := &s.conns[i], &s.replies[i]
	o := clients.OK
	switch {
	case r.Status() < 200 || r.Status() > 299:
		o = clients.HTTPError
		s.rec.Statuses[r.Status()%len(s.rec.Statuses)]++
	case !r.Matches():
		o = clients.BadPayload
	}
	sl := &s.slotsOf(i)[c.head]
	if c.head++; int(c.head) == s.depth {
		c.head = 0
	}
	if r.Close() && c.state == open {
		c.state, c.since = closing, s.now
	}
	s.rec.BodyBytesIn += r.BodyLen()
	s.complete(i, sl, o)
}

// takeFrames feeds frames to a connection, and finds their requests by id.
func (s *shard) takeFrames(i int32, b []byte) {
	c, f := &s.conns[i], &s.frames[i]
	gen := c.gen
	for len(b) > 0 && c.gen == gen {
		n, done, err := s.feedFrame(i, b)
		if err != nil {
			s.lose(i, clients.ProtocolError)
			return
		}
		if !done {
			return
		}
		b = b[n:]
		s.answer(i, f.ID(), f.BodyLen(), f.Matches())
	}
}

// answer ends the request that a reply on connection i names.
func (s *shard) answer(i int32, id uint64, bodyLen int64, matches bool) {
	sl := s.slotOf(i, id)
	if sl == nil {
		s.lose(i, clients.ProtocolError)
		return
	}
	o := clients.OK
	if !matches || s.target.Varied && bodyLen != s.request(i, sl).BodyLen(s.number(sl)) {
		o = clients.BadPayload
	}
	s.rec.BodyBytesIn += bodyLen
	s.complete(i, sl, o)
}

// complete ends a request with its reply, and after the last one its connection. A reply that comes after the timeout, before
// scan has found that, comes too late all the same.
func (s *shard) complete(i int32, sl *slot, o clients.Outcome) {
	c := &s.conns[i]
	if s.now-sl.begun > s.timeout {
		o = clients.Timeout
	}
	if s.stamps.conn == i && s.stamps.gen == c.gen && o == clients.OK && !sl.trickle {
		s.takeStamp(sl)
	}
	s.service += (s.now - sl.sent - s.service) / 64
	s.record(sl, o)
	if int(c.flying) == s.depth {
		c.freeAt = s.now
	}
	c.flying--
	if s.requests > 0 && int(c.sent) >= s.requests && c.flying == 0 {
		s.retire(i)
	}
}
