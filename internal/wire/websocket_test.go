package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// serverFrame is a frame as a server sends it, not masked.
func serverFrame(final bool, opcode byte, payload []byte) []byte {
	if final {
		opcode |= wsFinal
	}
	b := []byte{opcode}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

// numbered is a message's payload.
func numbered(id uint64, body []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, id), body...)
}

// happenings feeds bytes in pieces and tells what came, a word each; the last is the error, if any.
func happenings(pieces [][]byte, want []byte, pushed bool) []string {
	var s WSState
	var out []string
	var control []byte
	for _, p := range pieces {
		for len(p) > 0 {
			n, event, part, err := s.Feed(p, want, pushed)
			if err != nil {
				return append(out, err.Error())
			}
			if n < 1 || n > len(p) || event == WSNothing && n < len(p) {
				return append(out, fmt.Sprintf("%d of %d bytes with event %d", n, len(p), event))
			}
			p = p[n:]
			control = append(control, part...)
			switch event {
			case WSMessage:
				out = append(out, fmt.Sprintf("message %d %d %v %d", s.ID(), s.BodyLen(), s.Matches(), s.Clock()))
			case WSPinged:
				out, control = append(out, fmt.Sprintf("ping %q", control)), nil
			case WSPonged:
				out, control = append(out, fmt.Sprintf("pong %q", control)), nil
			case WSClosed:
				out, control = append(out, fmt.Sprintf("close %d %q", s.Code(), control)), nil
			}
		}
	}
	return out
}

func TestWSMessagesHoweverCut(t *testing.T) {
	body := Payload(300)
	message := numbered(7|FrameWork, body)
	var in []byte
	in = append(in, serverFrame(true, WSBinary, message)...)
	in = append(in, serverFrame(false, WSBinary, message[:3])...)
	in = append(in, serverFrame(true, WSPing, []byte("between"))...)
	in = append(in, serverFrame(false, WSContinuation, nil)...)
	in = append(in, serverFrame(false, WSContinuation, message[3:100])...)
	in = append(in, serverFrame(true, WSPong, nil)...)
	in = append(in, serverFrame(false, WSContinuation, message[100:])...)
	in = append(in, serverFrame(true, WSContinuation, nil)...)
	in = append(in, serverFrame(true, WSBinary, numbered(9, body[:200]))...)
	in = append(in, serverFrame(true, WSBinary, numbered(10, nil))...)
	in = append(in, serverFrame(true, WSClose, []byte("\x03\xe9bye"))...)
	want := []string{
		"message 9223372036854775815 300 true 0", `ping "between"`, `pong ""`, "message 9223372036854775815 300 true 0", "message 9 200 false 0",
		"message 10 0 false 0", `close 1001 "\x03\xe9bye"`,
	}
	if got := happenings([][]byte{in}, body, false); !slices.Equal(got, want) {
		t.Fatalf("in one piece: %q, want %q", got, want)
	}
	for cut := range in {
		if got := happenings([][]byte{in[:cut], in[cut:]}, body, false); !slices.Equal(got, want) {
			t.Fatalf("cut at %d: %q, want %q", cut, got, want)
		}
	}
	var single [][]byte
	for i := range in {
		single = append(single, in[i:i+1])
	}
	if got := happenings(single, body, false); !slices.Equal(got, want) {
		t.Errorf("byte by byte: %q, want %q", got, want)
	}
}

func TestWSPushedMessages(t *testing.T) {
	good := AppendPush(nil, 3, 12345, Payload(70000))[4:]
	bad := bytes.Clone(good)
	bad[60000]++
	in := append(serverFrame(true, WSBinary, good), serverFrame(true, WSBinary, bad)...)
	want := []string{"message 3 70008 true 12345", "message 3 70008 false 12345"}
	for _, cut := range []int{1, 5, 9, 12, 20, 26, 27, 40000, len(good) + 10} {
		if got := happenings([][]byte{in[:cut], in[cut:]}, nil, true); !slices.Equal(got, want) {
			t.Errorf("cut at %d: %q, want %q", cut, got, want)
		}
	}
}

