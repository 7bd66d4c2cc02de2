package kit

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/millrace/millrace/internal/wire"
)

func testEnv(t testing.TB, args ...string) *Env {
	t.Helper()
	m := Model{Name: "toy", Protocols: []string{"http1", "frame", "ws"}}
	env, _, err := m.parse(args)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func ok(body string) string { return string(wire.AppendResponse(nil, 200, []byte(body), false)) }

// serveAll feeds in up to each of ends in turn, as a model does, and returns what would be written.
func serveAll(s *Session, in string, ends ...int) (written string, closing bool) {
	from := 0
	for _, end := range ends {
		for {
			n, out, closing := s.Serve([]byte(in[from:end]), nil)
			written += string(out)
			from += n
			if closing {
				return written, true
			}
			if n == 0 {
				break
			}
		}
	}
	return written, false
}

func everyByte(n int) []int {
	ends := make([]int, n)
	for i := range ends {
		ends[i] = i + 1
	}
	return ends
}

func TestServe(t *testing.T) {
	check := func(args []string, in, want string, closes bool) {
		t.Helper()
		for _, ends := range [][]int{{len(in)}, {len(in) / 2, len(in)}, everyByte(len(in))} {
			env := testEnv(t, args...)
			s := env.NewSession()
			got, closing := serveAll(&s, in, ends...)
			if got != want || closing != closes {
				t.Errorf("%.60q in %d pieces: wrote %.200q, closing %v; want %.200q, %v", in, len(ends), got, closing, want, closes)
			}
		}
	}
	hello := ok("Hello, World!")
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\necho"
	check(nil, get, hello, false)
	check([]string{"--payload", "3"}, get+post+get, ok("Hel")+ok("echo")+ok("Hel"), false)
	check([]string{"--work", "sleep=1us"}, get+strings.Replace(get, "/", "/work", 1)+get, hello+hello+hello, false)
	check(nil, strings.Replace(get, "GET", "HEAD", 1), string(wire.AppendHead(nil, 200, 13, false)), false)
	check(nil, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"+get, string(wire.AppendResponse(nil, 200, []byte("Hello, World!"), true)), true)
	check(nil, "GET / HTTP/1.0\r\n\r\n", string(wire.AppendResponse(nil, 200, []byte("Hello, World!"), true)), true)
	check(nil, strings.Replace(get, "/", "/none", 1), string(wire.AppendResponse(nil, 404, StatusBody(404), false)), false)
	check(nil, strings.Replace(get, "GET", "BREW", 1), string(wire.AppendResponse(nil, 405, StatusBody(405), false)), false)
	check(nil, get+"garbage\r\n", hello+string(wire.AppendResponse(nil, 400, StatusBody(400), true)), true)

	frame := func(id uint64, body string) string { return string(wire.AppendFrame(nil, id, []byte(body))) }
	frames := frame(1, "one") + frame(2, "") + frame(wire.FrameWork|3, strings.Repeat("x", 100))
	check([]string{"--protocol", "frame", "--work", "sleep=1us"}, frames, frames, false)
	check([]string{"--protocol", "frame"}, frame(1, "one")+"\x00\x00\x00\x07more", frame(1, "one"), true)
}

func TestServeSaysContinueOnce(t *testing.T) {
	env := testEnv(t)
	s := env.NewSession()
	head := "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
	in := head + "hi"
	got, _ := serveAll(&s, in, len(head), len(head)+1, len(in))
	if want := wire.Continue + ok("hi"); got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
	if env.Counters.Handled.Load() != 1 {
		t.Errorf("handled %d, want 1", env.Counters.Handled.Load())
	}
}

func TestServeHandsRepliesOverBeforeWork(t *testing.T) {
	env := testEnv(t, "--work", "sleep=1us")
	s := env.NewSession()
	n, out, _ := s.Serve([]byte(get+strings.Replace(get, "/", "/work", 1)), nil)
	if n != len(get) || string(out) != ok("Hello, World!") {
		t.Errorf("took %d bytes and wrote %q: want the first request alone", n, out)
	}
}

func TestServeBoundsABatch(t *testing.T) {
	env := testEnv(t, "--payload", "20000")
	s := env.NewSession()
	in := strings.Repeat(get, 50)
	n, out, _ := s.Serve([]byte(in), nil)
	if n >= len(in) || len(out) > batchBytes+21000 {
		t.Errorf("took %d of %d bytes and wrote %d", n, len(in), len(out))
	}
	written, _ := serveAll(&s, in[n:], len(in)-n)
	if total := len(out) + len(written); total != 50*len(ok(strings.Repeat("x", 20000))) {
		t.Errorf("wrote %d bytes in all", total)
	}
}

func TestJobsAnswerLikeServe(t *testing.T) {
	in := get + "POST /work HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\necho" + get + "bad\r\n\r\n"
	env := testEnv(t, "--work", "sleep=1us")
	s := env.NewSession()
	want, _ := serveAll(&s, in, len(in))
	other := testEnv(t, "--work", "sleep=1us")
	s = other.NewSession()
	buf, from := []byte(in), 0
	var jobs []*Job
	for {
		j := new(Job)
		n, ok := s.Next(buf[from:], j)
		if !ok {
			break
		}
		j.Own()
		jobs = append(jobs, j)
		from += n
	}
	clear(buf)
	var got []byte
	for i, j := range jobs {
		got = other.Answer(j, got)
		if j.Last != (i == len(jobs)-1) || j.Work() != (i == 1) {
			t.Errorf("job %d: last %v, work %v", i, j.Last, j.Work())
		}
	}
	if string(got) != want {
		t.Errorf("jobs answer %q, Serve %q", got, want)
	}
	a, b := &env.Counters, &other.Counters
	if a.Handled.Load() != b.Handled.Load() || a.BodyBytesIn.Load() != b.BodyBytesIn.Load() || a.BodyBytesOut.Load() != b.BodyBytesOut.Load() {
		t.Error("they count differently")
	}
	if b.Handled.Load() != 4 || b.BodyBytesIn.Load() != 4 || b.BodyBytesOut.Load() != int64(13+4+13+len(StatusBody(400))) {
		t.Errorf("handled %d, in %d, out %d", b.Handled.Load(), b.BodyBytesIn.Load(), b.BodyBytesOut.Load())
	}
}

func TestRepliesEndTheirConnectionWhenStopping(t *testing.T) {
	env := testEnv(t)
	env.stopping.Store(true)
	s := env.NewSession()
	got, closing := serveAll(&s, get+get, 2*len(get))
	if want := string(wire.AppendResponse(nil, 200, env.Body(), true)); got != want || !closing {
		t.Errorf("wrote %q, closing %v; want %q, true", got, closing, want)
	}
}

func TestServeDoesNotAllocate(t *testing.T) {
	check := func(in []byte, args ...string) {
		t.Helper()
		env := testEnv(t, args...)
		s := env.NewSession()
		out := make([]byte, 0, 1<<10)
		if n := testing.AllocsPerRun(100, func() {
			n := 0
			if n, out, _ = s.Serve(in, out[:0]); n != len(in) {
				t.Fatal(n)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", in, n)
		}
		var j Job
		if n := testing.AllocsPerRun(100, func() {
			if n, ok := s.Next(in, &j); !ok || n != len(in) {
				t.Fatal(n)
			}
			j.Own()
			out = env.Answer(&j, out[:0])
		}); n != 0 {
			t.Errorf("%q as a job: %v allocations", in, n)
		}
	}
	check([]byte(get))
	check([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\necho"))
	check(wire.AppendFrame(nil, 1, bytes.Repeat([]byte{'x'}, 100)), "--protocol", "frame")
}

func BenchmarkServe(b *testing.B) {
	env := testEnv(b)
	s := env.NewSession()
	in, out := []byte(get), make([]byte, 0, 1<<10)
	b.ReportAllocs()
	for b.Loop() {
		_, out, _ = s.Serve(in, out[:0])
	}
}

// TestUploadOverWebSocket: what is put is what the client meant, not what was masked for the way.
func TestUploadOverWebSocket(t *testing.T) {
	put := make(chan string, 2)
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		put <- string(body)
	}))
	defer store.Close()
	env := testEnv(t, "--protocol", "ws", "--work", "upload="+store.URL+"/bucket")
	s := env.NewSession()
	in := []byte("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if n, _, closing := s.Serve(in, nil); n != len(in) || closing {
		t.Fatalf("%d of %d bytes of the handshake taken, closing %v", n, len(in), closing)
	}
	for _, mask := range [][4]byte{{1, 2, 3, 4}, {}} {
		message := append(binary.BigEndian.AppendUint64(nil, wire.FrameWork|7), "an object"...)
		f := ws.MaskFrameWith(ws.NewBinaryFrame(message), mask)
		in := ws.MustCompileFrame(f)
		n, out, _ := s.Serve(in, nil)
		if n != len(in) || !bytes.HasSuffix(out, []byte("an object")) {
			t.Errorf("mask %v: %d of %d bytes taken, reply %q", mask, n, len(in), out)
		}
		if got := <-put; got != "an object" {
			t.Errorf("mask %v: put %q", mask, got)
		}
	}
}
