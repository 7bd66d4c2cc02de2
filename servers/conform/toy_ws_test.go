package conform

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
)

// errViolation is of RFC 6455.
var errViolation = errors.New("violation")

// greet does the handshake.
func (s *toy) greet(c *toyConn, in *bufio.Reader) error {
	if s.has("ws-handshake-in-one") {
		if _, err := in.Peek(1); err != nil {
			return err
		}
		if data, _ := in.Peek(in.Buffered()); !strings.HasSuffix(string(data), "\r\n\r\n") {
			return errMalformed
		}
	}
	r, err := http.ReadRequest(in)
	if err != nil {
		return err
	}
	key, _ := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	sound := r.Method == "GET" && r.URL.Path == "/" && len(key) == 16 && r.Header.Get("Sec-WebSocket-Version") == "13" &&
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
	if s.has("ws-exact-values") && r.Header.Get("Connection") != "Upgrade" {
		sound = false
	}
	if !sound && !s.has("ws-accepts-any") {
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return errClose
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if s.has("ws-wrong-accept") {
		sum[0]++
	}
	_, err = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	return err
}

// wsHead is what comes before a message of n bytes.
func wsHead(opcode byte, n int) []byte {
	b := []byte{0x80 | opcode}
	switch {
	case n < 126:
		return append(b, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
}

// wsFrame serves one frame.
func (s *toy) wsFrame(c *toyConn, in *bufio.Reader) error {
	first, payload, err := s.wsRead(c, in)
	if errors.Is(err, errViolation) {
		status := uint16(1002)
		if len(payload) > 0 { // as wsRead says
			status = 1009
		}
		_, _ = c.Write(binary.BigEndian.AppendUint16(wsHead(8, 2), status))
		return errClose
	}
	if err != nil {
		return err
	}
	fin, opcode := first&0x80 != 0, first&15
	switch opcode {
	case 8:
		if !s.has("ws-silent-close") {
			payload = payload[:min(len(payload), 2)]
			if s.has("ws-lenient") && len(payload) == 1 {
				payload = []byte{1000 >> 8, 1000 & 0xff} // all is well
			}
			_, _ = c.Write(append(wsHead(8, len(payload)), payload...))
		}
		return errClose
	case 9:
		if s.has("ws-no-pong") {
			return nil
		}
		_, err := c.Write(append(wsHead(10, len(payload)), payload...))
		return err
	case 10, 11:
		return nil
	case 0:
		opcode = c.opcode
	}
	c.message = append(c.message, payload...)
	if c.opcode = opcode; !fin && !s.has("ws-drops-fragments") {
		return nil
	}
	message := c.message
	c.message, c.opcode = nil, 0
	return s.wsEcho(c, in, opcode, message)
}

// wsEcho answers a whole message.
func (s *toy) wsEcho(c *toyConn, in *bufio.Reader, opcode byte, message []byte) error {
	body := message
	if opcode == 2 && len(message) >= 8 {
		body = message[8:]
		if s.hub.rate != "" && s.asks(c, body) {
			return nil
		}
		if message[0]&0x80 != 0 {
			s.work()
		}
	}
	if s.has("ws-no-echo-to-subscribers") && c.sub != nil {
		return nil
	}
	if s.has("ws-binary-only") {
		opcode = 2
	}
	s.handled.Add(1)
	if s.has("wrong-counters") {
		s.handled.Add(1)
	}
	s.bytesIn.Add(int64(len(body)))
	s.bytesOut.Add(int64(len(body)))
	return s.write(c, in, append(wsHead(opcode, len(message)), message...))
}

// wsRead reads one frame and unmasks it. errViolation is what RFC 6455 forbids; with a payload it is too big.
func (s *toy) wsRead(c *toyConn, in *bufio.Reader) (first byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:2]); err != nil {
		return 0, nil, err
	}
	first = head[0]
	masked, n := head[1]&0x80 != 0, uint64(head[1]&0x7f)
	size := map[uint64]int{126: 2, 127: 8}[n]
	if _, err := io.ReadFull(in, head[8-size:]); err != nil {
		return 0, nil, err
	}
	if size > 0 {
		clear(head[:8-size])
		n = binary.BigEndian.Uint64(head[:])
	}
	opcode := first & 15
	violation := !masked || first&0x70 != 0 || opcode > 2 && opcode < 8 || opcode > 10 ||
		opcode >= 8 && (first&0x80 == 0 || n > 125) || opcode == 0 && c.opcode == 0 || (opcode == 1 || opcode == 2) && c.opcode != 0
	if violation && !s.has("ws-lenient") {
		return 0, nil, errViolation
	}
	if opcode < 8 && n+uint64(len(c.message)) > 1<<20 && !s.has("ws-lenient") {
		return 0, []byte("too big"), errViolation
	}
	var key [4]byte
	if masked {
		if _, err := io.ReadFull(in, key[:]); err != nil {
			return 0, nil, err
		}
	}
	if s.has("ws-mask-of-one-byte") {
		key = [4]byte{key[0], key[0], key[0], key[0]}
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(in, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	if opcode == 8 && !s.has("ws-lenient") && (n == 1 || n > 1 && binary.BigEndian.Uint16(payload) == 1005) {
		return 0, nil, errViolation
	}
	return first, payload, nil
}
