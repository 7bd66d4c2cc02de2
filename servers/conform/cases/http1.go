package cases

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/servers/conform/probe"
)

// http1Cases are the cases of http1 alone.
func http1Cases() []Case {
	list := []Case{
		{Name: "http/get", Run: get},
		{Name: "http/pipeline-mixed", Run: pipelineMixed},
		{Name: "http/connection-close", Run: connectionClose},
		{Name: "http/1.0", Run: http10},
		{Name: "http/chunked", Echo: true, Run: chunked},
		{Name: "http/unknown-path", Run: tolerated("GET /no-such-path HTTP/1.1\r\nHost: conform\r\n\r\n")},
		{Name: "http/unknown-method", Run: tolerated("BREW / HTTP/1.1\r\nHost: conform\r\n\r\n")},
	}
	for _, m := range malformedHTTP() {
		list = append(list, Case{Name: "malformed/" + m.name, Run: malformed([]byte(m.bytes))})
	}
	return list
}

const hostLine = "Host: conform\r\n"

type malformedRequest struct{ name, bytes string }

// malformedHTTP are requests that RFC 9112 says to refuse, most with something behind them that must not be taken for
// a request of its own. They are built when asked for: two of them are of megabytes.
func malformedHTTP() []malformedRequest {
	return []malformedRequest{
		{"request-line", "GARBAGE\r\n" + hostLine + "\r\n"},
		{"version", "GET / HTTX/1.1\r\n" + hostLine + "\r\n"},
		{"header-without-colon", "GET / HTTP/1.1\r\n" + hostLine + "no colon here\r\n\r\n"},
		{"blank-before-colon", "POST / HTTP/1.1\r\n" + hostLine + "Content-Length : 3\r\n\r\nabc"},
		{"header-name-empty", "GET / HTTP/1.1\r\n" + hostLine + ": x\r\n\r\n"},
		{"header-name-control", "GET / HTTP/1.1\r\n" + hostLine + "bad\x01name: x\r\n\r\n"},
		{"length-negative", "POST / HTTP/1.1\r\n" + hostLine + "Content-Length: -1\r\n\r\n"},
		{"length-overflow", "POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 99999999999999999999999\r\n\r\nabc"},
		{"length-wraps", "POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 18446744073709551619\r\n\r\nabc"},
		{"length-letters", "POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 3x\r\n\r\nabc"},
		{"length-twice", "POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"},
		{"header-oversized", "GET / HTTP/1.1\r\n" + hostLine + "X: " + strings.Repeat("x", 2<<20) + "\r\n\r\n"},
		{"headers-too-many", "GET / HTTP/1.1\r\n" + hostLine + strings.Repeat("X-Many: 0123456789\r\n", 100_000) + "\r\n"},
		{"garbage", "\x00\x01\xff\xfe garbage \x80\x81\r\n\x16\x03\x01\r\n\r\n"},
		{"tls-hello", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\xa7", 154) + "\r\n\r\n"},
		{"length-and-chunked", ""}, // see malformed
	}
}

// malformed sends bytes that are no valid request: status 4xx, 501 or 505, or a close, and the next connection is served.
func malformed(data []byte) func(*probe.Attempt) error {
	return func(a *probe.Attempt) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		if len(data) == 0 {
			err = lengthAndChunked(c)
		} else {
			// Who refuses early need not read it all.
			go func() { _ = c.Send(data) }()
			err = c.Refused()
		}
		if err != nil {
			return err
		}
		if err := a.Once(a.Plain(1, false)); err != nil {
			return fmt.Errorf("next connection: %w", err)
		}
		return nil
	}
}

// lengthAndChunked sends a body with both framings. RFC 9112 section 6.1 lets a server refuse it or go by the chunks;
// going by the length smuggles a request.
func lengthAndChunked(c *probe.Client) error {
	err := c.Send([]byte("POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"2\r\nab\r\n0\r\n\r\n"))
	if err != nil {
		return err
	}
	r, err := c.Receive()
	if err = probe.Explain(err); err != nil {
		if errors.Is(err, probe.ErrClosed) {
			return nil
		}
		return err
	}
	if r.Status >= 400 && r.Status < 500 || r.Status == 200 && string(r.Body) == "ab" {
		return nil
	}
	return fmt.Errorf("answered with status %d and body %.40q: want 4xx, a close, or the chunks' body", r.Status, r.Body)
}

// get checks that / and /work answer 200 with the payload, the same every time.
func get(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	q := a.Plain(1, false)
	if err := c.Send(q.Wire); err != nil {
		return err
	}
	first, err := c.Receive()
	if err != nil {
		return probe.Explain(err)
	}
	if err := q.Check(first); err != nil {
		return fmt.Errorf("GET /: %w", err)
	}
	for _, work := range []bool{false, true} {
		again := a.Plain(2, work)
		again.Want, again.Size = first.Body, len(first.Body)
		if err := c.Exchange(again); err != nil {
			return fmt.Errorf("GET after GET /: %w", err)
		}
	}
	return c.Silence()
}

// pipelineMixed sends GET and POST in turn: the order of the replies shows in their bodies.
func pipelineMixed(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	var requests []probe.Request
	for id := range uint64(16) {
		requests = append(requests, a.Plain(id, false), a.Protocol.Echo(id, numberedBody(id, 100+int(id))))
	}
	if err := c.Exchange(requests...); err != nil {
		return err
	}
	return c.Silence()
}

// connectionClose asks for the close: the reply and then the end, and nothing for what is sent behind it.
func connectionClose(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	q := a.Plain(1, false)
	data := "GET / HTTP/1.1\r\n" + hostLine + "Connection: close\r\n\r\n"
	if err := c.Send([]byte(data)); err != nil {
		return err
	}
	return oneAndClose(c, q)
}

// http10 sends a request of HTTP/1.0, which keeps no connection.
func http10(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	if err := c.Send([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		return err
	}
	return oneAndClose(c, a.Plain(1, false))
}

func oneAndClose(c *probe.Client, q probe.Request) error {
	n, err := c.Whole([]probe.Request{q})
	if err == nil && n == 0 {
		err = errors.New("closed without the reply")
	}
	return err
}

// chunked sends a body in chunks: an echo of what is in them, or a refusal.
func chunked(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	data := "POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n"
	if err := c.Send([]byte(data)); err != nil {
		return err
	}
	r, err := c.Receive()
	if err != nil {
		return probe.Explain(err)
	}
	if r.Status == 200 && string(r.Body) == "abcde" || r.Status == 411 || r.Status == 400 || r.Status == 501 {
		return nil
	}
	return fmt.Errorf("answered with status %d and body %.40q: want an echo of the chunks, or 411 or 501", r.Status, r.Body)
}

// tolerated sends a request that the contract leaves open: any whole reply that is no server error, or a close.
func tolerated(data string) func(*probe.Attempt) error {
	return func(a *probe.Attempt) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		if err := c.Send([]byte(data)); err != nil {
			return err
		}
		r, err := c.Receive()
		if err = probe.Explain(err); err != nil && !errors.Is(err, probe.ErrClosed) {
			return err
		}
		if err == nil && r.Status != 200 && (r.Status < 400 || r.Status > 499) && r.Status != 501 {
			return fmt.Errorf("answered with status %d, want 404, 405 or 501", r.Status)
		}
		return a.Once(a.Plain(1, false))
	}
}
