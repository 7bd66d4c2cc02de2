package wire

import (
	"bytes"
	"encoding/binary"
)

const (
	// PushHead is the bytes of a push frame before its payload: length, sequence number and the sender's clock.
	PushHead = FrameHead + 8
	// MaxChannel is the most bytes of a channel's name.
	MaxChannel = 255
	// subscribe is how the body of a subscribe frame begins; a blank and the name of a channel may follow.
	subscribe = "subscribe"
	// pushBlock is how many bytes of a payload are compared at a time, beside a period of the pattern.
	pushBlock = 4096
)

// pushPattern is a block of the payload of the contract, and one period more, so that a block may begin anywhere in it.
var pushPattern = Payload(pushBlock + len(payloadPattern))

// AppendSubscribe appends the frame with which a client subscribes to a channel, the one without a name if that is empty. Its
// id is 0. A name that ParseSubscribe would refuse is the caller's error.
func AppendSubscribe(dst []byte, channel string) []byte {
	n := len(subscribe)
	if channel != "" {
		n += 1 + len(channel)
	}
	dst = append(AppendFrameHead(dst, 0, n), subscribe...)
	if channel != "" {
		dst = append(append(dst, ' '), channel...)
	}
	return dst
}

// ParseSubscribe reads the body of a subscribe frame. channel is a slice of body, empty for the one without a name; ok is false
// for any other body. A name has 1 to MaxChannel printable ASCII characters without blanks.
func ParseSubscribe(body []byte) (channel []byte, ok bool) {
	rest, ok := bytes.CutPrefix(body, []byte(subscribe))
	if !ok || len(rest) == 0 {
		return nil, ok
	}
	channel = rest[1:]
	return channel, rest[0] == ' ' && ValidChannel(channel)
}

// ValidChannel reports whether a name is one that a channel can have.
func ValidChannel(name []byte) bool {
	return len(name) > 0 && len(name) <= MaxChannel && allIn(&targetByte, name)
}

// AppendPush appends a frame that a server sends on its own: its sequence number on its channel, the sender's
// CLOCK_MONOTONIC in ns, and a payload of at most MaxBody − 16 bytes.
func AppendPush(dst []byte, sequence uint64, clock int64, payload []byte) []byte {
	dst = AppendFrameHead(dst, sequence, 8+len(payload))
	dst = binary.BigEndian.AppendUint64(dst, uint64(clock))
	return append(dst, payload...)
}

// PushState is how far a connection has got in the push frame that it receives. It keeps no bytes, holds no pointers and
// starts as its zero value.
type PushState struct {
	frame FrameState
	clock uint64
}

// Feed takes bytes as they arrive. n is how many it took; done means that a frame is whole, its results are in the methods
// until the next Feed, and buf[n:] belongs to the next frame. Without done all of buf was taken. want is the payload to
// compare with, nil for that of the contract (see Payload) at the frame's own length. After an error the connection is of no
// use.
func (s *PushState) Feed(buf, want []byte) (n int, done bool, err error) {
	f := &s.frame
	if !f.Started() {
		*s = PushState{}
	}
	if f.got == 0 && len(buf) >= PushHead {
		f.length, f.id = binary.BigEndian.Uint32(buf), binary.BigEndian.Uint64(buf[4:])
		s.clock = binary.BigEndian.Uint64(buf[FrameHead:])
		f.got, n = PushHead, PushHead
	}
	for f.got < PushHead && n < len(buf) && (f.got < 4 || f.soundPush()) {
		switch c := buf[n]; {
		case f.got < 4:
			f.length = f.length<<8 | uint32(c)
		case f.got < FrameHead:
			f.id = f.id<<8 | uint64(c)
		default:
			s.clock = s.clock<<8 | uint64(c)
		}
		f.got++
		n++
	}
	switch {
	case f.got >= 4 && !f.soundPush():
		return 0, false, ErrPushLength
	case f.got < PushHead:
		return n, false, nil
	}
	piece := buf[n:min(len(buf), n+int(f.length+4-f.got))]
	if !s.same(want, piece) {
		f.differs = true
	}
	f.got += uint32(len(piece))
	return n + len(piece), f.got == f.length+4, nil
}

// soundPush reports whether the length is one that a push frame can have.
func (s *FrameState) soundPush() bool { return s.length >= PushHead-4 && s.length <= MaxBody }

// same reports whether a piece of the payload is what is wanted there.
func (s *PushState) same(want, piece []byte) bool {
	at, total := int(s.frame.got)-PushHead, int(s.PayloadLen())
	if want != nil {
		return sameAt(want, at, total, piece)
	}
	return samePattern(at, piece)
}

// samePattern reports whether a piece of a payload that begins at a place is the contract's.
func samePattern(at int, piece []byte) bool {
	for len(piece) > 0 {
		n, from := min(len(piece), pushBlock), at%len(payloadPattern)
		if !bytes.Equal(piece[:n], pushPattern[from:from+n]) {
			return false
		}
		piece, at = piece[n:], at+n
	}
	return true
}

// Sequence is the number of the frame that is whole.
func (s *PushState) Sequence() uint64 { return s.frame.id }

// Clock is the sender's CLOCK_MONOTONIC in ns. A negative one is nobody's.
func (s *PushState) Clock() int64 { return int64(s.clock) }

// PayloadLen is the bytes of the frame's payload.
func (s *PushState) PayloadLen() int64 { return int64(s.frame.length) - (PushHead - 4) }

// Matches reports whether the payload is the one wanted.
func (s *PushState) Matches() bool { return !s.frame.differs }
