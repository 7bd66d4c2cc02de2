package reactor

import (
	"github.com/millrace/millrace/clients/reactor/target"
	"github.com/millrace/millrace/internal/wire"
)

// aim is what a shard sends, and what it expects to come back.
type aim struct {
	target *target.Target
	only   *target.Request // nil where there are several requests
	frame  wire.Expect     // of every frame, unless they vary
	wanted wire.Expect     // of the reply under way, where they do
	body   []byte          // its body
}

func newAim(t *target.Target) aim {
	a := aim{target: t, only: t.Only()}
	if t.Frame && !t.Varied {
		a.frame = *t.Pick(0, 0).Expect()
	}
	return a
}

// endpoint is where connection i goes.
func (s *shard) endpoint(i int32) int { return s.target.Endpoint(int(i)*s.stride + s.index) }

// number is that of a slot's request in the whole stream.
func (s *shard) number(sl *slot) int64 { return int64(sl.id &^ wire.FrameWork >> s.idShift) }

// request is what a slot of connection i holds.
func (s *shard) request(i int32, sl *slot) *target.Request {
	if s.only != nil {
		return s.only
	}
	return s.target.Pick(s.endpoint(i), s.number(sl))
}

// prepare appends a request to what is about to be written, unless it is an http1 request that goes out alone and is always
// the same: then transmit takes it as it was built.
func (s *shard) prepare(i int32, sl *slot, more bool) {
	r, n := s.request(i, sl), s.number(sl)
	s.rec.BodyBytesOut += r.BodyLen(n)
	switch {
	case s.messages != nil:
		s.out = r.AppendMessage(s.out, sl.id, n)
	case s.target.Frame:
		s.out = r.AppendFrame(s.out, sl.id, n)
	case more || len(s.out) > 0 || r.Static(sl.kind) == nil:
		s.out = r.Append(s.out, sl.kind, n)
	}
}

// transmit writes what was prepared.
func (s *shard) transmit(i int32, last *slot) {
	if len(s.out) == 0 {
		s.io.write(i, s.request(i, last).Static(last.kind), true)
		return
	}
	s.io.write(i, s.out, false)
}

// expected is what the reply to the oldest request of connection i must look like, until the next call.
func (s *shard) expected(i int32) *wire.Expect {
	sl := &s.slotsOf(i)[s.conns[i].head]
	r := s.request(i, sl)
	if !s.target.Varied {
		return r.Expect()
	}
	s.wanted, s.body = r.Wanted(s.body, s.number(sl))
	return &s.wanted
}

// feedReply feeds the reply to the oldest request of connection i.
func (s *shard) feedReply(i int32, b []byte) (n int, done bool, err error) {
	e := s.expected(i)
	if s.target.Varied { // the memo knows what is expected by its address
		return s.replies[i].Feed(b, e)
	}
	return s.memo.Feed(&s.replies[i], b, e)
}

// feedFrame feeds the frame under way on connection i. Where bodies differ, which one it must have is known once its head
// has come.
func (s *shard) feedFrame(i int32, b []byte) (n int, done bool, err error) {
	f := &s.frames[i]
	if !s.target.Varied {
		return f.Feed(b, s.frame.Body)
	}
	if left := f.HeadLeft(); left > 0 {
		if n, done, err = f.Feed(b[:min(left, len(b))], nil); err != nil || done || n == len(b) {
			return n, done, err
		}
	}
	var want []byte
	if sl := s.slotOf(i, f.ID()); sl != nil {
		s.wanted, s.body = s.request(i, sl).Wanted(s.body, s.number(sl))
		want = s.wanted.Body
	}
	more, done, err := f.Feed(b[n:], want)
	return n + more, done, err
}

// slotOf is the slot of the request under way on connection i that a frame's id names, nil without one.
func (s *shard) slotOf(i int32, id uint64) *slot {
	j := int(id & (1<<s.idShift - 1))
	if j >= s.depth {
		return nil
	}
	if sl := &s.slotsOf(i)[j]; sl.begun != 0 && sl.id == id {
		return sl
	}
	return nil
}
