package kit

import (
	"encoding/binary"

	"github.com/gobwas/ws"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
	"github.com/millrace/millrace/servers/kit/websocket"
)

// idBytes is what a ws message of the contract holds before its body, as a frame does.
const idBytes = 8

// speech is what a session speaks.
type speech uint8

const (
	speaksHTTP speech = iota
	speaksFrame
	speaksPush
	speaksWS
)

func speechOf(protocol string) speech {
	switch protocol {
	case scenarios.WS:
		return speaksWS
	case scenarios.Push:
		return speaksPush
	case "frame":
		return speaksFrame
	}
	return speaksHTTP
}

// nextPush takes what a subscriber sends: a subscription, or a heartbeat, which is a frame without a body. Neither has a reply.
func (s *Session) nextPush(in []byte, j *Job) (n int, ok bool) {
	_, body, n, err := wire.ParseFrame(in)
	if err == nil && n == 0 {
		return 0, false
	}
	_, subscribes := wire.ParseSubscribe(body)
	switch {
	case err == nil && subscribes && s.outbox != nil:
		s.outbox.Subscribe()
		j.kind = jobNothing
	case err == nil && len(body) == 0:
		j.kind = jobNothing
	default:
		s.closing = true
		j.kind, j.Last = jobNothing, true
		return len(in), true
	}
	return n, true
}

// nextMessage takes the opening handshake or one frame of ws.
func (s *Session) nextMessage(in []byte, j *Job) (n int, ok bool) {
	if !s.open {
		n, j.own, s.open = websocket.Upgrade(in, j.own[:0])
		j.kind, j.body = jobRaw, j.own
		s.closing = n > 0 && !s.open
		j.Last = s.closing
		return n, n > 0
	}
	n, m := s.messages.Next(in)
	if n == 0 {
		return 0, false
	}
	j.kind, j.op, j.mask, j.body = jobMessage, m.Op, m.Mask, m.Payload
	switch m.Op {
	case ws.OpClose:
		s.closing = true
		j.Last = true
		s.End()
	case ws.OpPing:
		j.op = ws.OpPong
	case ws.OpPong:
		j.kind = jobNothing
	case ws.OpText:
		j.counts = true
	case ws.OpBinary:
		s.binary(j)
	}
	return n, true
}

// binary tells what is counted and what has no reply. The mask's four bytes fit into the id twice, so it holds for the body as
// it stands.
func (s *Session) binary(j *Job) {
	j.counts = true
	if len(j.body) < idBytes {
		return // no id: an echo like any other
	}
	var id [idBytes]byte
	copy(id[:], j.body)
	ws.Cipher(id[:], j.mask, 0)
	j.kind, j.id, j.body = jobIDMessage, binary.BigEndian.Uint64(id[:]), j.body[idBytes:]
	j.work = j.id&wire.FrameWork != 0 && s.env.hasWork()
	if s.outbox == nil || len(j.body) > maxSubscribe {
		return
	}
	var plain [maxSubscribe]byte
	body := plain[:copy(plain[:], j.body)]
	ws.Cipher(body, j.mask, 0)
	switch pushRequestOf(body) {
	case PushSubscribe:
		s.outbox.Subscribe()
		fallthrough
	case PushHeartbeat:
		j.kind, j.counts, j.work = jobNothing, false, false
	}
}

// unmask makes the body of a message, which stands in the connection's buffer as it was sent, what it means, in the job's own memory.
func (j *Job) unmask() {
	if j.mask == [4]byte{} {
		return
	}
	j.Own()
	ws.Cipher(j.body, j.mask, 0)
	j.mask = [4]byte{}
}

// appendMessage appends a message whose body is j's, unmasked.
func appendMessage(out []byte, j *Job, body []byte) []byte {
	if j.kind == jobIDMessage {
		out = websocket.AppendHeader(out, ws.OpBinary, idBytes+len(body))
		out = binary.BigEndian.AppendUint64(out, j.id)
	} else {
		out = websocket.AppendHeader(out, j.op, len(body))
	}
	begin := len(out)
	out = append(out, body...)
	if j.mask != [4]byte{} {
		ws.Cipher(out[begin:], j.mask, 0)
	}
	return out
}
