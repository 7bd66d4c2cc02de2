package cases

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/millrace/millrace/servers/conform/probe"
)

// wsCases are those of RFC 6455 alone. What exchanges do over other protocols they do over ws too.
func wsCases() []Case {
	list := []Case{
		{Name: "ws/handshake", Run: wsHandshake},
		{Name: "ws/handshake-pieces", Run: wsHandshakePieces},
		{Name: "ws/masks", Run: wsMasks},
		{Name: "ws/text", Run: wsText},
		{Name: "ws/fragments", Run: wsFragments},
		{Name: "ws/ping", Run: wsPing},
		{Name: "ws/push-and-echo", Pushing: true, Own: true, Args: pushes("100/s"), Run: wsPushAndEcho},
	}
	for _, c := range badHandshakes {
		list = append(list, Case{Name: "ws/no-handshake/" + c.name, Run: wsNoHandshake(c.old, c.new)})
	}
	for _, status := range []int{0, 1000, 1001, 3000, 4999} {
		list = append(list, Case{Name: fmt.Sprintf("ws/close-%d", status), Run: wsClose(status)})
	}
	for _, c := range wsViolations() {
		list = append(list, Case{Name: "ws/refuses/" + c.name, Run: wsRefuses(c.data, c.status...)})
	}
	return list
}

// badHandshakes are changes that make probe.Handshake wrong: old is replaced by new.
var badHandshakes = []struct{ name, old, new string }{
	{"plain-get", "Upgrade: websocket\r\nConnection: Upgrade\r\n", ""},
	{"post", "GET", "POST"},
	{"no-key", "Sec-WebSocket-Key", "X-Key"},
	{"short-key", "dGhl", ""},
	{"no-version", "Sec-WebSocket-Version", "X-Version"},
	{"version-12", "Version: 13", "Version: 12"},
	{"upgrade-to-h2c", "Upgrade: websocket", "Upgrade: h2c"},
	{"connection-keep-alive", "Connection: Upgrade", "Connection: keep-alive"},
}

// wsNoHandshake wants a status of 4xx, or 501, and no upgrade.
func wsNoHandshake(old, new string) func(*probe.Attempt) error {
	return func(a *probe.Attempt) error {
		c, err := a.DialMute(net.Dialer{})
		if err != nil {
			return err
		}
		if err := c.Send([]byte(strings.Replace(probe.Handshake, old, new, 1))); err != nil {
			return err
		}
		r, err := c.Refusal()
		if errors.Is(err, probe.ErrClosed) {
			return nil
		}
		if err == nil && (r.StatusCode < 400 || r.StatusCode > 499) && r.StatusCode != http.StatusNotImplemented {
			err = fmt.Errorf("status %d, want 4xx", r.StatusCode)
		}
		return err
	}
}

// wsHandshake changes what may be changed: the order and the case of fields, and further ones.
func wsHandshake(a *probe.Attempt) error {
	for _, change := range [][2]string{
		{"Upgrade: websocket", "upgrade: WebSocket"},
		{"Connection: Upgrade", "Connection: keep-alive, Upgrade"},
		{"Sec-WebSocket-Key", "sec-websocket-key"},
		{"Host: conform\r\n", "User-Agent: conform\r\nHost: conform\r\nOrigin: http://conform\r\n"},
		{"Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: chat\r\n"},
	} {
		if err := wsGreet(a, strings.Replace(probe.Handshake, change[0], change[1], 1), 1<<20); err != nil {
			return fmt.Errorf("with %q: %w", change[1], err)
		}
	}
	return nil
}

// wsHandshakePieces sends it in pieces of different sizes.
func wsHandshakePieces(a *probe.Attempt) error {
	return probe.Lanes(4, func(lane int) error {
		size := []int{1, 2, 31, len(probe.Handshake) - 1}[lane]
		if err := wsGreet(a, probe.Handshake, size); err != nil {
			return fmt.Errorf("handshake in pieces of %d bytes: %w", size, err)
		}
		return nil
	})
}

// wsGreet does a handshake in pieces and exchanges a message.
func wsGreet(a *probe.Attempt, handshake string, size int) error {
	c, err := a.DialMute(net.Dialer{})
	if err != nil {
		return err
	}
	for len(handshake) > 0 {
		n := min(size, len(handshake))
		if err := c.Send([]byte(handshake[:n])); err != nil {
			return err
		}
		if handshake = handshake[n:]; handshake != "" {
			a.Pause(cut)
		}
	}
	if err := c.Greeted(); err != nil {
		return err
	}
	return c.Exchange(a.Protocol.Echo(1, []byte("greeted")))
}

