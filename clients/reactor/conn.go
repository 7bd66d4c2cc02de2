package reactor

import (
	"github.com/millrace/millrace/clients/reactor/queue"
	"github.com/millrace/millrace/clients/reactor/target"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

// conn is one entry of a shard's connection table: 48 bytes without pointers, so that the garbage collector never looks
// at the table. Entry i is connection i·stride + offset of the whole load.
type conn struct {
	since   int64 // connecting: begun; closing: when the last reply was whole
	freeAt  int64 // since when it has had room for a request
	fd      int32
	pending int32  // the transport's: what of a write the kernel has not taken, -1 if nothing
	gen     uint32 // of the descriptor, so that events of an earlier one are known
	sent    uint32 // requests on this connection so far
	head    uint16 // http1: slot of the oldest request in flight; frame: where to look for a free one
	flying  uint16 // requests in flight
	state   state
	queued  bool // in ready
	first   bool // to exchange one request as soon as it is open
	early   bool // the last connection was closed too early: the next one makes up for it
	// renewing is whether it is to be closed once its requests are answered, or was, and is being opened anew.
	renewing bool
	// answered is whether the one that was closed too early had a reply.
	answered bool
}

type state uint8

const (
	closed state = iota
	connecting
	upgrading // to WebSocket
	open
	closing // takes no more requests, waits for the server to close
)

// slot is a request in flight, or one whose connection is being opened.
type slot struct {
	intended int64
	begun    int64  // when the client turned to it: connecting begun, or sent; zero in a free slot
	sent     int64  // when its first byte was written; zero before
	id       uint64 // number of the request and index of the slot; of a frame also whether it asks for work
	cell     int32
	kind     target.Kind
	trickle  bool // of a connection that is idle otherwise
}

// table is a shard's connections. slots[i·depth+j] is slot j of connection i.
type table struct {
	conns   []conn
	slots   []slot
	replies []wire.ReplyState // http1
	frames  []wire.FrameState // frame
	// messages are those of ws.
	messages []wire.WSState
	depth    int
	ready    queue.Queue // open connections with room, in the order in which they got it
	idle     queue.Queue // connections by request: entries without a connection
	broken   queue.Queue // kept connections that have to be opened again
}

func newTable(n, depth int, protocol string) *table {
	t := &table{conns: make([]conn, n), slots: make([]slot, n*depth), depth: depth}
	switch protocol {
	case "frame":
		t.frames = make([]wire.FrameState, n)
	case scenarios.WS:
		t.messages = make([]wire.WSState, n)
	default:
		t.replies = make([]wire.ReplyState, n)
	}
	for i := range t.conns {
		t.conns[i].fd, t.conns[i].pending = -1, -1
	}
	t.ready, t.idle, t.broken = queue.New(n), queue.New(n), queue.New(n)
	return t
}

// afresh forgets what came on connection i before.
func (t *table) afresh(i int32) {
	switch {
	case t.replies != nil:
		t.replies[i] = wire.ReplyState{}
	case t.messages != nil:
		t.messages[i] = wire.WSState{}
	default:
		t.frames[i] = wire.FrameState{}
	}
}

// slotsOf are the slots of connection i.
func (t *table) slotsOf(i int32) []slot {
	return t.slots[int(i)*t.depth : (int(i)+1)*t.depth]
}

// grab returns a free slot of connection i, which must have room: the next one in http1, where replies come in order,
// any in frame.
func (t *table) grab(i int32) (*slot, int) {
	c, slots := &t.conns[i], t.slotsOf(i)
	if t.replies != nil {
		j := (int(c.head) + int(c.flying)) % t.depth
		c.flying++
		return &slots[j], j
	}
	j := int(c.head)
	for slots[j].begun != 0 {
		j = (j + 1) % t.depth
	}
	c.head = uint16((j + 1) % t.depth)
	c.flying++
	return &slots[j], j
}
