package websocket

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/millrace/millrace/internal/wire"
)

const (
	// MaxMessage is the most bytes of a message, its fragments together: as much as a frame has behind its length.
	MaxMessage = wire.MaxBody
	// MaxInput is the most bytes that Next asks its caller to hold.
	MaxInput = MaxMessage + ws.MaxHeaderSize
	// keptMessage is how much memory a Reader keeps for the next message.
	keptMessage = 64 << 10
)

// Message is what Next took. Op says which:
//
//	OpBinary, OpText  a whole message
//	OpPing            to be answered by a pong with the payload
//	OpClose           to be answered by a close with the payload, which holds the right status already; nothing may follow
//	OpPong            nothing to be answered: a pong, or a fragment of a message whose end is to come
type Message struct {
	Op ws.OpCode
	// Payload is a slice of Next's bytes or of the Reader's memory, valid until the next Next.
	Payload []byte
	// Mask is to be applied to Payload, see ws.Cipher. It is zero where that was done.
	Mask [4]byte
}

// Reader is how far a connection has got in its messages. The zero value is ready. It may be copied before a Next, and that be
// undone by putting the copy back.
type Reader struct {
	message []byte // of the fragments so far
	op      ws.OpCode
}

// Next takes a frame off in. n is how many bytes it took, zero where the frame is incomplete.
func (r *Reader) Next(in []byte) (n int, m Message) {
	header, size, err := parseHeader(in)
	if err == nil && size == 0 {
		return 0, Message{}
	}
	if err == nil {
		err = r.check(header)
	}
	if err != nil {
		return len(in), closing(err)
	}
	n = size + int(header.Length)
	if len(in) < n {
		return 0, Message{}
	}
	payload := in[size:n]
	if header.OpCode.IsControl() {
		return n, control(header, payload)
	}
	if header.OpCode == ws.OpBinary && header.Fin {
		return n, Message{ws.OpBinary, payload, header.Mask}
	}
	if header.OpCode != ws.OpContinuation {
		r.op = header.OpCode
		if r.message = r.message[:0]; cap(r.message) > keptMessage {
			r.message = nil
		}
	}
	begin := len(r.message)
	r.message = append(r.message, payload...)
	ws.Cipher(r.message[begin:], header.Mask, 0)
	if !header.Fin {
		return n, Message{Op: ws.OpPong}
	}
	m = Message{Op: r.op, Payload: r.message}
	r.op = ws.OpContinuation
	if m.Op == ws.OpText && !utf8.Valid(m.Payload) {
		return len(in), closing(errText)
	}
	return n, m
}

// Errors beyond those of gobwas/ws.
var (
	errText    = errors.New("text is no UTF-8")
	errTooLong = errors.New("message over 1 MiB")
	errStatus  = errors.New("close with a status of one byte")
)

func (r *Reader) check(h ws.Header) error {
	state := ws.StateServerSide
	length := h.Length
	if r.op != ws.OpContinuation {
		state |= ws.StateFragmented
		if h.OpCode == ws.OpContinuation {
			length += int64(len(r.message))
		}
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return err
	}
	if length > MaxMessage {
		return errTooLong
	}
	return nil
}

// closing is a close with the status that section 7.4.1 has for the error.
func closing(err error) Message {
	status := ws.StatusProtocolError
	switch err {
	case errText, ws.ErrProtocolInvalidUTF8:
		status = ws.StatusInvalidFramePayloadData
	case errTooLong:
		status = ws.StatusMessageTooBig
	}
	return Message{Op: ws.OpClose, Payload: binary.BigEndian.AppendUint16(nil, uint16(status))}
}

// control takes a ping, a pong or a close; the latter is answered with its own status.
func control(h ws.Header, payload []byte) Message {
	if h.OpCode != ws.OpClose || len(payload) == 0 {
		return Message{h.OpCode, payload, h.Mask}
	}
	if len(payload) == 1 {
		return closing(errStatus)
	}
	plain := append([]byte(nil), payload...)
	ws.Cipher(plain, h.Mask, 0)
	if err := ws.CheckCloseFrameData(ws.ParseCloseFrameData(plain)); err != nil {
		return closing(err)
	}
	return Message{Op: ws.OpClose, Payload: plain[:2]}
}

// parseHeader is ws.ReadHeader on bytes, without its allocations. size is the header's; zero means that it is incomplete.
func parseHeader(in []byte) (h ws.Header, size int, err error) {
	if len(in) < ws.MinHeaderSize {
		return h, 0, nil
	}
	h.Fin, h.Rsv, h.OpCode = in[0]&0x80 != 0, in[0]>>4&7, ws.OpCode(in[0]&0x0f)
	h.Masked, h.Length = in[1]&0x80 != 0, int64(in[1]&0x7f)
	size = ws.MinHeaderSize
	switch h.Length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if h.Masked {
		size += len(h.Mask)
	}
	if len(in) < size {
		return h, 0, nil
	}
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(in[2:]))
	case 127:
		if h.Length = int64(binary.BigEndian.Uint64(in[2:])); h.Length < 0 {
			return h, size, ws.ErrHeaderLengthMSB
		}
	}
	if h.Masked {
		copy(h.Mask[:], in[size-len(h.Mask):])
	}
	return h, size, nil
}

// AppendHeader is ws.WriteHeader on bytes, of a whole message of n bytes that is not masked.
func AppendHeader(dst []byte, op ws.OpCode, n int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
}