// wsEcho sends messages in one piece and wants one back, whole, with this opcode and payload.
func wsEcho(c *probe.Client, data []byte, opcode byte, want []byte) error {
	if err := c.Send(data); err != nil {
		return err
	}
	var got []byte
	for n := 0; ; n++ {
		first, payload, err := c.Frame()
		if err != nil {
			return probe.Explain(err)
		}
		wanted := opcode
		if n > 0 {
			wanted = probe.OpContinuation
		}
		if first&15 != wanted {
			return fmt.Errorf("frame with opcode %d, want %d", first&15, wanted)
		}
		if got = append(got, payload...); first&probe.Fin != 0 {
			return probe.Request{Want: want, Size: len(want)}.Check(probe.Reply{Status: http.StatusOK, Body: got})
		}
	}
}

// wsMasks has each byte of a key on its own, and every length up to where masking goes over words.
func wsMasks(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	for _, key := range [][4]byte{{}, {255, 255, 255, 255}, {1}, {0, 2}, {0, 0, 4}, {0, 0, 0, 128}, {0x37, 0xfa, 0x21, 0x3d}} {
		for size := range 40 {
			body := numberedBody(uint64(size), 8+size)
			if err := wsEcho(c, probe.Message(probe.Fin|probe.OpBinary, key, body), probe.OpBinary, body); err != nil {
				return fmt.Errorf("key %x, %d bytes: %w", key, len(body), err)
			}
		}
	}
	return c.Silence()
}

// wsText wants text to come back as text, at the borders of the three forms of length.
func wsText(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	for _, size := range []int{0, 1, 7, 125, 126, 65535, 65536} {
		text := bytes.Repeat([]byte("x"), size)
		if size > 2 {
			copy(text[size-3:], "\xe2\x82\xac")
		}
		if err := wsEcho(c, probe.Message(probe.Fin|probe.OpText, [4]byte{9, 8, 7, 6}, text), probe.OpText, text); err != nil {
			return fmt.Errorf("text of %d bytes: %w", size, err)
		}
	}
	return c.Silence()
}

// wsFragments cuts a message at every place, and into many pieces, empty ones included.
func wsFragments(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	for _, opcode := range []byte{probe.OpBinary, probe.OpText} {
		whole := []byte("12345678 gr\xc3\xbcn")
		for at := range len(whole) + 1 {
			data := append(probe.Message(opcode, key, whole[:at]), probe.Message(probe.Fin, key, whole[at:])...)
			if err := wsEcho(c, data, opcode, whole); err != nil {
				return fmt.Errorf("message in fragments of %d and %d bytes: %w", at, len(whole)-at, err)
			}
		}
	}
	whole := numberedBody(3, 10_000)
	var data []byte
	for i, size := 0, 0; i < len(whole); i += size {
		size = min(i%97, len(whole)-i) // 0 first
		first := byte(probe.OpContinuation)
		if i == 0 && len(data) == 0 {
			first = probe.OpBinary
		}
		data = append(data, probe.Message(first, key, whole[i:i+size])...)
		if size == 0 {
			size = 1
			data = append(data, probe.Message(probe.OpContinuation, key, whole[i:i+1])...)
		}
	}
	data = append(data, probe.Message(probe.Fin, key, nil)...)
	if err := wsEcho(c, data, probe.OpBinary, whole); err != nil {
		return fmt.Errorf("message in many fragments: %w", err)
	}
	return c.Silence()
}

// wsPing wants pongs with the ping's payload, between fragments too, and nothing for a pong.
func wsPing(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	key := [4]byte{1, 2, 3, 4}
	for _, size := range []int{0, 4, 125} {
		body := numberedBody(1, 125)[:size]
		if err := wsEcho(c, probe.Message(probe.Fin|probe.OpPing, key, body), probe.OpPong, body); err != nil {
			return fmt.Errorf("ping of %d bytes: %w", size, err)
		}
	}
	if err := c.Send(probe.Message(probe.Fin|probe.OpPong, key, []byte("unasked"))); err != nil {
		return err
	}
	if err := c.Send(probe.Message(probe.OpBinary, key, []byte("12345678"))); err != nil {
		return err
	}
	if err := wsEcho(c, probe.Message(probe.Fin|probe.OpPing, key, []byte("between")), probe.OpPong, []byte("between")); err != nil {
		return fmt.Errorf("ping between fragments: %w", err)
	}
	if err := wsEcho(c, probe.Message(probe.Fin, key, []byte("end")), probe.OpBinary, []byte("12345678end")); err != nil {
		return fmt.Errorf("message around a ping: %w", err)
	}
	return c.Silence()
}

// ends reads until the server closes: a close frame with one of the statuses, or none of them, and then the end of the stream.
func ends(c *probe.Client, required bool, statuses ...int) error {
	_, err := c.Receive()
	status := new(probe.CloseError)
	switch {
	case err == nil:
		return errors.New("a reply")
	case !errors.As(err, &status):
		if err = probe.Explain(err); !required && errors.Is(err, probe.ErrClosed) {
			return nil
		}
		return fmt.Errorf("want a close frame: %w", err)
	}
	fits := false
	for _, s := range statuses {
		fits = fits || s == status.Status
	}
	if !fits {
		return fmt.Errorf("closed with status %d, want %v", status.Status, statuses)
	}
	// A server may leave it to the client to close first.
	_ = c.CloseWrite()
	if _, err = c.Receive(); !probe.IsClosed(err) {
		return fmt.Errorf("behind the close frame: %w", probe.Explain(err))
	}
	return nil
}

