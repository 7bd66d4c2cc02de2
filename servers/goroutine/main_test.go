package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// asServer in the environment makes the test binary the program.
const asServer = "GOROUTINE_TEST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
	}
	os.Exit(m.Run())
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{"serve"}, args...)...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	return cmd
}

// process is the program at work.
type process struct {
	t     *testing.T
	in    io.WriteCloser
	lines *bufio.Reader
	addr  string
}

func launch(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := command(args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	p := &process{t: t, in: in, lines: bufio.NewReader(out)}
	var ready struct{ Addr string }
	p.line(&ready)
	p.addr = ready.Addr
	return p
}

func (p *process) line(v any) {
	p.t.Helper()
	line, err := p.lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		p.t.Fatalf("reading what the server prints: %v", err)
	}
}

func (p *process) ask(cmd string) map[string]any {
	p.t.Helper()
	fmt.Fprintf(p.in, `{"cmd":%q,"id":1}`+"\n", cmd)
	reply := map[string]any{}
	p.line(&reply)
	return reply
}

// until asks for readings until one has the value that is wanted.
func (p *process) until(name string, good func(float64) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		got, _ := p.ask("readings")[name].(float64)
		if good(got) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is still %v after 10 s", name, got)
		}
	}
}

func (p *process) dial() net.Conn {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// served reports whether a request is answered.
func served(t *testing.T, c net.Conn) bool {
	t.Helper()
	io.WriteString(c, get)
	n, err := c.Read(make([]byte, 4096))
	return err == nil && n > 0
}

// A connection beyond the limit is closed and counted, and one that ends makes room.
func TestLimitRefuses(t *testing.T) {
	p := launch(t, "--limit=2", "--limit-how=refuse")
	first, second := p.dial(), p.dial()
	if !served(t, first) || !served(t, second) {
		t.Fatal("a connection within the limit is not served")
	}
	if served(t, p.dial()) {
		t.Error("a connection beyond the limit is served")
	}
	if r := p.ask("readings"); r["refused"] != 1.0 || r["accepted"] != 2.0 {
		t.Errorf("refused %v, accepted %v: want 1 and 2", r["refused"], r["accepted"])
	}
	first.Close()
	p.until("open", func(open float64) bool { return open == 1 })
	if !served(t, p.dial()) {
		t.Error("a connection that ended made no room")
	}
}

// A connection beyond the limit is not accepted, and served once another ends.
func TestLimitWaits(t *testing.T) {
	p := launch(t, "--limit=1")
	first, second := p.dial(), p.dial()
	io.WriteString(second, get)
	for range 2 {
		if !served(t, first) {
			t.Fatal("a connection within the limit is not served")
		}
	}
	if r := p.ask("readings"); r["accepted"] != 1.0 || r["refused"] != 0.0 {
		t.Errorf("accepted %v, refused %v with one connection too many: want 1 and 0", r["accepted"], r["refused"])
	}
	first.Close()
	if _, err := second.Read(make([]byte, 4096)); err != nil {
		t.Errorf("a connection that waited: %v", err)
	}
}

// Two listeners at least hold the port.
func TestReuseport(t *testing.T) {
	p := launch(t, "--reuseport")
	if !served(t, p.dial()) {
		t.Fatal("no reply")
	}
	_, text, _ := net.SplitHostPort(p.addr)
	var port int
	fmt.Sscan(text, &port)
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skipf("no table of sockets: %v", err)
	}
	listening := 0
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == "0A" {
			listening++
		}
	}
	if listening < 2 {
		t.Errorf("%d listeners, want 2 at least", listening)
	}
}

// Pipelined requests of one connection are under way at the same time, a goroutine each.
func TestSpawn(t *testing.T) {
	const requests = 40
	p := launch(t, "--spawn", "--work=sleep=300ms")
	c := p.dial()
	io.WriteString(c, strings.Repeat("GET /work HTTP/1.1\r\nHost: x\r\n\r\n", requests))
	p.until("goroutines", func(n float64) bool { return n > requests })
	var got int
	for b := make([]byte, 4096); got < requests; {
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("after %d of %d replies: %v", got, requests, err)
		}
		got += strings.Count(string(b[:n]), "Hello, World!")
	}
}

// A connection that waits has a buffer of 4 KiB of its own, or none.
func TestBuffersOfIdleConnections(t *testing.T) {
	const conns, buffer = 300, 4 << 10
	for _, c := range []struct {
		flag string
		own  bool
	}{{"own", true}, {"pooled", false}, {"ondemand", false}} {
		t.Run(c.flag, func(t *testing.T) {
			p := launch(t, "--buffers="+c.flag)
			live := func() float64 {
				p.ask("gc")
				p.ask("gc") // a sync.Pool lets go in the second
				p.ask("gc")
				return p.ask("readings")["heap_live_bytes"].(float64)
			}
			before := live()
			for range conns {
				if !served(t, p.dial()) {
					t.Fatal("no reply")
				}
			}
			each := (live() - before) / conns
			if has := each > buffer; has != c.own {
				t.Errorf("a connection that waits holds %.0f bytes of heap: has a buffer of %d: %t, want %t", each, buffer, has, c.own)
			}
		})
	}
}

func TestRefusedSettings(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--limit=-1", "--limit -1: want 1 to"},
		{"--limit-how=refuse", "without --limit"},
		{"--limit-how=drop --limit=1", "want one of wait, refuse"},
		{"--limit=5 --reuseport", "--limit 5 with --reuseport"},
		{"--duplex --spawn", "--duplex with --spawn"},
		{"--duplex --buffers=pooled", "--buffers=pooled with --duplex"},
		{"--buffers=shared", "want one of own, pooled, ondemand"},
	} {
		out, err := command(strings.Fields(c.args)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, %q: want an error with %q", c.args, err, out, c.want)
		}
	}
}
