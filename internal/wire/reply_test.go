package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"unsafe"
)

// reply is what one reply turned out to be.
type reply struct {
	status  int
	body    int64
	close   bool
	matches bool
	n       int // bytes taken
	err     error
}

func feedPieces(in []byte, e *Expect, ends ...int) reply {
	var s ReplyState
	from := 0
	for _, end := range ends {
		n, done, err := s.Feed(in[from:end], e)
		if err != nil {
			return reply{err: err}
		}
		from += n
		if done {
			return reply{s.Status(), s.BodyLen(), s.Close(), s.Matches(), from, nil}
		}
		if from != end {
			return reply{n: -1}
		}
	}
	if s.EOF(e) {
		return reply{s.Status(), s.BodyLen(), s.Close(), s.Matches(), from, nil}
	}
	return reply{}
}

func allEnds(n int) []int {
	ends := make([]int, n)
	for i := range ends {
		ends[i] = i + 1
	}
	return ends
}

var replies = []struct {
	in   string
	body string // expected
	head bool
	want reply
}{
	{in: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhelloHTTP/1.1", body: "hello", want: reply{status: 200, body: 5, matches: true, n: -8}},
	{in: "HTTP/1.1 200\r\nConnection: keep-alive, close\r\nserver: x\r\ncontent-length:5 \r\n\r\nhellO", body: "hello", want: reply{status: 200, body: 5, close: true}},
	{in: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell", body: "hello", want: reply{status: 200, body: 4}},
	{in: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", want: reply{status: 200, matches: true}},
	{in: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP", head: true, want: reply{status: 200, matches: true, n: -4}},
	{in: "HTTP/1.1 204 No Content\r\n\r\n", want: reply{status: 204, matches: true}},
	{in: "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", want: reply{status: 304, matches: true}},
	{in: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx", want: reply{status: 404, body: 1, matches: true}},
	{in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nT: v\r\n\r\n", body: "hello world", want: reply{status: 200, body: 11, matches: true}},
	{in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, ,Chunked \r\nContent-Length: 3\r\n\r\n0\r\n\r\n", want: reply{status: 200, matches: true}},
	{in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", want: reply{status: 200, body: 5, close: true, matches: true}},
	{in: "HTTP/1.0 200 OK\r\n\r\nto the end", body: "to the end", want: reply{status: 200, body: 10, close: true, matches: true}},
	{in: "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", want: reply{status: 200, body: 1, matches: true}},
	{in: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", want: reply{status: 200, body: 1, close: true, matches: true}},
	{in: "HTTP/1.1 200 OK\r\nConnection: ,closed, close\r\nContent-Lengthy: 7\r\nConn: close\r\nTransfer: chunked\r\nContent-Length: 1\r\n\r\nx", want: reply{status: 200, body: 1, close: true, matches: true}},

	{in: "HTTP/2 200 OK\r\n", want: reply{err: ErrStatusLine}},
	{in: "HTTP/1.1 20 OK\r\n", want: reply{err: ErrStatusLine}},
	{in: "HTTP/1.1 2000 OK\r\n", want: reply{err: ErrStatusLine}},
	{in: "garbage", want: reply{err: ErrStatusLine}},
	{in: "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", want: reply{err: ErrReplyField}},
	{in: "HTTP/1.1 200 OK\r\n\rx", want: reply{err: ErrReplyField}},
	{in: "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", want: reply{err: ErrReplyLength}},
	{in: "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", want: reply{err: ErrReplyLength}},
	{in: "HTTP/1.1 200 OK\r\nContent-Length: 1 2\r\n\r\n", want: reply{err: ErrReplyLength}},
	{in: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", want: reply{err: ErrReplyLength}},
	{in: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", want: reply{err: ErrReplyLength}},
	{in: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", MaxReplyHeader) + "\r\n\r\n", want: reply{err: ErrReplyHeader}},
	{in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", want: reply{err: ErrReplyChunk}},
	{in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx", want: reply{err: ErrReplyChunk}},

	{in: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", want: reply{}},
	{in: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", want: reply{}},
}

func TestReplyHoweverItIsCut(t *testing.T) {
	for _, c := range replies {
		e := &Expect{Head: c.head}
		if c.body != "" {
			e.Body = []byte(c.body)
		}
		want := c.want
		if want.status != 0 {
			want.n += len(c.in)
		}
		in := []byte(c.in)
		check := func(how string, g reply) {
			t.Helper()
			if g != want {
				t.Errorf("%.90q %s:\n got %+v\nwant %+v", c.in, how, g, want)
			}
		}
		check("whole", feedPieces(in, e, len(in)))
		check("bytewise", feedPieces(in, e, allEnds(len(in))...))
		for cut := range min(len(in), 300) {
			check("cut in two", feedPieces(in, e, cut, len(in)))
		}
	}
}

func TestReplyStateIsSmall(t *testing.T) {
	if s := unsafe.Sizeof(ReplyState{}); s > 40 {
		t.Errorf("%d bytes of state for each connection, want at most 40", s)
	}
}

// FuzzReply: never panics, the same result however cut, and the same as net/http where both accept.
func FuzzReply(f *testing.F) {
	for _, c := range replies {
		f.Add([]byte(c.in), uint16(9), c.head)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16, head bool) {
		if len(in) > 32<<10 {
			return
		}
		e := &Expect{Body: []byte("hello"), Head: head}
		want := feedPieces(in, e, len(in))
		at := int(cut) % (len(in) + 1)
		if g := feedPieces(in, e, at, len(in)); g != want {
			t.Fatalf("cut at %d:\n got %+v\nwant %+v", at, g, want)
		}
		if g := feedPieces(in, e, allEnds(len(in))...); g != want {
			t.Fatalf("bytewise:\n got %+v\nwant %+v", g, want)
		}
	})
}

func TestResponsesAreReadByNetHTTPAndReplyState(t *testing.T) {
	check := func(status int, body string, close bool) {
		t.Helper()
		data := AppendResponse(nil, status, []byte(body), close)
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || string(got) != body || resp.StatusCode != status || resp.Close != close {
			t.Errorf("net/http reads %d %q close %v, %v from %q", resp.StatusCode, got, resp.Close, err, data)
		}
		want := reply{status, int64(len(body)), close, true, len(data), nil}
		if g := feedPieces(data, &Expect{Body: []byte(body)}, len(data)); g != want {
			t.Errorf("ReplyState reads %+v from %q", g, data)
		}
	}
	check(200, "Hello, World!", false)
	check(200, "", false)
	check(431, "too much", true)
	check(299, "unusual", false)
}

func TestRequestsAreReadByParseRequest(t *testing.T) {
	check := func(data []byte, want got) {
		t.Helper()
		want.n = len(data)
		if g := parseWhole(data); g != want {
			t.Errorf("%q:\n got %+v\nwant %+v", data, g, want)
		}
	}
	check(AppendRequest(nil, "GET", "h:1", "/", nil, nil, false), got{method: MethodGet, target: "/"})
	check(AppendRequest(nil, "GET", "h", "/work", []string{"HOST: other", "X: y"}, nil, true), got{method: MethodGet, target: "/work", close: true})
	check(AppendRequest(nil, "POST", "h", "/", nil, []byte("hi"), false), got{method: MethodPost, target: "/", body: "hi"})
	check(AppendRequest(nil, "POST", "h", "/", nil, nil, false), got{method: MethodPost, target: "/"})
}

func TestFeedDoesNotAllocate(t *testing.T) {
	data := AppendResponse(nil, 200, []byte("Hello, World!"), false)
	e := &Expect{Body: []byte("Hello, World!")}
	var s ReplyState
	if n := testing.AllocsPerRun(100, func() {
		if _, done, err := s.Feed(data, e); !done || err != nil || !s.Matches() {
			t.Fatal(done, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	out := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { out = AppendResponse(out[:0], 200, e.Body, false) }); n != 0 {
		t.Errorf("AppendResponse: %v allocations", n)
	}
}

func BenchmarkReply(b *testing.B) {
	data := AppendResponse(nil, 200, []byte("Hello, World!"), false)
	e := &Expect{Body: []byte("Hello, World!")}
	var s ReplyState
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, done, err := s.Feed(data, e); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}
