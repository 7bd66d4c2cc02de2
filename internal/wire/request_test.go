package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// got is what one request turned out to be, free of its buffer.
type got struct {
	method             Method
	target, body       string
	close, http10, exp bool
	n                  int
	err                error
}

func parseWhole(in []byte) got { return parseCut(in, len(in)) }

// parseCut gives the parser the first piece, then the whole.
func parseCut(in []byte, cut int) got {
	var r Request
	return parsePieces(&r, in, cut, len(in))
}

// parsePieces parses in up to every one of ends in turn, each time in a buffer of its own.
func parsePieces(r *Request, in []byte, ends ...int) got {
	for _, end := range ends {
		n, err := ParseRequest(bytes.Clone(in[:end]), r)
		if err != nil {
			return got{err: err}
		}
		if n > 0 {
			return got{r.Method, string(r.Target), string(r.Body), r.Close, r.HTTP10, r.Expect, n, nil}
		}
	}
	return got{}
}

func parseBytewise(in []byte) got {
	ends := make([]int, len(in))
	for i := range ends {
		ends[i] = i + 1
	}
	var r Request
	return parsePieces(&r, in, ends...)
}

func chunked(lines ...string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n" + strings.Join(lines, "\r\n") + "\r\n"
}

// requests are inputs and what they parse to; n counts from the end of the input where it is negative or zero.
var requests = []struct {
	in   string
	want got
}{
	{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", got{method: MethodGet, target: "/"}},
	{"GET /work?x=1 HTTP/1.1\r\nhost:a\r\n\r\nGET", got{method: MethodGet, target: "/work?x=1", n: -3}},
	{"\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n", got{method: MethodHead, target: "/"}},
	{"GET http://h/work HTTP/1.1\r\nHost: a\r\n\r\n", got{method: MethodGet, target: "http://h/work"}},
	{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", got{target: "*"}},
	{"GET / HTTP/1.0\r\n\r\n", got{method: MethodGet, target: "/", close: true, http10: true}},
	{"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n\r\n", got{method: MethodGet, target: "/", close: true}},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length:5 \r\n\r\nhello", got{method: MethodPost, target: "/", body: "hello"}},
	{"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", got{method: MethodPost, target: "/", body: "hi", exp: true}},
	{chunked("5", "hello", "6;x=y", " world", "0", ""), got{method: MethodPost, target: "/", body: "hello world"}},
	{chunked("0", "Trailer: x", "") + "GET /", got{method: MethodPost, target: "/", n: -5}},
	{chunked("00A", "0123456789", "0", ""), got{method: MethodPost, target: "/", body: "0123456789"}},

	{"GET / HTTP/1.1\nHost: a\n\n", got{err: ErrBareLF}},
	{"\r\n\r\nGET / HTTP/1.1\r\n", got{err: ErrRequestLine}},
	{"GET  / HTTP/1.1\r\n", got{err: ErrRequestLine}},
	{"GET /a b HTTP/1.1\r\n", got{err: ErrRequestLine}},
	{"GET HTTP/1.1\r\n", got{err: ErrRequestLine}},
	{"G(T / HTTP/1.1\r\n", got{err: ErrRequestLine}},
	{"GET / http/1.1\r\n", got{err: ErrRequestLine}},
	{"GET x HTTP/1.1\r\n", got{err: ErrRequestLine}},
	{"GET / HTTP/2.0\r\n", got{err: ErrVersion}},
	{"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", got{err: ErrField}},
	{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", got{err: ErrField}},
	{"GET / HTTP/1.1\r\nHost\r\n\r\n", got{err: ErrField}},
	{"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n", got{err: ErrField}},
	{"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", got{err: ErrField}},
	{"GET / HTTP/1.1\r\n\r\n", got{err: ErrHost}},
	{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", got{err: ErrHost}},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", got{err: ErrLength}},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", got{err: ErrLength}},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", got{err: ErrLength}},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", got{err: ErrBodyTooLarge}},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", got{err: ErrBodyTooLarge}},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", got{err: ErrLengthAndChunked}},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", got{err: ErrTransferEncoding}},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", got{err: ErrChunkedTwice}},
	{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", got{err: ErrChunkedTwice}},
	{"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", got{err: ErrExpectation}},
	{"GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("x", MaxHeader) + "\r\n\r\n", got{err: ErrHeaderTooLarge}},
	{chunked("x"), got{err: ErrChunk}},
	{chunked("5", "hello!", ""), got{err: ErrChunk}},
	{chunked("", "a"), got{err: ErrChunk}},
	{chunked("1;" + strings.Repeat("x", 300)), got{err: ErrChunk}},
	{chunked("100001"), got{err: ErrBodyTooLarge}},
	{chunked("ffffffffffffffffffff"), got{err: ErrBodyTooLarge}},
	{chunked("0", "A: "+strings.Repeat("x", MaxHeader), ""), got{err: ErrHeaderTooLarge}},

	{"GET / HTTP/1.1\r\nHost: a\r\n", got{}},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell", got{}},
	{chunked("5", "hello", "0"), got{}},
}

func TestParseRequestHoweverItIsCut(t *testing.T) {
	for _, c := range requests {
		want := c.want
		if want.err == nil && want.target != "" && want.n <= 0 {
			want.n += len(c.in)
		}
		check := func(how string, g got) {
			t.Helper()
			if g != want {
				t.Errorf("%.80q %s:\n got %+v\nwant %+v", c.in, how, g, want)
			}
		}
		in := []byte(c.in)
		check("whole", parseWhole(in))
		check("bytewise", parseBytewise(in))
		for cut := range in {
			if g := parseCut(in, cut); g != want {
				t.Fatalf("%.80q cut at %d:\n got %+v\nwant %+v", c.in, cut, g, want)
			}
		}
	}
}

func TestPath(t *testing.T) {
	check := func(target, want string, work bool) {
		t.Helper()
		r := Request{Target: []byte(target)}
		if got := string(r.Path()); got != want || r.Work() != work {
			t.Errorf("path of %q is %q, work %v; want %q, %v", target, got, r.Work(), want, work)
		}
	}
	check("/", "/", false)
	check("/work", "/work", true)
	check("/work?a=/b", "/work", true)
	check("/works", "/works", false)
	check("http://h:1/work?x", "/work", true)
	check("http://h", "/", false)
	check("*", "*", false)
}

func TestABufferOfMaxRequestMakesProgress(t *testing.T) {
	check := func(name, in string) {
		t.Helper()
		if len(in) < MaxRequest {
			t.Fatalf("%s: only %d bytes", name, len(in))
		}
		if g := parseWhole([]byte(in[:MaxRequest])); g.n == 0 && g.err == nil {
			t.Errorf("%s: %d bytes and no progress", name, MaxRequest)
		}
	}
	check("body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n"+strings.Repeat("x", MaxRequest))
	check("small chunks", strings.TrimSuffix(chunked(""), "\r\n\r\n")+"\r\n\r\n"+strings.Repeat("1\r\nx\r\n", MaxRequest/6))
	check("line", strings.Repeat("x", MaxRequest))
	check("one line", strings.Repeat("x", MaxRequest)+"\r\n")
}

// FuzzParseRequest: never panics, the same result however cut, and where both accept, the same as net/http.
func FuzzParseRequest(f *testing.F) {
	for _, c := range requests {
		f.Add([]byte(c.in), uint16(7))
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		if len(in) > 32<<10 {
			return
		}
		want := parseWhole(in)
		if g := parseCut(in, int(cut)%(len(in)+1)); g != want {
			t.Fatalf("cut at %d:\n got %+v\nwant %+v", int(cut)%(len(in)+1), g, want)
		}
		if want.n > 0 {
			compareWithStandardLibrary(t, in, want)
		}
		if len(in) > 1<<10 {
			return // bytewise parsing clones the input for every byte
		}
		if g := parseBytewise(in); g != want {
			t.Fatalf("bytewise:\n got %+v\nwant %+v", g, want)
		}
	})
}

func compareWithStandardLibrary(t *testing.T, in []byte, want got) {
	t.Helper()
	read := bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(in, []byte("\r\n"))))
	req, err := http.ReadRequest(read)
	if err != nil {
		return // stricter about names in URLs and the like
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, MaxBody+1))
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("net/http reads body %q, then %v; want %+v", body, err, want)
		}
		return
	}
	rest, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	if string(body) != want.body || req.RequestURI != want.target || len(in)-len(rest) != want.n {
		t.Fatalf("net/http reads %q with body %q, %d bytes; want %+v", req.RequestURI, body, len(in)-len(rest), want)
	}
}

func TestParseRequestDoesNotAllocate(t *testing.T) {
	for _, in := range []string{
		"GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		chunked("5", "hello", "0", ""),
	} {
		var r Request
		buf := []byte(in)
		allocs := testing.AllocsPerRun(100, func() {
			if n, err := ParseRequest(buf[:len(buf)-3], &r); n != 0 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := ParseRequest(buf, &r); n != len(buf) || err != nil {
				t.Fatal(n, err)
			}
		})
		if allocs != 0 {
			t.Errorf("%.20q: %v allocations", in, allocs)
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	buf := []byte("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
	var r Request
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := ParseRequest(buf, &r); n != len(buf) || err != nil {
			b.Fatal(n, err)
		}
	}
}
