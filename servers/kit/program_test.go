package kit_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/wire"
)

// exitWithin is what the contract gives a server to end.
const exitWithin = 5 * time.Second

var builds sync.Map // path by model: a sync.OnceValues each

// build builds a model's program once a test run.
func build(t *testing.T, model string) string {
	t.Helper()
	once, _ := builds.LoadOrStore(model, sync.OnceValues(func() (string, error) {
		path := filepath.Join(buildDir, model)
		out, err := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", path, "../"+model).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("building %s: %w: %s", model, err, out)
		}
		return path, err
	}))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// program is a server process that a test started.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Scanner
	errs  bytes.Buffer
	addr  string
	done  chan error
}

func startProgram(t *testing.T, model string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(build(t, model), append([]string{"serve"}, args...)...), done: make(chan error, 1)}
	p.cmd.Stderr = &p.errs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	p.out = bufio.NewScanner(out)
	var ready struct {
		Ready bool
		Addr  string
		PID   int
	}
	if err := json.Unmarshal(p.line(), &ready); err != nil || !ready.Ready || ready.PID != p.cmd.Process.Pid {
		t.Fatalf("ready line %+v, %v", ready, err)
	}
	p.addr = ready.Addr
	return p
}

func (p *program) line() []byte {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("no line on standard output: %v; standard error: %s", p.cmd.Wait(), &p.errs)
	}
	return p.out.Bytes()
}

func (p *program) readings() map[string]int64 {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, `{"cmd":"readings","id":1}`+"\n"); err != nil {
		p.t.Fatal(err)
	}
	var values map[string]int64
	if err := json.Unmarshal(p.line(), &values); err != nil {
		p.t.Fatal(err)
	}
	return values
}

func (p *program) dial() net.Conn {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	return c
}

// exits checks that the program ends by itself, in time, with status 0 and nothing on standard error.
func (p *program) exits() {
	p.t.Helper()
	go func() { p.done <- p.cmd.Wait() }()
	select {
	case err := <-p.done:
		if err != nil || bytes.Contains(p.errs.Bytes(), []byte("panic")) { // a framework may log what its clients do
			p.t.Errorf("ended with %v: %s", err, &p.errs)
		}
	case <-time.After(exitWithin):
		p.t.Errorf("still there after %v", exitWithin)
	}
}

// roundTrip sends a request and reads one reply with what follows it unread.
func roundTrip(c net.Conn, request []byte) (wire.ReplyState, error) {
	var s wire.ReplyState
	if _, err := c.Write(request); err != nil {
		return s, err
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return s, err
		}
		if _, done, err := s.Feed(buf[:n], nil); done || err != nil {
			return s, err
		}
	}
}

var getRequest = wire.AppendRequest(nil, "GET", "test", "/", nil, nil, false)

// programs are the models that accept through Go's net, with the flags of each.
var programs = map[string][]string{
	"goroutine": nil, "goroutine/duplex": {"--duplex"}, "nethttp": nil, "fasthttp": nil,
}

func eachProgram(t *testing.T, f func(t *testing.T, start func(args ...string) *program)) {
	for name, flags := range programs {
		model, _, _ := strings.Cut(name, "/")
		if testing.Short() && model != "goroutine" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, func(args ...string) *program { return startProgram(t, model, append(args, flags...)...) })
		})
	}
}

func TestProgramCountsAndEndsWithItsInput(t *testing.T) {
	eachProgram(t, func(t *testing.T, start func(...string) *program) {
		p := start()
		post := wire.AppendRequest(nil, "POST", "test", "/", nil, []byte("body"), false)
		c := p.dial()
		for _, request := range [][]byte{getRequest, post} {
			if s, err := roundTrip(c, request); err != nil || s.Status() != 200 {
				t.Fatal(s.Status(), err)
			}
		}
		r := p.readings()
		if r["handled"] != 2 || r["accepted"] != 1 || r["open"] != 1 || r["body_bytes_in"] != 4 || r["body_bytes_out"] != 17 {
			t.Errorf("readings %v", r)
		}
		p.stdin.Close()
		p.exits()
	})
}

func TestSIGTERMUnderLoad(t *testing.T) {
	eachProgram(t, func(t *testing.T, start func(...string) *program) {
		p := start("--payload", "100000")
		idle, kept := p.dial(), p.dial()
		_ = idle
		if _, err := roundTrip(kept, getRequest); err != nil {
			t.Fatal(err)
		}
		deaf := p.dial() // never reads, so that the server's writes block
		if _, err := deaf.Write(bytes.Repeat(getRequest, 1000)); err != nil {
			t.Fatal(err)
		}
		const clients, enough = 4, 20
		flowing := make(chan struct{}, clients)
		ends := make(chan error, clients)
		for range clients {
			go func() { ends <- load(p.addr, enough, flowing) }()
		}
		for range clients {
			<-flowing
		}
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.exits()
		for range clients {
			if err := <-ends; err != nil {
				t.Error(err)
			}
		}
	})
}

// load asks again and again until the server closes. A reply that is cut short is an error.
func load(addr string, enough int, flowing chan<- struct{}) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		flowing <- struct{}{}
		return err
	}
	defer c.Close()
	for i := 0; ; i++ {
		if i == enough {
			flowing <- struct{}{}
		}
		s, err := roundTrip(c, getRequest)
		if err != nil && s.Started() {
			return fmt.Errorf("reply %d was cut short: %w", i, err)
		}
		if err != nil || s.Close() {
			return nil
		}
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := exec.Command(build(t, "goroutine"), "serve", "--listen", l.Addr().String())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), l.Addr().String()) || !strings.Contains(string(out), "--listen 127.0.0.1:0") {
		t.Errorf("%v: %s", err, out)
	}
	cmd = exec.Command(build(t, "goroutine"), "serve", "--work", "dance")
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "want one of none, cpu=") {
		t.Errorf("%v: %s", err, out)
	}
}
