package reactor

import (
	"syscall"

	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/clients/recording"
)

const (
	// stampEvery is the share of requests that the kernel is asked to stamp: one of so many,
	stampEvery = 1024
	// or one in stampGapNs, if that is more: light loads have few requests and time to spare.
	stampGapNs = 5_000_000
)

// stamps splits the response times of some requests of a shard by the kernel's time stamps: when the request left for the
// device, and when the reply arrived. One is under way at a time, alone on its connection.
type stamps struct {
	sys.Stamps
	off     bool // the kernel gives none
	conn    int32
	gen     uint32
	free    int64 // since when the connection had room
	arrived int64 // CLOCK_REALTIME ns, zero until told
	count   int64 // writes since the last one
	last    int64 // when that was

	told *recording.Stamped
}

func newStamps() *stamps { return &stamps{conn: -1, told: recording.NewStamped()} }

// wantsStamp reports whether the request that is about to be written on connection i is to be stamped.
func (s *shard) wantsStamp(i int32) bool {
	p := s.stamps
	if p.count++; p.off || p.count < stampEvery && s.now-p.last < stampGapNs {
		return false
	}
	c := &s.conns[i]
	if c.flying != 1 || s.phase < 0 || !s.e.plan.Scenario.Phases[s.phase].Measure || s.conns[i].state != open {
		return false
	}
	if p.conn >= 0 && s.conns[p.conn].gen == p.gen && s.conns[p.conn].flying > 0 {
		return false // the last one is not answered yet
	}
	p.count, p.last = 0, s.now
	if p.Enable(c.fd) != 0 {
		p.off = true
		return false
	}
	p.conn, p.gen, p.free, p.arrived = i, c.gen, c.freeAt, 0
	return true
}

// takeStamp ends the stamped request with its good reply. If others followed it on its connection, whose arrival the kernel
// told is not known.
func (s *shard) takeStamp(sl *slot) {
	p, c := s.stamps, &s.conns[s.stamps.conn]
	p.conn = -1
	left := p.Left(c.fd)
	if left == 0 || p.arrived == 0 || sl.sent != sl.begun || c.flying != 1 {
		return
	}
	offset := sys.Realtime()
	left, arrived := left-offset, p.arrived-offset
	// A step of the wall clock between stamp and reading would show as a negative part.
	if left < sl.sent || arrived < left || s.now < arrived {
		return
	}
	lag := sl.sent - max(sl.intended, p.free)
	p.told.Sending.Record(left - sl.sent)
	p.told.WireServer.Record(arrived - left)
	p.told.Receiving.Record(s.now - arrived)
	p.told.Client.Record(lag + left - sl.sent + s.now - arrived)
	p.told.Response.Record(s.now - sl.intended)
}

// stampedOf adds up what the shards' stamps say.
func stampedOf(shards []*shard) *recording.Stamped {
	all := recording.NewStamped()
	for _, s := range shards {
		all.Merge(s.stamps.told)
	}
	return all
}

// send writes to the socket of connection i, and asks for the kernel's time stamp where that is wanted.
func (t *epollTransport) send(i int32, b []byte) (int, syscall.Errno) {
	if t.s.wantsStamp(i) {
		return t.s.stamps.Write(t.s.conns[i].fd, b)
	}
	return sys.Send(t.s.conns[i].fd, b)
}
