package raw

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a reflector that ends with the test.
func serve(tb testing.TB, c Config) *Reflector {
	tb.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	r, err := Listen(c)
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		r.Serve()
		close(done)
	}()
	tb.Cleanup(func() {
		r.Close()
		<-done
	})
	return r
}

func dial(tb testing.TB, r *Reflector) net.Conn {
	tb.Helper()
	network, addr := "tcp", r.Addr()
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return c
}

func write(tb testing.TB, c net.Conn, b []byte) {
	tb.Helper()
	if _, err := c.Write(b); err != nil {
		tb.Fatal(err)
	}
}

// reads checks what comes next.
func reads(tb testing.TB, c io.Reader, want []byte) {
	tb.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		tb.Fatalf("read %.200q and error %v, want %.200q", got[:n], err, want)
	}
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

func post(body string) []byte {
	return wire.AppendRequest(nil, "POST", "x", "/", nil, []byte(body), false)
}

func reply(body string, last bool) []byte { return wire.AppendResponse(nil, 200, []byte(body), last) }

const payload = "Hello, World!"

func TestHTTP(t *testing.T) {
	r := serve(t, Config{Protocol: "http1", Payload: len(payload)})
	c := dial(t, r)
	for _, x := range []struct{ in, out string }{
		{get, string(reply(payload, false))},
		{get, string(reply(payload, false))}, // known by now
		{string(post("echo")), string(reply("echo", false))},
		{string(post("")), string(reply("", false))},
		{"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", string(wire.AppendHead(nil, 200, len(payload), false))},
		{get + string(post("a")) + get, string(reply(payload, false)) + string(reply("a", false)) + string(reply(payload, false))},
		{strings.Repeat(get, 3000), strings.Repeat(string(reply(payload, false)), 3000)},
		{"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", wire.Continue},
		{"ok", string(reply("ok", false))},
		{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", string(reply("abc", false))},
		{"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", string(reply(payload, true))},
	} {
		write(t, c, []byte(x.in))
		reads(t, c, []byte(x.out))
	}
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Errorf("after the last reply: %q and %v, want the end", rest, err)
	}
}

// TestPieces cuts requests, some of them known already, at every offset.
func TestPieces(t *testing.T) {
	for _, protocol := range Protocols {
		r := serve(t, Config{Protocol: protocol, Payload: len(payload), Spin: protocol == "frame"})
		c := dial(t, r)
		in, out := []byte(get+string(post("body"))+get), []byte(string(reply(payload, false))+string(reply("body", false))+string(reply(payload, false)))
		if protocol == "frame" {
			in = wire.AppendFrame(wire.AppendFrame(nil, 1, []byte("body")), 1<<63|2, nil)
			out = in
		}
		for at := range in {
			// The first piece has arrived when what is whole of it is answered, or when the rest has come to it: both must do.
			write(t, c, in[:at])
			if at%2 == 0 {
				runtime.Gosched()
			}
			write(t, c, in[at:])
			reads(t, c, out)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, x := range []struct{ protocol, in, out string }{
		{"http1", "GARBAGE\r\n\r\n", "HTTP/1.1 400 "},
		{"http1", get + "GET / HTTP/1.1\r\n\r\n" + strings.Repeat("x", 1<<20), string(reply("", false)) + "HTTP/1.1 400 "},
		{"http1", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 64<<10), "HTTP/1.1 431 "},
		{"frame", "\x00\x00\x00\x07xxxxxxx", ""},
		{"frame", "\x00\x00\x00\x08idididid\xff\xff\xff\xffxxxx", "\x00\x00\x00\x08idididid"},
	} {
		r := serve(t, Config{Protocol: x.protocol})
		c := dial(t, r)
		write(t, c, []byte(x.in))
		reads(t, c, []byte(x.out))
		rest, err := io.ReadAll(c)
		if err != nil || x.protocol == "frame" && len(rest) > 0 {
			t.Errorf("%s: %.30q: rest %q, %v: want the end", x.protocol, x.in, rest, err)
		}
	}
}

// TestSlowReader sends more than sockets hold before it reads anything.
func TestSlowReader(t *testing.T) {
	const count, size = 200, 100 << 10
	for _, protocol := range Protocols {
		r := serve(t, Config{Protocol: protocol})
		c := dial(t, r)
		body := bytes.Repeat([]byte("millrace"), size/8)
		request, want := wire.AppendFrame(nil, 7, body), wire.AppendFrame(nil, 7, body)
		if protocol == "http1" {
			request, want = post(string(body)), reply(string(body), false)
		}
		sent := make(chan error, 1)
		half := make(chan struct{})
		go func() {
			for i := range count {
				if i == 20 {
					close(half)
				}
				if _, err := c.Write(request); err != nil {
					sent <- err
					return
				}
			}
			// The end behind it must not cut off replies.
			sent <- c.(*net.TCPConn).CloseWrite()
		}()
		<-half
		in := bufio.NewReader(c)
		for range count {
			reads(t, in, want)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("%s: after the last reply: %v, want the end", protocol, err)
		}
	}
}

// TestThreads opens connections that several threads share, unix sockets among them, with replies of random sizes.
func TestThreads(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0", "unix:" + filepath.Join(t.TempDir(), "socket")} {
		if strings.HasPrefix(listen, "[") && !hasIPv6() {
			continue
		}
		r := serve(t, Config{Protocol: "frame", Listen: listen, Threads: 3})
		rnd := rand.New(rand.NewPCG(1, 2))
		var conns []net.Conn
		for range 30 {
			conns = append(conns, dial(t, r))
		}
		for i := range 300 {
			frame := wire.AppendFrame(nil, uint64(i), make([]byte, rnd.IntN(3000)))
			c := conns[rnd.IntN(len(conns))]
			write(t, c, frame)
			reads(t, c, frame)
		}
	}
}

func hasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func TestUnixSocketIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	r, err := Listen(Config{Protocol: "frame", Listen: "unix:" + path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(Config{Protocol: "frame", Listen: "unix:" + path}); err == nil {
		t.Error("two reflectors at one path")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	r.Close()
	r.Serve()
	r.Close() // again, though all is closed
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket's file: %v, want none", err)
	}
}

func TestPortLiesOutsideTheClientsRange(t *testing.T) {
	ports := freePorts()
	var low, high int
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err != nil {
		t.Skip(err)
	} else if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		t.Fatal(err)
	}
	for _, p := range ports[:len(ports)-1] {
		if int(p) >= low && int(p) <= high || p < lowestPort {
			t.Errorf("port %d: want one from %d and outside %d to %d", p, lowestPort, low, high)
		}
	}
	if ports[len(ports)-1] != 0 {
		t.Error("the last resort is not the kernel's choice")
	}
	_, text, _ := net.SplitHostPort(serve(t, Config{Protocol: "http1"}).Addr())
	if p, _ := strconv.Atoi(text); p < lowestPort || len(ports) > 1 && p >= low && p <= high {
		t.Errorf("listens at port %d", p)
	}
}

func TestUsage(t *testing.T) {
	for _, x := range []struct {
		c    Config
		want string
	}{
		{Config{Protocol: "push", Listen: "127.0.0.1:0"}, `protocol "push": want one of [http1 frame]`},
		{Config{Protocol: "http1", Listen: "127.0.0.1"}, "want HOST:PORT"},
		{Config{Protocol: "http1", Listen: "example.org:80"}, "want HOST:PORT with an IP address"},
		{Config{Protocol: "http1", Listen: "127.0.0.1:70000"}, "from 0 to 65535"},
		{Config{Protocol: "http1", Listen: "unix:"}, "want unix:PATH"},
		{Config{Protocol: "http1", Listen: "127.0.0.1:0", Payload: -1}, "payload -1: want 0 to 1048576"},
		{Config{Protocol: "http1", Listen: "127.0.0.1:0", Threads: 1000}, "threads 1000: want 1 to 64"},
	} {
		if _, err := Listen(x.c); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: error %v, want %q in it", x.c, err, x.want)
		}
	}
}

// crowd opens n connections without the net package, whose own memory would hide the reflector's.
func crowd(t *testing.T, r *Reflector, n int) []int {
	t.Helper()
	port := portOf(t, r)
	fds := make([]int, 0, n)
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	})
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		}
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return fds
}

func portOf(t *testing.T, r *Reflector) int {
	t.Helper()
	_, text, err := net.SplitHostPort(r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// exchange sends one request on each connection and waits for the replies.
func exchange(t *testing.T, fds []int, request []byte, size int, buf []byte) {
	t.Helper()
	for _, fd := range fds {
		if _, err := unix.Write(fd, request); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < size; {
			n, err := unix.Read(fd, buf)
			if n <= 0 || err != nil {
				t.Fatalf("read %d bytes and error %v", n, err)
			}
			got += n
		}
	}
}

func TestIdleConnectionsAreCheapAndRequestsAllocateNothing(t *testing.T) {
	const n = 2000
	r := serve(t, Config{Protocol: "http1", Payload: len(payload)})
	request, size, buf := []byte(get), len(reply(payload, false)), make([]byte, 4096)
	exchange(t, crowd(t, r, 1), request, size, buf)
	var before, opened, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fds := crowd(t, r, n)
	exchange(t, fds, request, size, buf)
	runtime.GC()
	runtime.ReadMemStats(&opened)
	per := (int64(opened.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes for an idle connection", per)
	if per > 150 {
		t.Errorf("%d bytes for an idle connection, want at most 150", per)
	}
	for range 5 {
		exchange(t, fds, request, size, buf)
	}
	runtime.ReadMemStats(&after)
	if got := after.Mallocs - opened.Mallocs; got > 5*n/100 {
		t.Errorf("%d allocations for %d requests", got, 5*n)
	}
}
