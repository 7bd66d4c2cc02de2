package conform

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// toyFault names the environment variable that makes the test binary a toy server with one fault.
const toyFault = "CONFORM_TOY"

func TestMain(m *testing.M) {
	if fault, found := os.LookupEnv(toyFault); found {
		os.Exit((&toy{fault: fault}).main(os.Args[1:]))
	}
	status := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "the suite leaks:", err)
		status = 1
	}
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		fmt.Fprintf(os.Stderr, "the suite leaves processes behind: wait gave %d, %v\n", pid, err)
		status = 1
	}
	os.Exit(status)
}

// toy is a server that keeps the contract but for one fault, which is named after what it does wrong.
type toy struct {
	fault    string
	protocol string
	payload  []byte
	work     func()
	listener net.Listener

	accepted, open, closed, handled, bytesIn, bytesOut atomic.Int64

	hub toyHub

	draining atomic.Bool
	mu       sync.Mutex
	conns    map[*toyConn]bool
	wg       sync.WaitGroup
}

// toyConn is one connection of the toy.
type toyConn struct {
	net.Conn
	busy    atomic.Bool
	writing sync.Mutex // replies and frames that the hub makes
	message []byte     // of the fragments so far
	opcode  byte       // of their message, 0 for none
	sub     *toySub    // nil before it subscribes
}

// Write writes one reply or frame.
func (c *toyConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Conn.Write(b)
}

func (s *toy) has(fault string) bool { return s.fault == fault }

func (s *toy) main(args []string) int {
	if args[0] == "describe" {
		doc := "a server for testing the suite"
		if s.has("no-doc") {
			doc = ""
		}
		fmt.Printf(`{"schema":1,"name":"toy","doc":%q,"framework":{"module":"net","version":"go1"},"protocols":["http1","frame","push","ws"],`+
			`"variants":[],"half_close":"replies"}`+"\n", doc)
		return 0
	}
	flags := flag.NewFlagSet("toy", flag.ContinueOnError)
	listen := flags.String("listen", "", "")
	flags.StringVar(&s.protocol, "protocol", "", "")
	spec := flags.String("work", "none", "")
	payload := flags.Int("payload", 13, "")
	s.hub.flags(flags)
	if flags.Parse(args[1:]) != nil {
		if s.has("flag-status") {
			return 1
		}
		return 2
	}
	s.payload = bytes.Repeat([]byte{'p'}, *payload)
	s.setWork(*spec)
	s.hub.start(s, *payload)
	s.conns = make(map[*toyConn]bool)
	var err error
	if s.listener, err = net.Listen("tcp", *listen); err != nil {
		if s.has("port-message") {
			err = errors.New("no port")
		}
		fmt.Fprintln(os.Stderr, "listening:", err)
		return 1
	}
	if s.has("never-ready") {
		select {}
	}
	pid := os.Getpid()
	if s.has("ready-pid") {
		pid++
	}
	fmt.Printf(`{"schema":1,"ready":true,"addr":%q,"pid":%d}`+"\n", s.listener.Addr(), pid)
	return s.serve()
}

func (s *toy) setWork(spec string) {
	kind, value, _ := strings.Cut(spec, "=")
	d, _ := time.ParseDuration(value)
	if s.has("no-work") {
		kind = ""
	}
	s.work = func() {
		if kind == "sleep" {
			<-time.After(d)
		}
		for end := time.Now().Add(d); kind == "cpu" && time.Now().Before(end); {
		}
	}
}

func (s *toy) serve() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ended := make(chan struct{})
	go s.control(ended)
	go s.accept()
	select {
	case <-ctx.Done():
		if s.has("ignores-sigterm") {
			<-ended
		}
	case <-ended:
		if s.has("ignores-stdin") {
			<-ctx.Done()
		}
	}
	_ = s.listener.Close()
	s.draining.Store(true)
	s.mu.Lock()
	for c := range s.conns {
		if s.has("cuts-at-shutdown") || !c.busy.Load() {
			_ = c.SetReadDeadline(time.Unix(1, 0))
		}
		if s.has("cuts-at-shutdown") {
			_ = c.Close()
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
	if s.has("exit-status") {
		return 1
	}
	return 0
}

func (s *toy) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.wg.Add(1)
		c := &toyConn{Conn: conn}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		n := s.accepted.Add(1)
		s.open.Add(1)
		if s.has("serves-500") && n > 500 {
			continue
		}
		go s.handle(c)
	}
}

func (s *toy) handle(c *toyConn) {
	defer s.wg.Done()
	in := bufio.NewReaderSize(c, 64<<10)
	var err error
	if s.protocol == "ws" {
		err = s.greet(c, in)
	}
	if s.has("push-to-all") {
		s.hub.subscribe(s, c)
	}
	for err == nil && !s.draining.Load() {
		if s.has("needs-whole-segments") && s.oneRead(c, in) != nil {
			break
		}
		if _, err = in.Peek(1); err != nil {
			break
		}
		c.busy.Store(true)
		switch s.protocol {
		case "http1":
			err = s.http(c, in)
		case "ws":
			err = s.wsFrame(c, in)
		case "push":
			err = s.pushFrame(c, in)
		default:
			err = s.frame(c, in)
		}
		c.busy.Store(false)
		if s.has("drops-rest-of-segment") {
			_, _ = in.Discard(in.Buffered())
		}
	}
	s.leave(c, err)
}

// oneRead fills the buffer with one read and drops what is no whole small request: the fault of a server that takes a
// segment for a message.
func (s *toy) oneRead(c net.Conn, in *bufio.Reader) error {
	for {
		if _, err := in.Peek(1); err != nil {
			return err
		}
		data, _ := in.Peek(in.Buffered())
		if s.protocol != "http1" && len(data) >= 12 || s.protocol == "http1" && bytes.Contains(data, []byte("\r\n\r\n")) {
			return nil
		}
		_, _ = in.Discard(len(data))
	}
}

func (s *toy) leave(c *toyConn, err error) {
	eof := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if c.sub != nil {
		s.hub.leave(s, c, eof)
	}
	switch {
	case s.has("leaks-goroutines") && s.accepted.Load() > 1:
		go func() { select {} }()
	case s.has("hangs-at-half-close") && eof:
		s.wg.Add(1)
		defer s.wg.Done()
		select {}
	case s.has("leaks-at-reset") && err != nil && !eof:
		return
	case s.has("leaks-files"):
		s.closed.Add(1)
		s.open.Add(-1)
		return
	}
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	_ = c.Close()
	s.closed.Add(1)
	s.open.Add(-1)
}
