package conform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
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

	draining atomic.Bool
	mu       sync.Mutex
	conns    map[*toyConn]bool
	wg       sync.WaitGroup
}

// toyConn is one connection of the toy.
type toyConn struct {
	net.Conn
	busy atomic.Bool
}

func (s *toy) has(fault string) bool { return s.fault == fault }

func (s *toy) main(args []string) int {
	if args[0] == "describe" {
		doc := "a server for testing the suite"
		if s.has("no-doc") {
			doc = ""
		}
		fmt.Printf(`{"schema":1,"name":"toy","doc":%q,"framework":{"module":"net","version":"go1"},"protocols":["http1","frame"],`+
			`"variants":[],"half_close":"replies"}`+"\n", doc)
		return 0
	}
	flags := flag.NewFlagSet("toy", flag.ContinueOnError)
	listen := flags.String("listen", "", "")
	flags.StringVar(&s.protocol, "protocol", "", "")
	spec := flags.String("work", "none", "")
	payload := flags.Int("payload", 13, "")
	if flags.Parse(args[1:]) != nil {
		if s.has("flag-status") {
			return 1
		}
		return 2
	}
	s.payload = bytes.Repeat([]byte{'p'}, *payload)
	s.setWork(*spec)
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
			time.Sleep(d)
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
	for err == nil && !s.draining.Load() {
		if s.has("needs-whole-segments") && s.oneRead(c, in) != nil {
			break
		}
		if _, err = in.Peek(1); err != nil {
			break
		}
		c.busy.Store(true)
		if s.protocol == "http1" {
			err = s.http(c, in)
		} else {
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
		if s.protocol == "frame" && len(data) >= 12 || s.protocol == "http1" && bytes.Contains(data, []byte("\r\n\r\n")) {
			return nil
		}
		_, _ = in.Discard(len(data))
	}
}

func (s *toy) leave(c *toyConn, err error) {
	eof := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
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

// control answers on standard output until standard input ends.
func (s *toy) control(ended chan<- struct{}) {
	defer close(ended)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var q struct {
			ID      int
			Cmd     string
			Kind    string
			Seconds float64
			Path    string
		}
		if json.Unmarshal(lines.Bytes(), &q) != nil {
			continue
		}
		answer := map[string]any{"id": q.ID}
		switch q.Cmd {
		case "readings":
			s.readings(answer)
		case "gc":
			if !s.has("no-gc") {
				runtime.GC()
			}
		case "free":
			debug.FreeOSMemory()
		case "profile":
			if q.Kind == "cpu" && !s.has("profile-blocks") {
				go s.profile(q.Kind, q.Seconds, q.Path, answer)
				continue
			}
			s.profile(q.Kind, q.Seconds, q.Path, answer)
			continue
		default:
			if !s.has("accepts-any-command") {
				answer["error"] = "unknown command"
			}
		}
		say(answer)
	}
}

func say(answer map[string]any) {
	line, _ := json.Marshal(answer)
	_, _ = os.Stdout.Write(append(line, '\n'))
}

func (s *toy) profile(kind string, seconds float64, path string, answer map[string]any) {
	defer say(answer)
	f, err := os.Create(path)
	if err != nil {
		answer["error"] = err.Error()
		return
	}
	defer f.Close()
	if kind == "heap" {
		_ = pprof.WriteHeapProfile(f)
		return
	}
	_ = pprof.StartCPUProfile(f)
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	pprof.StopCPUProfile()
}

func (s *toy) readings(answer map[string]any) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for name, value := range map[string]int64{
		"goroutines": int64(runtime.NumGoroutine()), "heap_live_bytes": int64(m.HeapAlloc), "heap_in_use_bytes": int64(m.HeapInuse),
		"stack_bytes": int64(m.StackInuse), "alloc_bytes": int64(m.TotalAlloc), "alloc_objects": int64(m.Mallocs), "threads": 5,
		"gc_cycles": int64(m.NumGC), "gc_cpu_ns": 0, "gc_pause_ns": int64(m.PauseTotalNs), "switches_voluntary": 0,
		"switches_involuntary": 0, "accepted": s.accepted.Load(), "open": s.open.Load(), "closed": s.closed.Load(),
		"handled": s.handled.Load(), "refused": 0, "body_bytes_in": s.bytesIn.Load(), "body_bytes_out": s.bytesOut.Load(),
	} {
		answer[name] = value
	}
	if s.has("no-stacks") {
		delete(answer, "stack_bytes")
	}
	if s.has("silent-control") {
		delete(answer, "id")
	}
}
