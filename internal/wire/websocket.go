package wire

import (
	"bytes"
	"encoding/binary"
)

// Opcodes of WebSocket, RFC 6455 section 5.2.
const (
	WSContinuation = 0x0
	WSText         = 0x1
	WSBinary       = 0x2
	WSClose        = 0x8
	WSPing         = 0x9
	WSPong         = 0xa
)

const (
	// MaxControl is the most bytes of a control frame's payload.
	MaxControl = 125
	wsFinal    = 0x80
	wsReserved = 0x70 // no extension is ever agreed on
	wsMask     = 0x80
	wsControl  = 0x08 // of an opcode
	wsOpcode   = 0x0f
)

// The errors of the client's side of WebSocket.
var (
	ErrWSReserved  = &Error{0, "parsing WebSocket frame: reserved bit or opcode"}
	ErrWSMasked    = &Error{0, "parsing WebSocket frame: masked by a server"}
	ErrWSLength    = &Error{0, "parsing WebSocket frame: a longer form of its length than needed, or over 2^63"}
	ErrWSControl   = &Error{0, "parsing WebSocket frame: control frame in fragments, or over 125 bytes"}
	ErrWSFragment  = &Error{0, "parsing WebSocket frame: continuation of nothing, or a new message within another"}
	ErrWSText      = &Error{0, "parsing WebSocket message: text, want binary"}
	ErrWSMessage   = &Error{0, "parsing WebSocket message: length outside 8 (pushed: 16) to 1048576"}
	ErrWSCloseCode = &Error{0, "parsing WebSocket close: payload of one byte, or a code that is not to be sent"}
)

// AppendWSFrame appends a frame of a client with the final bit set, its payload masked with a key.
func AppendWSFrame(dst []byte, opcode byte, key uint32, payload []byte) []byte {
	dst = AppendWSHead(dst, opcode, key, len(payload))
	from := len(dst)
	dst = append(dst, payload...)
	MaskWS(dst[from:], key)
	return dst
}

// AppendWSHead appends what comes before a payload of n bytes, which is to be masked with the key (MaskWS).
func AppendWSHead(dst []byte, opcode byte, key uint32, n int) []byte {
	dst = append(dst, wsFinal|opcode)
	switch {
	case n < 126:
		dst = append(dst, wsMask|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, wsMask|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, wsMask|127), uint64(n))
	}
	return binary.BigEndian.AppendUint32(dst, key)
}

// MaskWS masks a whole payload, or takes the mask off it.
func MaskWS(b []byte, key uint32) {
	wide := uint64(key)<<32 | uint64(key)
	for len(b) >= 8 {
		binary.BigEndian.PutUint64(b, binary.BigEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (24 - 8*(i&3)))
	}
}

// WSEvent is what a connection has got to.
type WSEvent uint8

// The events of WSState.Feed.
const (
	WSNothing WSEvent = iota // all bytes were taken, and more are needed
	// WSNumbered: the id of the message under way is known, and with it what is expected behind it.
	WSNumbered
	WSMessage // a message is whole
	// WSPart: control holds a part of a control frame's payload, which goes on with the next bytes.
	WSPart
	WSPinged // with the last part of its payload in control
	WSPonged
	WSClosed // with the last part of its payload in control
)

// WSState is how far a client's connection has got in the messages that it receives, unmasked, in fragments or not, with control
// frames between them. A binary message holds what a frame of the contract has behind its length: a u64 id and a body, and one
// that is pushed the sender's clock before its payload. It keeps no bytes, holds no pointers and starts as its zero value.
type WSState struct {
	id, clock uint64
	left      uint64 // of the WebSocket frame's payload
	got       uint32 // bytes of the message
	code      uint16 // of a close frame
	head      uint8  // bytes of the frame's head that have come
	first     byte   // opcode and bits
	second    byte   // length as written
	control   uint8  // bytes of a control frame's payload that have come
	flags     wsFlag
}

// wsFlag is a set of what is known of a message.
type wsFlag uint8

const (
	wsUnderWay wsFlag = 1 << iota // its first frame has come, and not its last
	wsDiffers
	wsPayload // of a frame, whose head is whole
)

// wsIDBytes and wsPushBytes come before the body.
const (
	wsIDBytes   = 8
	wsPushBytes = 16
)

// Feed takes bytes as they arrive, cut anywhere, up to the next event, and returns how many it took. want, if not nil, is the body
// to compare a message with; of pushed ones nil means the payload of the contract. control is a slice of buf. After an error
// the connection is of no use.
func (s *WSState) Feed(buf, want []byte, pushed bool) (n int, event WSEvent, control []byte, err error) {
	for {
		if s.flags&wsPayload == 0 {
			taken, bad := s.feedHead(buf[n:])
			if bad != nil {
				return 0, WSNothing, nil, bad
			}
			if n += taken; s.flags&wsPayload == 0 {
				return n, WSNothing, nil, nil
			}
		}
		piece := buf[n:min(len(buf), n+int(min(s.left, uint64(len(buf)-n))))]
		if s.first&wsControl != 0 {
			event, bad := s.feedControl(piece)
			if bad != nil {
				return 0, WSNothing, nil, bad
			}
			return n + len(piece), event, piece, nil
		}
		taken, event, bad := s.feedMessage(piece, want, pushed)
		if bad != nil {
			return 0, WSNothing, nil, bad
		}
		if n += taken; event != WSNothing || n == len(buf) {
			return n, event, nil, nil
		}
	}
}