func TestWSRefuses(t *testing.T) {
	message := numbered(1, nil)
	check := func(what string, want *Error, in []byte) {
		t.Helper()
		for cut := range len(in) + 1 {
			got := happenings([][]byte{in[:cut], in[cut:]}, nil, false)
			if len(got) == 0 || got[len(got)-1] != want.Error() {
				t.Errorf("%s cut at %d: %q, want %q", what, cut, got, want)
			}
		}
	}
	check("text", ErrWSText, serverFrame(true, WSText, []byte("hello")))
	check("a reserved bit", ErrWSReserved, []byte{wsFinal | 0x40 | WSBinary, 8})
	check("a reserved opcode", ErrWSReserved, []byte{wsFinal | 3, 8})
	check("a mask", ErrWSMasked, AppendWSFrame(nil, WSBinary, 5, message))
	check("a ping in fragments", ErrWSControl, serverFrame(false, WSPing, nil))
	check("a long ping", ErrWSControl, serverFrame(true, WSPing, make([]byte, 126)))
	check("a continuation of nothing", ErrWSFragment, serverFrame(true, WSContinuation, message))
	check("a message in a message", ErrWSFragment, append(serverFrame(false, WSBinary, message), serverFrame(true, WSBinary, message)...))
	check("a short message", ErrWSMessage, serverFrame(true, WSBinary, message[:7]))
	check("a long message", ErrWSMessage, []byte{wsFinal | WSBinary, 127, 0, 0, 0, 0, 0, 0x10, 0, 1})
	check("a long form", ErrWSLength, []byte{wsFinal | WSBinary, 126, 0, 125})
	check("a longer form", ErrWSLength, []byte{wsFinal | WSBinary, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff})
	check("a negative length", ErrWSLength, []byte{wsFinal | WSBinary, 127, 0x80, 0, 0, 0, 0, 0, 0, 0})
	check("half a close code", ErrWSCloseCode, serverFrame(true, WSClose, []byte{3}))
	check("a close code of nobody", ErrWSCloseCode, serverFrame(true, WSClose, []byte{3, 0xed}))
}

func TestWSFragmentsAreBounded(t *testing.T) {
	in := append(serverFrame(false, WSBinary, make([]byte, MaxBody)), serverFrame(true, WSContinuation, []byte{1})...)
	if got := happenings([][]byte{in}, nil, false); len(got) != 1 || got[0] != ErrWSMessage.Error() {
		t.Errorf("%q, want %q", got, ErrWSMessage)
	}
}

func TestWSMask(t *testing.T) {
	const key = 0x01020384
	for n := range 40 {
		want := Payload(n)
		got := bytes.Clone(want)
		MaskWS(got, key)
		for i := range want {
			want[i] ^= []byte{1, 2, 3, 0x84}[i%4] // RFC 6455, 5.3
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
	// RFC 6455, 5.7.
	if got := AppendWSFrame(nil, WSText, 0x37fa213d, []byte("Hello")); !bytes.Equal(got, []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}) {
		t.Errorf("%x", got)
	}
}

func TestWSStateIsSmall(t *testing.T) {
	if s := unsafe.Sizeof(WSState{}); s > 40 {
		t.Errorf("%d bytes of state for each connection, want at most 40", s)
	}
}

func TestUpgrade(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455, 1.3
	const good = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	if n, err := ParseUpgrade([]byte(good+"more"), key); n != len(good) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for cut := range good {
		if n, err := ParseUpgrade([]byte(good[:cut]), key); n != 0 || err != nil {
			t.Errorf("cut at %d: %d, %v", cut, n, err)
		}
	}
	check := func(old, with string, want error) {
		t.Helper()
		if n, err := ParseUpgrade([]byte(strings.Replace(good, old, with, 1)), key); n != 0 || err != want {
			t.Errorf("%q in place of %q: %d, %v, want %v", with, old, n, err, want)
		}
	}
	check("101 Switching", "200 OK", ErrUpgradeStatus)
	check("HTTP/1.1", "HTTP/1.0", ErrUpgradeStatus)
	check("WebSocket", "h2c", ErrUpgradeField)
	check(", Upgrade", "", ErrUpgradeField)
	check("Connection:", "Connection :", ErrUpgradeField)
	check("s3p", "s3q", ErrUpgradeAccept)
	check("Sec-WebSocket-Accept", "X", ErrUpgradeAccept)
	check("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", ErrUpgradeExtra)
	if _, err := ParseUpgrade(make([]byte, MaxUpgrade+1), key); err != ErrUpgradeLong {
		t.Errorf("%v, want %v", err, ErrUpgradeLong)
	}
	want := "GET /ws HTTP/1.1\r\nHost: h:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n\r\n"
	if got := AppendUpgrade(nil, "h:1", "/ws", key); string(got) != want {
		t.Errorf("%q", got)
	}
	if len(UpgradeKey(1, 2)) != 24 || UpgradeKey(1, 2) == UpgradeKey(2, 1) {
		t.Errorf("%q", UpgradeKey(1, 2))
	}
}

// FuzzWS: never panics, and tells the same however the input is cut.
func FuzzWS(f *testing.F) {
	f.Add(serverFrame(true, WSBinary, numbered(7, []byte("hello"))), uint16(3), false)
	f.Add(append(serverFrame(false, WSBinary, numbered(7, nil)), serverFrame(true, WSContinuation, []byte("x"))...), uint16(3), false)
	f.Add(serverFrame(true, WSClose, []byte{3, 0xe8}), uint16(1), true)
	f.Add(serverFrame(true, WSBinary, AppendPush(nil, 1, 2, Payload(30))[4:]), uint16(9), true)
	f.Fuzz(func(t *testing.T, in []byte, cut uint16, pushed bool) {
		at := int(cut) % (len(in) + 1)
		whole, parts := happenings([][]byte{in}, nil, pushed), happenings([][]byte{in[:at], in[at:]}, nil, pushed)
		if !slices.Equal(whole, parts) {
			t.Fatalf("%q in one piece, %q cut at %d", whole, parts, at)
		}
	})
}
