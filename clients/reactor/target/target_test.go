package target

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

func planOf(url string, more ...string) *clients.Plan {
	p := &clients.Plan{URL: url, Scenario: scenarios.Scenario{Payload: 13, Connections: scenarios.Connections{Count: 10}}}
	if len(more) > 0 {
		for _, u := range append([]string{url}, more...) {
			p.Requests = append(p.Requests, clients.Request{URL: u})
		}
	}
	return p
}

func mustNew(t testing.TB, p *clients.Plan) *Target {
	t.Helper()
	got, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestPlainRequest(t *testing.T) {
	p := planOf("http://127.0.0.1:8080/a?b=c")
	p.Headers, p.Body = []string{"X-Id: 7"}, []byte("hello")
	tg := mustNew(t, p)
	r := tg.Pick(0, 12)
	for kind, want := range []string{
		"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-Id: 7\r\nContent-Length: 5\r\n\r\nhello",
		"POST /work HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-Id: 7\r\nContent-Length: 5\r\n\r\nhello",
		"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-Id: 7\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
		"POST /work HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-Id: 7\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
	} {
		if got := r.Static(Kind(kind)); string(got) != want {
			t.Errorf("kind %d: %q, want %q", kind, got, want)
		}
		if got := r.Append([]byte("x"), Kind(kind), 12); string(got) != "x"+want {
			t.Errorf("kind %d appended: %q", kind, got)
		}
	}
	if r.BodyLen(12) != 5 || r.Expect().Body != nil || r.Expect().Head || tg.Varied || tg.Frame || tg.HTTPS || tg.Name != "127.0.0.1:8080" {
		t.Errorf("%+v", tg)
	}
	n := 0
	tg.Lasting(func([]byte) { n++ })
	if n != kinds {
		t.Errorf("%d lasting requests, want %d", n, kinds)
	}
}

// A request with counters is the plain one of a plan in which the number stands in their place.
func TestCounterIsThePlainRequestOfEveryNumber(t *testing.T) {
	with := func(n string) *clients.Plan {
		put := func(s string) string { return strings.ReplaceAll(s, "{n}", n) }
		p := planOf(put("http://127.0.0.1:8080/item/{n}?twice={n}"))
		p.Headers = []string{put("X-Id: {n}"), "X-Fixed: 1", put("Host: other")}
		p.Body = []byte(put(`{"id":{n},"again":{n}}`))
		p.CheckBody = []byte(put("got {n}"))
		return p
	}
	counting := mustNew(t, with("{n}"))
	frames := with("{n}")
	frames.URL, frames.Headers, frames.CheckBody = "frame://127.0.0.1:1", nil, nil
	framed := mustNew(t, frames)
	for _, n := range []int64{0, 9, 10, 99, 100, 12345, 1 << 40, 1<<62 - 1} {
		plain := mustNew(t, with(strconv.FormatInt(n, 10)))
		got, want := counting.Pick(0, n), plain.Pick(0, n)
		for kind := range Kind(kinds) {
			if got.Static(kind) != nil {
				t.Fatalf("kind %d is the same for every number", kind)
			}
			if g, w := string(got.Append(nil, kind, n)), string(want.Static(kind)); g != w {
				t.Errorf("kind %d, number %d:\n got %q\nwant %q", kind, n, g, w)
			}
		}
		if got.BodyLen(n) != want.BodyLen(n) {
			t.Errorf("number %d: body of %d bytes, want %d", n, got.BodyLen(n), want.BodyLen(n))
		}
		if e, _ := got.Wanted(nil, n); string(e.Body) != string(want.Expect().Body) || e.Body == nil {
			t.Errorf("number %d: wants %q, want %q", n, e.Body, want.Expect().Body)
		}
		body := fmt.Sprintf(`{"id":%d,"again":%d}`, n, n)
		if g, w := framed.Pick(0, n).AppendFrame(nil, 77, n), wire.AppendFrame(nil, 77, []byte(body)); !bytes.Equal(g, w) {
			t.Errorf("number %d: frame %q, want %q", n, g, w)
		}
		if e, _ := framed.Pick(0, n).Wanted(nil, n); string(e.Body) != body {
			t.Errorf("number %d: wants frame %q, want %q", n, e.Body, body)
		}
	}
	if !counting.Varied || !framed.Varied {
		t.Error("replies differ, but not varied")
	}
	counting.Lasting(func(b []byte) { t.Errorf("lasting: %q", b) })
}

func TestFrameCarriesThePattern(t *testing.T) {
	tg := mustNew(t, planOf("frame://127.0.0.1:1"))
	want := wire.AppendFrame(nil, 5, []byte("0-1-2-3-4-5-6"))
	r := tg.Pick(0, 3)
	if got := r.AppendFrame(nil, 5, 3); !bytes.Equal(got, want) || string(r.Expect().Body) != "0-1-2-3-4-5-6" || tg.Varied || !tg.Frame || r.Static(0) != nil {
		t.Errorf("%q, expects %q, varied %v", got, r.Expect().Body, tg.Varied)
	}
}

func TestHeadBesideGet(t *testing.T) {
	p := planOf("http://127.0.0.1:1/a", "http://127.0.0.1:1/b")
	p.Requests[1].Method, p.CheckBody = "HEAD", []byte("x")
	tg := mustNew(t, p)
	if a, b := tg.Pick(0, 0), tg.Pick(0, 1); a.Expect().Head || !b.Expect().Head || tg.Varied {
		t.Errorf("head %v and %v, varied %v", a.Expect().Head, b.Expect().Head, tg.Varied)
	}
}

func TestEndpoints(t *testing.T) {
	// One host and port: in turn.
	tg := mustNew(t, planOf("http://127.0.0.1:1/a", "http://127.0.0.1:1/b", "http://127.0.0.1:1/c"))
	var paths string
	for n := range int64(6) {
		paths += string(tg.Pick(0, n).Static(0)[5:6])
	}
	if len(tg.Endpoints) != 1 || paths != "abcabc" || tg.Endpoint(7) != 0 {
		t.Errorf("%d endpoints, paths %s", len(tg.Endpoints), paths)
	}
	// Several: connection i to i mod 3, and there only what is meant for there.
	tg = mustNew(t, planOf("http://127.0.0.1:1/a", "http://[::1]:2/b", "http://127.0.0.1:3/c", "http://[::1]:2/d"))
	if len(tg.Endpoints) != 3 || tg.Endpoint(4) != 1 || tg.Name != "127.0.0.1:1 and 2 more" {
		t.Fatalf("%d endpoints, connection 4 to %d, name %q", len(tg.Endpoints), tg.Endpoint(4), tg.Name)
	}
	counts := map[string]int{}
	for n := range int64(300) {
		counts[string(tg.Pick(1, n).Static(0)[5:6])]++
	}
	if len(counts) != 2 || counts["b"] < 100 || counts["d"] < 100 {
		t.Errorf("requests at the second endpoint: %v", counts)
	}
	if f := tg.Endpoints[1].Family; f != unix.AF_INET6 {
		t.Errorf("family %d", f)
	}
	// Through a unix socket all is one endpoint.
	p := planOf("http://a.example/1", "http://b.example/2")
	p.UnixSocket = "/run/x.sock"
	tg = mustNew(t, p)
	if len(tg.Endpoints) != 1 || tg.Endpoints[0].Family != unix.AF_UNIX || !strings.Contains(string(tg.Pick(0, 1).Static(0)), "Host: b.example\r\n") {
		t.Errorf("%+v", tg.Endpoints)
	}
}

func TestSources(t *testing.T) {
	p := planOf("http://127.0.0.1:1/", "http://[::1]:1/")
	p.Sources = []string{"127.0.0.2", "::1", "127.0.0.3"}
	tg := mustNew(t, p)
	if a, b := len(tg.Endpoints[0].Sources), len(tg.Endpoints[1].Sources); a != 2 || b != 1 {
		t.Errorf("%d and %d sources", a, b)
	}
	p = planOf("http://localhost:1/")
	for source, family := range map[string]int{"127.0.0.2": unix.AF_INET, "::1": unix.AF_INET6} {
		p.Sources = []string{source}
		if tg, err := New(p); err == nil && tg.Endpoints[0].Family != family { // a host may know localhost by one family only
			t.Errorf("from %s: family %d, want %d", source, tg.Endpoints[0].Family, family)
		}
	}
}

func TestPlansThatCanNotBeSent(t *testing.T) {
	check := func(p *clients.Plan, want string) {
		t.Helper()
		if _, err := New(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	changed := func(p *clients.Plan, f func(*clients.Plan)) *clients.Plan { f(p); return p }
	check(planOf("ftp://h/"), "want http://")
	check(planOf("http://127.0.0.1:99999/"), "99999")
	check(planOf("http://127.0.0.1:0/"), "port 0: want 1 to 65535")
	check(planOf("http://[fe80::1%25nosuch]:1/"), `zone "nosuch": want the name or the number of an interface`)
	check(planOf("http://no..name:1/"), "resolving no..name:1")
	check(planOf("https://127.0.0.1/", "https://127.0.0.2/"), "want one host")
	check(changed(planOf("http://127.0.0.1:1/"), func(p *clients.Plan) { p.Sources = []string{"::1"} }), "no source address is of the same family")
	check(changed(planOf("http://[::1]:1/"), func(p *clients.Plan) { p.Sources = []string{"127.0.0.1"} }), "no source address is of the same family")
	check(changed(planOf("http://127.0.0.1:1/"), func(p *clients.Plan) { p.Sources = []string{"localhost"} }), "want an IP address")
	check(changed(planOf("http://127.0.0.1:1/"), func(p *clients.Plan) { p.Sources, p.UnixSocket = []string{"127.0.0.1"}, "/x" }), "want none")
	check(changed(planOf("http://h/"), func(p *clients.Plan) { p.UnixSocket = "/" + strings.Repeat("x", 200) }), "want 1 to 107")
	check(changed(planOf("http://h/"), func(p *clients.Plan) { p.UnixSocket, p.Scenario.Connections.Close = "/x", "rst" }), "knows no reset")
	check(changed(planOf("http://127.0.0.1:1/", "http://127.0.0.1:2/"), func(p *clients.Plan) { p.Scenario.Connections.Count = 1 }), "2 hosts and ports, but 1 connections")
}

// TestDial connects to every kind of address, from a source where there is one.
func TestDial(t *testing.T) {
	zone := ""
	if lo, err := net.InterfaceByName("lo"); err == nil {
		zone = strconv.Itoa(lo.Index)
	}
	dir := t.TempDir()
	for _, c := range []struct{ network, listen, url, socket, source, from string }{
		{"tcp", "127.0.0.1:0", "http://127.0.0.1:%d/", "", "", "127.0.0.1"},
		{"tcp", "127.0.0.1:0", "http://127.0.0.1:%d/", "", "127.0.0.9", "127.0.0.9"},
		{"tcp", "[::1]:0", "http://[::1]:%d/", "", "::1", "::1"},
		{"tcp", "[::1]:0", "http://[::1%%25" + zone + "]:%d/", "", "", "::1"},
		{"unix", filepath.Join(dir, "s"), "http://host/", filepath.Join(dir, "s"), "", ""},
		{"unix", "@millrace-test-" + filepath.Base(dir) + strconv.Itoa(unix.Getpid()), "http://host/", "@millrace-test-" + filepath.Base(dir) + strconv.Itoa(unix.Getpid()), "", ""},
	} {
		l, err := net.Listen(c.network, c.listen)
		if err != nil {
			if strings.Contains(c.listen, "::1") {
				t.Logf("no IPv6 here: %v", err)
				continue
			}
			t.Fatal(err)
		}
		url := c.url
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			url = fmt.Sprintf(c.url, a.Port)
		}
		p := planOf(url)
		if p.UnixSocket = c.socket; c.source != "" {
			p.Sources = []string{c.source}
		}
		e := &mustNew(t, p).Endpoints[0]
		var from *sys.Address
		if len(e.Sources) > 0 {
			from = &e.Sources[0]
		}
		fd, errno := sys.Dial(e.Family, from, &e.Addr, nil, 0)
		if errno != 0 && errno != unix.EINPROGRESS {
			t.Fatalf("%s: %v", url, errno)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok && a.IP.String() != c.from {
			t.Errorf("%s: from %v, want %s", url, a.IP, c.from)
		}
		conn.Close()
		sys.Close(fd)
		l.Close()
	}
}

// A unix socket whose backlog is full refuses at once, and nothing is under way.
func TestDialFullBacklog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	if err := unix.Bind(l, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 1); err != nil {
		t.Fatal(err)
	}
	a, err := sys.NewUnixAddress(path)
	if err != nil {
		t.Fatal(err)
	}
	var open []int32
	for range 10 {
		fd, errno := sys.Dial(unix.AF_UNIX, nil, &a, nil, 0)
		if errno != 0 {
			if errno != unix.ECONNREFUSED || fd >= 0 {
				t.Errorf("descriptor %d, %v: want a refusal", fd, errno)
			}
			break
		}
		open = append(open, fd)
	}
	if len(open) == 0 || len(open) == 10 {
		t.Errorf("%d connections with a backlog of 1", len(open))
	}
	for _, fd := range open {
		sys.Close(fd)
	}
}

func TestNothingAllocates(t *testing.T) {
	p := planOf("http://127.0.0.1:1/item/{n}", "http://127.0.0.1:1/other")
	p.CheckBody, p.Requests[0].Body = []byte("{n}"), []byte("n={n}")
	f := planOf("frame://127.0.0.1:1")
	f.Body = []byte("n={n}")
	tg, framed := mustNew(t, p), mustNew(t, f)
	out, scratch := make([]byte, 0, 1024), make([]byte, 0, 64)
	var n int64
	if a := testing.AllocsPerRun(1000, func() {
		n += 12345
		r := tg.Pick(tg.Endpoint(int(n)), n)
		if b := r.Static(0); b == nil {
			out = r.Append(out[:0], Work, n)
		}
		_, scratch = r.Wanted(scratch, n)
		out = framed.Pick(0, n).AppendFrame(out[:0], 1, n)
	}); a != 0 {
		t.Errorf("%v allocations, want none", a)
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, plan := range map[string]*clients.Plan{
		"static": planOf("http://127.0.0.1:1/item"), "turns": planOf("http://127.0.0.1:1/a", "http://127.0.0.1:1/b"),
		"counter": planOf("http://127.0.0.1:1/item/{n}"),
	} {
		b.Run(name, func(b *testing.B) {
			tg := mustNew(b, plan)
			out := make([]byte, 0, 1024)
			var n int64
			b.ReportAllocs()
			for b.Loop() {
				n++
				r := tg.Pick(0, n)
				if r.Static(0) == nil {
					out = r.Append(out[:0], 0, n)
				}
			}
		})
	}
}

func TestPatternHasNoEqualNeighbours(t *testing.T) {
	b := pattern(100_000)
	for _, size := range []int{16, 64, 1000} {
		for at := 0; at+2*size <= len(b); at += size {
			if slices.Equal(b[at:at+size], b[at+size:at+2*size]) {
				t.Fatalf("blocks of %d bytes at %d are equal", size, at)
			}
		}
	}
}