// wsClose wants a close to be answered with its own status, after the reply to what came before.
func wsClose(status int) func(*probe.Attempt) error {
	return func(a *probe.Attempt) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		var payload []byte
		if status > 0 {
			payload = append(binary.BigEndian.AppendUint16(nil, uint16(status)), "bye"...)
		}
		if err := c.Exchange(a.Protocol.Echo(1, []byte("first"))); err != nil {
			return err
		}
		if err := c.Send(probe.Message(probe.Fin|probe.OpClose, [4]byte{5, 6, 7, 8}, payload)); err != nil {
			return err
		}
		return ends(c, true, status)
	}
}

type violation struct {
	name   string
	data   []byte
	status []int
}

// wsViolations are what section 5 forbids a client, and the status that section 7.4.1 has for it.
func wsViolations() []violation {
	broken, tooBig := []int{1002}, []int{1009}
	key := [4]byte{0xa, 0xb, 0xc, 0xd}
	m := func(first byte, payload string) []byte { return probe.Message(first, key, []byte(payload)) }
	return []violation{
		{"unmasked", []byte("\x82\x0912345678x"), broken},
		{"opcode-3", m(probe.Fin|3, "12345678"), broken},
		{"opcode-11", m(probe.Fin|11, ""), broken},
		{"rsv1", m(probe.Fin|0x40|probe.OpBinary, "12345678"), broken},
		{"rsv3", m(probe.Fin|0x10|probe.OpText, "text"), broken},
		{"ping-in-fragments", m(probe.OpPing, "p"), broken},
		{"ping-of-126", m(probe.Fin|probe.OpPing, strings.Repeat("p", 126)), broken},
		{"continuation-of-nothing", m(probe.Fin|probe.OpContinuation, "12345678"), broken},
		{"message-within-message", append(m(probe.OpBinary, "12345678"), m(probe.Fin|probe.OpBinary, "12345678")...), broken},
		{"close-of-1", m(probe.Fin|probe.OpClose, "c"), []int{1002, 0}}, // some take it for a close without a status,
		{"close-1005", m(probe.Fin|probe.OpClose, "\x03\xed"), broken},
		// Whole, with a mask of zeros: a server may refuse it at its header, or when it has read too much.
		{"too-big", append([]byte("\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01"), make([]byte, 4+probe.FrameMax+1)...), tooBig},
		{"too-big-in-fragments", append(m(probe.OpBinary, strings.Repeat("b", probe.FrameMax)), m(probe.Fin, "b")...), tooBig},
	}
}

// wsRefuses wants the connection to end, with the status if a close frame comes, and the next one to be served.
func wsRefuses(data []byte, status ...int) func(*probe.Attempt) error {
	return func(a *probe.Attempt) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		if err := c.Exchange(a.Protocol.Echo(1, []byte("first"))); err != nil {
			return err
		}
		if err := c.Send(data); err != nil && !probe.IsReset(err) {
			return err
		}
		if err := ends(c, false, status...); err != nil {
			return err
		}
		if err := a.Once(a.Plain(1, false)); err != nil {
			return fmt.Errorf("next connection: %w", err)
		}
		return nil
	}
}

// wsPushAndEcho has a subscriber that sends messages too: both arrive whole, and both go on.
func wsPushAndEcho(a *probe.Attempt) error {
	c, err := subscribe(a, net.Dialer{})
	if err != nil {
		return err
	}
	const own = 1 << 40 // no frame's number
	var last uint64
	for echoes, frames := 0, 0; echoes < 20 || frames < 10; {
		if err := c.Send(a.Protocol.Echo(own+uint64(echoes), numberedBody(uint64(echoes), 100)).Wire); err != nil {
			return err
		}
		for answered := false; !answered; {
			r, err := c.Receive()
			if err != nil {
				return probe.Explain(err)
			}
			if r.ID < own {
				if last > 0 && r.ID != last+1 {
					return fmt.Errorf("frame %d behind frame %d", r.ID, last)
				}
				last = r.ID
				frames++
				continue
			}
			want := numberedBody(uint64(echoes), 100)
			if r.ID != own+uint64(echoes) {
				return fmt.Errorf("echo %d has id %#x, want %#x", echoes, r.ID, own+uint64(echoes))
			}
			if err := (probe.Request{Want: want, Size: len(want)}).Check(r); err != nil {
				return fmt.Errorf("echo %d: %w", echoes, err)
			}
			answered = true
		}
		echoes++
		a.Pause(cut)
	}
	return nil
}