// feedHead takes bytes of a frame's head. A longer length than a message or a control frame can have is found at once.
func (s *WSState) feedHead(buf []byte) (n int, err *Error) {
	for n < len(buf) {
		c := buf[n]
		n++
		switch s.head++; s.head {
		case 1:
			s.first = c
			if err := s.opcode(); err != nil {
				return 0, err
			}
			continue
		case 2:
			s.second, s.left = c, 0
			switch {
			case c&wsMask != 0:
				return 0, ErrWSMasked
			case s.first&wsControl != 0 && c > MaxControl:
				return 0, ErrWSControl
			case c < 126:
				s.left = uint64(c)
				return n, s.begin()
			}
			continue
		}
		s.left = s.left<<8 | uint64(c)
		if long := s.second == 127; long && s.head == 10 || !long && s.head == 4 {
			if s.left>>63 != 0 || long && s.left < 1<<16 || s.left < 126 {
				return 0, ErrWSLength
			}
			return n, s.begin()
		}
	}
	return n, nil
}

// opcode judges the first byte of a frame.
func (s *WSState) opcode() *Error {
	final, within := s.first&wsFinal != 0, s.flags&wsUnderWay != 0
	if s.first&wsReserved != 0 {
		return ErrWSReserved
	}
	switch s.first & wsOpcode {
	case WSText:
		return ErrWSText
	case WSBinary, WSContinuation:
		if within != (s.first&wsOpcode == WSContinuation) {
			return ErrWSFragment
		}
		if !within {
			s.got, s.flags = 0, 0
		}
	case WSClose, WSPing, WSPong:
		if !final {
			return ErrWSControl
		}
	default:
		return ErrWSReserved
	}
	return nil
}

// begin begins a frame's payload.
func (s *WSState) begin() *Error {
	s.head, s.control = 0, 0
	s.flags |= wsPayload
	if s.first&wsControl != 0 {
		return nil
	}
	s.flags |= wsUnderWay
	if s.left > MaxBody || uint64(s.got)+s.left > MaxBody {
		return ErrWSMessage
	}
	return nil
}

// feedControl takes a part of a control frame's payload.
func (s *WSState) feedControl(piece []byte) (WSEvent, *Error) {
	for _, c := range piece {
		if s.control++; s.control <= 2 {
			s.code = s.code<<8 | uint16(c)
		}
	}
	if s.left -= uint64(len(piece)); s.left > 0 {
		return WSPart, nil
	}
	s.flags &^= wsPayload
	switch s.first & wsOpcode {
	case WSPing:
		return WSPinged, nil
	case WSPong:
		return WSPonged, nil
	}
	switch {
	case s.control == 0:
		s.code = 1005 // "no code", which is never sent
	case s.control == 1 || !validClose(s.code):
		return WSNothing, ErrWSCloseCode
	}
	return WSClosed, nil
}

// validClose reports whether a code may stand in a close frame, RFC 6455 section 7.4.
func validClose(code uint16) bool {
	return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006 || code >= 3000 && code < 5000
}

// feedMessage takes a part of a message, up to its next event.
func (s *WSState) feedMessage(piece, want []byte, pushed bool) (n int, event WSEvent, err *Error) {
	front := uint32(wsIDBytes)
	if pushed {
		front = wsPushBytes
	}
	for s.got < front && n < len(piece) {
		if s.got < wsIDBytes {
			s.id = s.id<<8 | uint64(piece[n])
		} else {
			s.clock = s.clock<<8 | uint64(piece[n])
		}
		s.got++
		s.left--
		n++
		if s.got == front && (s.left > 0 || s.first&wsFinal == 0) {
			return n, WSNumbered, nil
		}
	}
	if rest := piece[n:]; len(rest) > 0 {
		if !s.same(want, rest, int(s.got-front), pushed) {
			s.flags |= wsDiffers
		}
		s.got += uint32(len(rest))
		s.left -= uint64(len(rest))
		n += len(rest)
	}
	if s.left > 0 {
		return n, WSNothing, nil
	}
	s.flags &^= wsPayload
	if s.first&wsFinal == 0 {
		return n, WSNothing, nil
	}
	s.flags &^= wsUnderWay
	switch {
	case s.got < front:
		return 0, WSNothing, ErrWSMessage
	case want != nil && int(s.got-front) != len(want):
		s.flags |= wsDiffers
	}
	return n, WSMessage, nil
}

// same reports whether a piece of the body that begins at a place is what is wanted there.
func (s *WSState) same(want, piece []byte, at int, pushed bool) bool {
	if want == nil {
		return !pushed || samePattern(at, piece)
	}
	return at+len(piece) <= len(want) && bytes.Equal(want[at:at+len(piece)], piece)
}

// Started reports whether part of a message or of a frame has arrived.
func (s *WSState) Started() bool { return s.head > 0 || s.flags&(wsUnderWay|wsPayload) != 0 }

// Numbered reports whether the id of a message under way is known.
func (s *WSState) Numbered() bool { return s.flags&wsUnderWay != 0 && s.got >= wsIDBytes }

// ID is the id of the message that is numbered or whole; of a pushed one, its sequence number.
func (s *WSState) ID() uint64 { return s.id }

// Clock is the sender's CLOCK_MONOTONIC in ns of a pushed message that is whole. A negative one is nobody's.
func (s *WSState) Clock() int64 { return int64(s.clock) }

// BodyLen is the bytes behind the id of a message that is whole.
func (s *WSState) BodyLen() int64 { return int64(s.got) - wsIDBytes }

// Matches reports whether the body of a message that is whole is the one wanted.
func (s *WSState) Matches() bool { return s.flags&wsDiffers == 0 }

// Code is that of the close frame that has come, 1005 without one.
func (s *WSState) Code() int { return int(s.code) }
