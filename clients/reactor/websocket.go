package reactor

import (
	"bytes"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
)

// upgrades are what connections of ws have beside their table: the few that are in the middle of something.
type upgrades struct {
	partial map[int32][]byte // by connection: of a reply to an upgrade, or of a control frame, what has come
	owed    map[int32][]byte // by connection: a pong that waits for a write before it
	message []byte           // a control frame that goes out, or the request to upgrade
}

func newUpgrades() upgrades {
	return upgrades{partial: map[int32][]byte{}, owed: map[int32][]byte{}}
}

// upgradeKey is that of connection i, another one for each socket.
func (s *shard) upgradeKey(i int32) string {
	n := uint64(int(i)*s.stride+s.index) << 32
	return wire.UpgradeKey((s.seed+n)*0x9e3779b97f4a7c15, (n|uint64(s.conns[i].gen))*0xbf58476d1ce4e5b9)
}

// upgrade asks for WebSocket on a connection whose socket is open.
func (s *shard) upgrade(i int32) {
	s.conns[i].state = upgrading
	e := &s.target.Endpoints[s.endpoint(i)]
	s.message = wire.AppendUpgrade(s.message[:0], e.Host, e.Path, s.upgradeKey(i))
	s.io.write(i, s.message, false)
}

// upgraded takes bytes of the reply to an upgrade, and returns what follows it.
func (s *shard) upgraded(i int32, b []byte) (rest []byte) {
	if part := s.partial[i]; len(part) > 0 {
		b = append(part, b...)
	}
	n, err := wire.ParseUpgrade(b, s.upgradeKey(i))
	switch {
	case err != nil:
		s.e.unupgraded.Store(&err)
		s.unopened(i, clients.ConnectHandshake, clients.ProtocolError)
		return nil
	case n == 0:
		s.partial[i] = bytes.Clone(b)
		return nil
	}
	delete(s.partial, i)
	s.opened(i)
	return b[n:]
}

// takeMessages feeds the bytes of a connection of ws, and finds the requests of its messages by id.
func (s *shard) takeMessages(i int32, b []byte) {
	c, m := &s.conns[i], &s.messages[i]
	gen := c.gen
	if c.state == upgrading {
		b = s.upgraded(i, b)
	}
	for len(b) > 0 && c.gen == gen {
		n, event, control, err := m.Feed(b, s.messageWanted(i), false)
		if err != nil {
			s.lose(i, clients.ProtocolError)
			return
		}
		b = b[n:]
		switch event {
		case wire.WSMessage:
			s.answer(i, m.ID(), m.BodyLen(), m.Matches())
		case wire.WSPart:
			s.partial[i] = append(s.partial[i], control...)
		case wire.WSPinged:
			s.pong(i, control)
		case wire.WSPonged:
			delete(s.partial, i)
		case wire.WSClosed:
			s.dismissed(i)
			return
		}
	}
}

// messageWanted is the body of the message under way on connection i, nil while that is not known.
func (s *shard) messageWanted(i int32) []byte {
	if !s.target.Varied {
		return s.frame.Body
	}
	m := &s.messages[i]
	if !m.Numbered() {
		return nil
	}
	sl := s.slotOf(i, m.ID())
	if sl == nil {
		return nil
	}
	s.wanted, s.body = s.request(i, sl).Wanted(s.body, s.number(sl))
	return s.wanted.Body
}

// writeControl sends a control frame on connection i, which has nothing pending.
func (s *shard) writeControl(i int32, opcode byte, payload []byte) {
	s.message = wire.AppendWSFrame(s.message[:0], opcode, s.conns[i].gen*0x9e3779b1, payload)
	s.stamps.count, s.stamps.last = 0, s.now // this is no request
	s.io.write(i, s.message, false)
}

// pong answers a ping with its payload, of which control is the last part. Of several that wait for a write only the last one
// is answered (RFC 6455, 5.5.3).
func (s *shard) pong(i int32, control []byte) {
	payload := append(s.partial[i], control...)
	delete(s.partial, i)
	switch c := &s.conns[i]; {
	case c.state != open:
	case c.pending >= 0:
		s.owed[i] = bytes.Clone(payload)
	default:
		s.writeControl(i, wire.WSPong, payload)
	}
}

// payOwed sends the pong that connection i owes, if any.
func (s *shard) payOwed(i int32) {
	payload, owed := s.owed[i]
	if !owed {
		return
	}
	delete(s.owed, i)
	if s.conns[i].state == open {
		s.writeControl(i, wire.WSPong, payload)
	}
}

// normalClosure is the payload of a close frame for no special reason, code 1000.
var normalClosure = []byte{0x03, 0xe8}

// farewell ends a connection that has nothing pending in order: the server answers the close frame, and then it is over (see ended).
func (s *shard) farewell(i int32) {
	s.now = procfs.Monotonic()
	s.conns[i].state, s.conns[i].since = closing, s.now
	s.writeControl(i, wire.WSClose, normalClosure)
}

// dismissed takes a server's close frame, which answers the client's, or is to be answered.
func (s *shard) dismissed(i int32) {
	c := &s.conns[i]
	if c.state == closing {
		s.ended(i)
		return
	}
	gen := c.gen
	if c.pending < 0 {
		s.writeControl(i, wire.WSClose, normalClosure)
	}
	if c.gen == gen {
		s.lose(i, clients.EOF)
	}
}
