package conform

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	errClose     = errors.New("close")
	errMalformed = errors.New("malformed")
)

// http serves one request.
func (s *toy) http(c *toyConn, in *bufio.Reader) error {
	method, path, closes, size, err := s.head(in)
	if errors.Is(err, errMalformed) {
		switch {
		case s.has("hangs-at-malformed"):
			select {}
		case s.has("accepts-malformed"):
			return s.reply(c, in, 200, s.payload, false)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return errClose
	}
	if err != nil {
		return err
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(in, body); err != nil && !s.has("answers-half-a-request") {
		return err
	}
	s.bytesIn.Add(int64(size))
	if path == "/work" && s.has("works-aside") {
		go func() {
			s.work()
			_ = s.reply(c, in, 200, s.payload, false)
		}()
		return nil
	}
	if path == "/work" {
		s.work()
	}
	if path != "/" && path != "/work" || method != "GET" && method != "POST" {
		if s.has("fails-at-unknown") {
			return s.reply(c, in, 500, nil, false)
		}
		return s.reply(c, in, 404, nil, false)
	}
	if method == "GET" {
		body = s.payload
	}
	return s.reply(c, in, 200, body, closes)
}

func (s *toy) reply(c *toyConn, in *bufio.Reader, status int, body []byte, closes bool) error {
	s.handled.Add(1)
	s.bytesOut.Add(int64(len(body)))
	if s.has("wrong-counters") {
		s.handled.Add(1)
	}
	if s.has("wrong-body") && len(body) > 0 {
		body = bytes.Clone(body)
		body[len(body)-1]++
	}
	if s.has("short-body") && len(body) > 0 {
		body = body[1:]
	}
	reply := fmt.Appendf(nil, "HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n", status, len(body))
	if err := s.write(c, in, append(reply, body...)); err != nil {
		return err
	}
	if closes && !s.has("ignores-close") {
		return errClose
	}
	return nil
}

// held are the replies that the fault "swaps-replies" has kept back.
var held sync.Map

// write sends one whole reply.
func (s *toy) write(c *toyConn, in *bufio.Reader, reply []byte) error {
	switch {
	case s.has("extra-bytes"):
		reply = append(reply, '\n')
	case s.has("answers-twice"):
		reply = append(reply, reply...)
	case s.has("swaps-replies"):
		before, found := held.LoadAndDelete(c)
		if !found && in.Buffered() > 0 {
			held.Store(c, reply)
			return nil
		}
		if found {
			reply = append(reply, before.([]byte)...)
		}
	case s.has("cuts-at-half-close") && s.halfClosed(c, in):
		_, _ = c.Write(reply[:len(reply)/2])
		return errClose
	case s.has("cuts-while-draining") && s.draining.Load():
		_, _ = c.Write(reply[:len(reply)/2])
		return errClose
	case s.has("panics") && s.draining.Load():
		panic("draining")
	case s.has("never-writes-big") && len(reply) > 60<<10 && s.handled.Load() > 2:
		select {}
	}
	_, err := c.Write(reply)
	return err
}

// halfClosed reports whether the end of the stream is known already: it waits a moment for it.
func (s *toy) halfClosed(c *toyConn, in *bufio.Reader) bool {
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	_, err := in.Peek(in.Buffered() + 1)
	return errors.Is(err, io.EOF)
}

// head reads a request's line and header fields, strictly.
func (s *toy) head(in *bufio.Reader) (method, path string, closes bool, size int, err error) {
	var lines []string
	for total := 0; ; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = errMalformed
			}
			return "", "", false, 0, err
		}
		if total += len(line); total > 16<<10 {
			return "", "", false, 0, errMalformed
		}
		text := strings.TrimSuffix(string(line), "\r\n")
		if text == "" {
			break
		}
		lines = append(lines, text)
	}
	if len(lines) == 0 {
		return "", "", false, 0, errMalformed
	}
	first := strings.Split(lines[0], " ")
	if len(first) != 3 || first[2] != "HTTP/1.1" && first[2] != "HTTP/1.0" {
		return "", "", false, 0, errMalformed
	}
	closes, size = first[2] == "HTTP/1.0", -1
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ": ")
		if !found || name == "" || strings.ContainsAny(name, " \x01") {
			return "", "", false, 0, errMalformed
		}
		switch http.CanonicalHeaderKey(name) {
		case "Connection":
			closes = closes || value == "close"
		case "Transfer-Encoding":
			if s.has("prefers-length") || s.has("ignores-chunks") {
				continue
			}
			return "", "", false, 0, errMalformed
		case "Content-Length":
			n, err := strconv.ParseUint(value, 10, 20)
			if err != nil || size >= 0 && size != int(n) {
				return "", "", false, 0, errMalformed
			}
			size = int(n)
		}
	}
	return first[0], first[1], closes, max(size, 0), nil
}

// frame serves one frame.
func (s *toy) frame(c *toyConn, in *bufio.Reader) error {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 8 || n > 1<<20 {
		if !s.has("accepts-malformed") {
			return errMalformed
		}
		n = 12
	}
	rest := make([]byte, n)
	if _, err := io.ReadFull(in, rest); err != nil && !s.has("answers-half-a-request") {
		return err
	}
	if rest[0]&0x80 != 0 {
		s.work()
		if s.has("drops-work-bit") {
			rest[0] &= 0x7f
		}
	}
	s.handled.Add(1)
	if s.has("wrong-counters") {
		s.handled.Add(1)
	}
	s.bytesIn.Add(int64(n - 8))
	s.bytesOut.Add(int64(n - 8))
	if s.has("wrong-body") && n > 8 {
		rest[n-1]++
	}
	return s.write(c, in, append(binary.BigEndian.AppendUint32(nil, n), rest...))
}
