package probe

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Opcodes of RFC 6455, section 5.2; Fin is added to the one of a message's last frame.
const (
	OpContinuation = 0
	OpText         = 1
	OpBinary       = 2
	OpClose        = 8
	OpPing         = 9
	OpPong         = 10
	Fin            = 0x80
)

// CloseError is a close frame where a reply could be; to those who wait for a reply it is the end of the stream.
type CloseError struct{ Status int } // 0 without one

func (e *CloseError) Error() string { return fmt.Sprintf("a close frame with status %d", e.Status) }

// Is makes it an io.EOF.
func (e *CloseError) Is(target error) bool { return target == io.EOF }

// websocket is the protocol ws, with connections that have done the handshake.
type websocket struct{ payload int }

var (
	_ Protocol   = websocket{}
	_ Subscriber = websocket{}
	_ greeter    = websocket{}
)

func (p websocket) Plain(id uint64, work bool) Request { return frame(p).Plain(id, work).asMessage() }

func (p websocket) Echo(id uint64, body []byte) Request { return frame(p).Echo(id, body).asMessage() }

func (p websocket) Subscribe(channel string) Request {
	return push{max(p.payload, 0)}.Subscribe(channel).asMessage()
}

// asMessage turns a frame into a masked binary message. Keys differ, and have every bit set and not.
func (q Request) asMessage() Request {
	key := [4]byte{byte(q.ID), byte(q.ID >> 4), ^byte(q.ID), byte(q.ID * 0x9d)}
	q.Wire = Message(Fin|OpBinary, key, q.Wire[4:])
	return q
}

func (websocket) Ordered() bool { return false }

// Read reads a whole message, and answers no ping, since the server has no reason for one.
func (websocket) Read(r *bufio.Reader) (Reply, error) {
	var message []byte
	for n := 0; ; n++ {
		first, payload, err := ReadFrame(r)
		switch {
		case err != nil:
			return Reply{}, err
		case first&15 == OpClose:
			return Reply{}, closeError(payload)
		case n == 0 && first&15 != OpBinary || n > 0 && first&15 != OpContinuation:
			return Reply{}, fmt.Errorf("frame with first byte %#x, want a binary message", first)
		}
		message = append(message, payload...)
		if first&Fin == 0 {
			continue
		}
		if len(message) < 8 {
			return Reply{}, fmt.Errorf("message of %d bytes: want an id of 8", len(message))
		}
		return Reply{ID: binary.BigEndian.Uint64(message), Status: http.StatusOK, Body: message[8:]}, nil
	}
}

func closeError(payload []byte) error {
	if len(payload) < 2 {
		return &CloseError{}
	}
	return &CloseError{int(binary.BigEndian.Uint16(payload))}
}

// ReadFrame reads a frame as a server sends it, whole and unmasked. first is its first byte.
func ReadFrame(r *bufio.Reader) (first byte, payload []byte, err error) {
	var head [10]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, nil, err
	}
	if head[0]&0x70 != 0 || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("frame with head %x: want no RSV bits and no mask", head[:2])
	}
	length := uint64(head[1])
	switch length {
	case 126:
		if _, err = io.ReadFull(r, head[2:4]); err == nil {
			length = uint64(binary.BigEndian.Uint16(head[2:]))
		}
	case 127:
		if _, err = io.ReadFull(r, head[2:10]); err == nil {
			length = binary.BigEndian.Uint64(head[2:])
		}
	}
	if err == nil && length > replyMax {
		err = fmt.Errorf("frame of %d bytes", length)
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(r, payload)
	return head[0], payload, err
}

// Frame reads one frame of ws.
func (c *Client) Frame() (first byte, payload []byte, err error) {
	if err := c.wait(c.SetReadDeadline); err != nil {
		return 0, nil, err
	}
	return ReadFrame(c.In)
}

// Message is one masked frame of ws.
func Message(first byte, key [4]byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// The handshake of section 1.3, key and answer; Handshake may be changed to make it wrong.
const (
	handshakeKey = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeID  = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	Handshake    = "GET / HTTP/1.1\r\nHost: conform\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + handshakeKey + "\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

// Greet does the handshake.
func (websocket) Greet(c *Client) error {
	if err := c.Send([]byte(Handshake)); err != nil {
		return err
	}
	return c.Greeted()
}

// Greeted reads the answer to Handshake.
func (c *Client) Greeted() error {
	r, err := c.Refusal()
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	sum := sha1.Sum([]byte(handshakeKey + handshakeID))
	switch {
	case r.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("handshake: status %d, want 101", r.StatusCode)
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || !strings.EqualFold(r.Header.Get("Connection"), "upgrade"):
		return fmt.Errorf("handshake: Upgrade %q, Connection %q: want websocket, Upgrade", r.Header.Get("Upgrade"), r.Header.Get("Connection"))
	case r.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return fmt.Errorf("handshake: Sec-WebSocket-Accept %q does not answer the key", r.Header.Get("Sec-WebSocket-Accept"))
	case r.Header.Get("Sec-WebSocket-Extensions") != "" || r.Header.Get("Sec-WebSocket-Protocol") != "":
		return errors.New("handshake: extensions or a subprotocol that nobody asked for")
	}
	return nil
}

// Refusal reads the head of whatever answers a handshake.
func (c *Client) Refusal() (*http.Response, error) {
	if err := c.wait(c.SetReadDeadline); err != nil {
		return nil, err
	}
	if _, err := c.In.Peek(1); err != nil {
		return nil, Explain(err)
	}
	r, err := http.ReadResponse(c.In, nil)
	if err != nil {
		return nil, Explain(err)
	}
	return r, r.Body.Close()
}
