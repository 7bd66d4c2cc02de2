package push

import (
	"bytes"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/wire"
)

// subscribeMask masks what a subscriber sends, which is no secret.
const subscribeMask = 0x6d696c6c

// heartbeat is what a subscriber sends now and then: an empty frame, or a ping.
func heartbeat(websocket bool) []byte {
	if websocket {
		return wire.AppendWSFrame(nil, wire.WSPing, subscribeMask, nil)
	}
	return wire.AppendFrame(nil, 0, nil)
}

// upgradeKey is that of connection i, another one for each socket.
func (s *shard) upgradeKey(i int32) string {
	n := uint64(int(i)*s.stride+s.index) << 32
	return wire.UpgradeKey((s.e.plan.Seed+n)*0x9e3779b97f4a7c15, (n|uint64(s.conns[i].gen))*0xbf58476d1ce4e5b9)
}

// upgrade asks for WebSocket on a connection whose socket is open.
func (s *shard) upgrade(i int32) {
	c, e := &s.conns[i], &s.e.target.Endpoints[s.endpoint(i)]
	c.state = upgrading
	request := wire.AppendUpgrade(nil, e.Host, e.Path, s.upgradeKey(i))
	// The buffer of a socket that was just opened is empty.
	if n, errno := sys.Send(c.fd, request); errno != 0 || n < len(request) {
		s.unopened(i, clients.ConnectHandshake)
	}
}

// upgraded takes bytes of the reply to an upgrade, and returns what follows it.
func (s *shard) upgraded(i int32, b []byte) (rest []byte) {
	if part := s.partial[i]; len(part) > 0 {
		b = append(part, b...)
	}
	n, err := wire.ParseUpgrade(b, s.upgradeKey(i))
	switch {
	case err != nil:
		s.e.refusal.Store(&err)
		s.unopened(i, clients.ConnectHandshake)
		return nil
	case n == 0:
		s.partial[i] = bytes.Clone(b)
		return nil
	}
	delete(s.partial, i)
	s.opened(i)
	return b[n:]
}

// takeMessages takes bytes of a connection of ws.
func (s *shard) takeMessages(i int32, b []byte) {
	c, m := &s.conns[i], &s.messages[i]
	gen := c.gen
	if c.state == upgrading {
		b = s.upgraded(i, b)
	}
	for len(b) > 0 && c.gen == gen {
		n, event, control, err := m.Feed(b, s.e.plan.CheckBody, true)
		if err != nil {
			s.lose(i, clients.ProtocolError)
			return
		}
		b = b[n:]
		switch event {
		case wire.WSMessage:
			if !s.take(c, m.ID(), m.Clock(), m.Matches()) {
				s.lose(i, clients.ProtocolError)
			}
		case wire.WSPart:
			s.partial[i] = append(s.partial[i], control...)
		case wire.WSPonged:
			delete(s.partial, i)
		case wire.WSPinged:
			pong := wire.AppendWSFrame(nil, wire.WSPong, subscribeMask, append(s.partial[i], control...))
			delete(s.partial, i)
			s.say(i, pong)
		case wire.WSClosed:
			if s.say(i, wire.AppendWSFrame(nil, wire.WSClose, subscribeMask, nil)); c.gen == gen {
				s.lose(i, clients.EOF)
			}
			return
		}
	}
}
