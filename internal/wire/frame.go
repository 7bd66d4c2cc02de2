package wire

import (
	"bytes"
	"encoding/binary"
)

const (
	// FrameWork is the bit of a request id that asks for the server's work.
	FrameWork = 1 << 63
	// FrameHead is the bytes before a frame's body: length and id.
	FrameHead = 12
	// MaxFrame is the bytes of the largest frame.
	MaxFrame = 4 + MaxBody
)

// ParseFrame reads one frame from the start of buf: u32 length of the rest, u64 id, body, big-endian. n is how many bytes it
// took; zero without an error means that the frame is incomplete. body is a slice of buf. A length under 8 or over MaxBody
// is ErrFrameLength.
func ParseFrame(buf []byte) (id uint64, body []byte, n int, err error) {
	if len(buf) < 4 {
		return 0, nil, 0, nil
	}
	length := binary.BigEndian.Uint32(buf)
	if length < 8 || length > MaxBody {
		return 0, nil, 0, ErrFrameLength
	}
	n = 4 + int(length)
	if len(buf) < n {
		return 0, nil, 0, nil
	}
	return binary.BigEndian.Uint64(buf[4:]), buf[FrameHead:n], n, nil
}

// AppendFrame appends a frame. A body over MaxBody − 8 bytes is the caller's error and makes the peer close.
func AppendFrame(dst []byte, id uint64, body []byte) []byte {
	return append(AppendFrameHead(dst, id, len(body)), body...)
}

// AppendFrameHead appends what comes before a body of n bytes.
func AppendFrameHead(dst []byte, id uint64, n int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(8+n))
	return binary.BigEndian.AppendUint64(dst, id)
}

// FrameState is how far a connection has got in the frame that it receives. It keeps no bytes, holds no pointers and
// starts as its zero value.
type FrameState struct {
	id      uint64
	length  uint32
	got     uint32 // bytes of the frame, its length included
	differs bool
}

// Feed takes bytes as they arrive. n is how many it took; done means that a frame is whole, its results are in the methods
// until the next Feed, and buf[n:] belongs to the next frame. Without done all of buf was taken. want, if not nil, is the
// body to compare with. After ErrFrameLength the connection is of no use.
func (s *FrameState) Feed(buf, want []byte) (n int, done bool, err error) {
	if s.got >= FrameHead && s.got == s.length+4 {
		*s = FrameState{}
	}
	if s.got == 0 && len(buf) >= FrameHead {
		s.length, s.id = binary.BigEndian.Uint32(buf), binary.BigEndian.Uint64(buf[4:])
		s.got, n = FrameHead, FrameHead
		if s.length < 8 || s.length > MaxBody {
			return 0, false, ErrFrameLength
		}
	}
	for s.got < FrameHead {
		if n == len(buf) {
			return n, false, nil
		}
		if s.got < 4 {
			s.length = s.length<<8 | uint32(buf[n])
		} else {
			s.id = s.id<<8 | uint64(buf[n])
		}
		s.got++
		n++
		if s.got == 4 && (s.length < 8 || s.length > MaxBody) {
			return 0, false, ErrFrameLength
		}
	}
	piece := buf[n:min(len(buf), n+int(s.length+4-s.got))]
	if want != nil && !sameAt(want, int(s.got-FrameHead), int(s.length-8), piece) {
		s.differs = true
	}
	s.got += uint32(len(piece))
	return n + len(piece), s.got == s.length+4, nil
}

// HeadLeft is how many bytes of the frame under way are missing until its id is known: FrameHead between two frames.
func (s *FrameState) HeadLeft() int {
	if !s.Started() {
		return FrameHead
	}
	return max(FrameHead-int(s.got), 0)
}

// ID is the id of the frame whose head has arrived.
func (s *FrameState) ID() uint64 { return s.id }

// BodyLen is the bytes of the whole frame's body.
func (s *FrameState) BodyLen() int64 { return int64(s.length) - 8 }

// Matches reports whether the body is the one wanted.
func (s *FrameState) Matches() bool { return !s.differs }

// Started reports whether part of a frame has arrived.
func (s *FrameState) Started() bool {
	return s.got > 0 && (s.got < FrameHead || s.got != s.length+4)
}

// sameAt reports whether piece is want[from:], as far as it goes, where the whole has total bytes.
func sameAt(want []byte, from, total int, piece []byte) bool {
	return total == len(want) && from+len(piece) <= len(want) && bytes.Equal(want[from:from+len(piece)], piece)
}
