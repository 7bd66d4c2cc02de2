package kit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

// pushToy is the least model that pushes: per connection a goroutine that reads and replies, and one that writes what is pushed.
type pushToy struct {
	env      *Env
	listener *net.TCPListener
	all      sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func (s *pushToy) Addr() string { return s.listener.Addr().String() }

func (s *pushToy) Stop(context.Context) error {
	s.listener.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
	return nil
}

func (s *pushToy) accept() {
	for {
		c, err := s.listener.AcceptTCP()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		s.env.Opened()
		s.all.Go(func() { s.serve(c) })
	}
}

func (s *pushToy) serve(c *net.TCPConn) {
	defer s.env.Closed()
	defer c.Close()
	session, in := s.env.NewSession(), NewInput()
	woken, over := make(chan struct{}, 1), make(chan struct{})
	session.Notify(func() {
		if session.Overflowed() {
			c.SetWriteDeadline(time.Unix(1, 0))
		}
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	var writing sync.Mutex
	s.all.Go(func() { s.push(c, &session, &writing, woken, over) })
	defer close(over)
	defer session.End()
	for in.Read(c) == nil {
		for n := 1; n > 0; {
			var out []byte
			var closing bool
			n, out, closing = session.Serve(in.Bytes(), nil)
			in.Take(n)
			writing.Lock()
			_, err := c.Write(out)
			writing.Unlock()
			if closing || err != nil {
				return
			}
		}
	}
}

func (s *pushToy) push(c net.Conn, session *Session, writing *sync.Mutex, woken, over <-chan struct{}) {
	for {
		select {
		case <-woken:
		case <-over:
			return
		}
		for more, closing := true, false; more; {
			writing.Lock()
			var out []byte
			out, more, closing = session.Pushed(nil)
			_, err := c.Write(out)
			writing.Unlock()
			if err != nil || closing {
				c.Close()
				return
			}
		}
	}
}

// startPushToy starts it in this process and returns its address and its control channel.
func startPushToy(t *testing.T, args ...string) (string, *channel) {
	in, requests := io.Pipe()
	replies, out := io.Pipe()
	c := &channel{t, requests, json.NewDecoder(replies), make(chan error, 1)}
	m := &Model{
		Name: "toy", Doc: "a toy", Protocols: []string{scenarios.Push, scenarios.WS}, Missing: map[string]string{"frame": "toy", "http1": "toy"},
		Flags: func(*flag.FlagSet) {},
		Start: func(env *Env) (Server, error) {
			l, err := env.Listener(t.Context())
			s := &pushToy{env: env, listener: l}
			s.all.Go(s.accept)
			return s, err
		},
	}
	go func() { c.done <- m.run(append([]string{"serve"}, args...), in, out) }()
	t.Cleanup(func() {
		requests.Close()
		if err := <-c.done; err != nil {
			t.Error(err)
		}
	})
	var r ready
	if err := c.lines.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r.Addr, c
}

// subscriber is a client of protocol push.
type subscriber struct {
	net.Conn
	in    *bufio.Reader
	state wire.PushState
	last  uint64
}

func dialPush(t *testing.T, addr string) *subscriber {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write(wire.AppendSubscribe(nil, "")); err != nil {
		t.Fatal(err)
	}
	return &subscriber{Conn: c, in: bufio.NewReaderSize(c, 64<<10)}
}

// next reads one frame.
func (s *subscriber) next() error {
	for {
		if _, err := s.in.Peek(1); err != nil {
			return err
		}
		data, _ := s.in.Peek(s.in.Buffered())
		n, done, err := s.state.Feed(data, nil)
		s.in.Discard(n)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	if !s.state.Matches() || s.state.Sequence() <= s.last {
		return fmt.Errorf("frame %d behind %d, payload as wanted: %v", s.state.Sequence(), s.last, s.state.Matches())
	}
	s.last = s.state.Sequence()
	return nil
}

func TestPushOverSockets(t *testing.T) {
	addr, control := startPushToy(t, "--protocol", "push", "--push-rate", "500/s", "--payload", "256")
	a, b := dialPush(t, addr), dialPush(t, addr)
	for range 50 {
		for _, s := range []*subscriber{a, b} {
			if err := s.next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := control.ask(`{"cmd":"readings","id":1}`)
	if r["subscribers"] != 2.0 || r["delivered"].(float64) < 100 || r["pushed"].(float64) < 50 || r["dropped"] != 0.0 || r["disconnected"] != 0.0 {
		t.Errorf("readings %v", r)
	}
}

// TestSlowSubscriber has one that does not read, under each overflow, beside one that does.
func TestSlowSubscriber(t *testing.T) {
	for _, overflow := range scenarios.Overflows {
		t.Run(overflow, func(t *testing.T) {
			addr, control := startPushToy(t, "--protocol", "push", "--push-rate", "300/s", "--payload", "65536", "--push-queue", "256", "--push-overflow", overflow)
			slow, quick := dialPush(t, addr), dialPush(t, addr)
			reading := make(chan error, 1)
			go func() {
				for {
					if err := quick.next(); err != nil {
						reading <- err
						return
					}
				}
			}()
			ask := func() (dropped, disconnected, pushed float64) {
				r := control.ask(`{"cmd":"readings","id":1}`)
				return r["dropped"].(float64), r["disconnected"].(float64), r["pushed"].(float64)
			}
			begin, last, since := time.Now(), 0.0, time.Now()
			for stalled := false; !stalled; {
				if time.Since(begin) > 20*time.Second {
					t.Fatalf("no overflow with %v frames made", last)
				}
				dropped, disconnected, pushed := ask()
				if pushed != last {
					last, since = pushed, time.Now()
				}
				switch overflow {
				case "drop-oldest":
					stalled = dropped > 10
				case "disconnect":
					stalled = disconnected > 0
				default:
					stalled = time.Since(since) > 50*time.Millisecond
				}
			}
			gaps := uint64(0)
			for slow.last < uint64(last)+3 {
				before := slow.last
				if err := slow.next(); overflow == "disconnect" && err != nil {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if before > 0 {
					gaps += slow.last - before - 1
				}
			}
			if dropped, disconnected, _ := ask(); (gaps > 0) != (overflow == "drop-oldest") || dropped > 0 && overflow != "drop-oldest" || (disconnected > 0) != (overflow == "disconnect") {
				t.Errorf("%d frames missing, dropped %v, disconnected %v", gaps, dropped, disconnected)
			}
			select {
			case err := <-reading:
				t.Errorf("the one that reads: %v", err)
			default:
			}
		})
	}
}

func TestPushFlags(t *testing.T) {
	m := Model{Name: "toy", Protocols: scenarios.Protocols}
	check := func(want string, args ...string) {
		t.Helper()
		_, _, err := m.parse(args)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	check("want protocol push or ws", "--push-rate", "10/s")
	check("want more than 0", "--protocol", "push", "--push-rate", "0")
	check("rate", "--protocol", "ws", "--push-rate", "often")
	check("at most 1000000 frames", "--protocol", "ws", "--push-rate", "2M")
	check("want 1 to 65536", "--protocol", "push", "--push-queue", "0")
	check("want one of drop-oldest, block, disconnect", "--protocol", "push", "--push-overflow", "panic")
	check("want at most 1048560", "--protocol", "push", "--payload", "1048561")
	check("bytes together", "--protocol", "push", "--payload", "1048560", "--push-queue", "1025")
	for _, args := range [][]string{{"--protocol", "push"}, {"--protocol", "ws", "--push-rate", "1/s"}, {"--protocol", "ws"}, {}, {"--protocol", "ws", "--push-rate", "0"}} {
		env, _, err := m.parse(args)
		if err != nil || env.Pushes() != (len(args) == 2 && args[1] == "push" || len(args) == 4 && args[3] == "1/s") {
			t.Errorf("%q: %v, pushes %v", args, err, err == nil && env.Pushes())
		}
	}
}

func TestPushSession(t *testing.T) {
	m := Model{Name: "toy", Protocols: scenarios.Protocols}
	env, _, err := m.parse([]string{"--protocol", "push", "--push-rate", "0.001"})
	if err != nil {
		t.Fatal(err)
	}
	defer env.hub.Stop()
	check := func(in string, subscribers int64, closes bool) {
		t.Helper()
		s := env.NewSession()
		s.Notify(func() {})
		out, closing := serveAll(&s, in, everyByte(len(in))...)
		if out != "" || closing != closes || env.hub.Counts().Subscribers != subscribers {
			t.Errorf("%q: wrote %q, closing %v, %d subscribers; want nothing, %v, %d", in, out, closing, env.hub.Counts().Subscribers, closes, subscribers)
		}
		s.End()
		if n := env.hub.Counts().Subscribers; n != 0 {
			t.Errorf("%q: %d subscribers after the end", in, n)
		}
	}
	frame := func(body string) string { return string(wire.AppendFrame(nil, 7, []byte(body))) }
	check(frame("subscribe")+frame(""), 1, false)
	check(frame("")+frame("subscribe news"), 1, false)
	check(frame("subscribe")+frame("subscribe"), 1, false)
	check(frame("hello"), 0, true)
	check(frame("subscribe "), 0, true)
	check("\x00\x00\x00\x01", 0, true)
	if n := env.Counters.Handled.Load(); n != 0 {
		t.Errorf("%d requests counted", n)
	}
}

// message is one as a client sends it.
func message(op ws.OpCode, fin bool, payload string) string {
	var b bytes.Buffer
	ws.MustWriteFrame(&b, ws.MaskFrameWith(ws.NewFrame(op, fin, []byte(payload)), [4]byte{1, 2, 3, 4}))
	return b.String()
}

// answer is one as a server sends it.
func answer(op ws.OpCode, payload string) string {
	var b bytes.Buffer
	ws.MustWriteFrame(&b, ws.NewFrame(op, true, []byte(payload)))
	return b.String()
}

const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

func withID(id uint64, body string) string {
	return string(binary.BigEndian.AppendUint64(nil, id)) + body
}

func TestServeWebSocket(t *testing.T) {
	m := Model{Name: "toy", Protocols: scenarios.Protocols}
	check := func(in, want string, handled, bytes int64, closes bool) {
		t.Helper()
		for _, ends := range [][]int{{len(in)}, everyByte(len(in))} {
			env, _, err := m.parse([]string{"--protocol", "ws", "--work", "sleep=1us"})
			if err != nil {
				t.Fatal(err)
			}
			s := env.NewSession()
			head, closing := serveAll(&s, upgrade, everyByte(len(upgrade))...)
			if !strings.HasPrefix(head, "HTTP/1.1 101 ") || closing {
				t.Fatalf("handshake answered with %q, closing %v", head, closing)
			}
			got, closing := serveAll(&s, in, ends...)
			c := &env.Counters
			if got != want || closing != closes || c.Handled.Load() != handled || c.BodyBytesIn.Load() != bytes || c.BodyBytesOut.Load() != bytes {
				t.Errorf("%q in %d pieces: wrote %q, closing %v, handled %d, %d bytes; want %q, %v, %d, %d", in, len(ends), got, closing,
					c.Handled.Load(), c.BodyBytesIn.Load(), want, closes, handled, bytes)
			}
		}
	}
	one, two := withID(1, "one"), withID(wire.FrameWork|2, strings.Repeat("x", 200))
	check(message(ws.OpBinary, true, one)+message(ws.OpBinary, true, two)+message(ws.OpText, true, "text"),
		answer(ws.OpBinary, one)+answer(ws.OpBinary, two)+answer(ws.OpText, "text"), 3, 207, false)
	// The fragments of a message that does work are parsed again once the replies before it are written.
	check(message(ws.OpBinary, true, one)+message(ws.OpBinary, false, two[:9])+message(ws.OpPing, true, "p")+message(ws.OpContinuation, true, two[9:])+
		message(ws.OpBinary, true, one), answer(ws.OpBinary, one)+answer(ws.OpPong, "p")+answer(ws.OpBinary, two)+answer(ws.OpBinary, one), 3, 206, false)
	check(message(ws.OpBinary, true, "short"), answer(ws.OpBinary, "short"), 1, 5, false)
	check(message(ws.OpPong, true, "")+message(ws.OpClose, true, "\x03\xe8")+message(ws.OpText, true, "late"), answer(ws.OpClose, "\x03\xe8"), 0, 0, true)
	check("\x81\x01x", answer(ws.OpClose, "\x03\xea"), 0, 0, true)

	env, _, err := m.parse([]string{"--protocol", "ws"})
	if err != nil {
		t.Fatal(err)
	}
	s := env.NewSession()
	if out, closing := serveAll(&s, get, len(get)); !strings.HasPrefix(out, "HTTP/1.1 400 ") || !closing {
		t.Errorf("a request that is no handshake: %q, closing %v", out, closing)
	}
}

func TestWebSocketJobsAnswerLikeServe(t *testing.T) {
	m := Model{Name: "toy", Protocols: scenarios.Protocols}
	in := []byte(upgrade + message(ws.OpBinary, true, withID(1, "one")) + message(ws.OpText, false, "te") + message(ws.OpPing, true, "p") +
		message(ws.OpContinuation, true, "xt") + message(ws.OpBinary, true, withID(2, "two")) + message(ws.OpClose, true, ""))
	serve := func(f func(*Env, *Session) []byte) string {
		env, _, err := m.parse([]string{"--protocol", "ws"})
		if err != nil {
			t.Fatal(err)
		}
		s := env.NewSession()
		out := f(env, &s)
		if n := env.Counters.Handled.Load(); n != 3 {
			t.Errorf("%d messages counted, want 3", n)
		}
		return string(out)
	}
	want := serve(func(_ *Env, s *Session) []byte {
		out, _ := serveAll(s, string(in), len(in))
		return []byte(out)
	})
	got := serve(func(env *Env, s *Session) []byte {
		data := bytes.Clone(in)
		var b Batch
		for taken := 0; ; {
			n := b.Fill(s, data[taken:], 64)
			if n == 0 {
				break
			}
			taken += n
		}
		clear(data)
		return b.Answer(env, nil, func(out []byte) []byte { t.Error("flushed"); return out })
	})
	if got != want {
		t.Errorf("jobs answer %q, Serve %q", got, want)
	}
}

func TestWebSocketSubscribes(t *testing.T) {
	m := Model{Name: "toy", Protocols: scenarios.Protocols}
	env, _, err := m.parse([]string{"--protocol", "ws", "--push-rate", "0.001"})
	if err != nil {
		t.Fatal(err)
	}
	defer env.hub.Stop()
	s := env.NewSession()
	woken := make(chan struct{}, 2)
	s.Notify(func() { woken <- struct{}{} })
	serveAll(&s, upgrade, len(upgrade))
	in := message(ws.OpBinary, true, withID(9, "")) + message(ws.OpBinary, true, withID(9, "echo")) + message(ws.OpBinary, true, withID(9, "subscribe"))
	if out, _ := serveAll(&s, in, len(in)); out != answer(ws.OpBinary, withID(9, "echo")) {
		t.Errorf("wrote %q: want the echo alone", out)
	}
	<-woken
	out, more, closing := s.Pushed(nil)
	f, err := ws.ReadFrame(bytes.NewReader(out))
	if err != nil || f.Header.OpCode != ws.OpBinary || f.Header.Masked || !f.Header.Fin || more || closing {
		t.Fatalf("pushed %q, %v, more %v, closing %v", out, err, more, closing)
	}
	if n := len(f.Payload); n != 8+8+13 || binary.BigEndian.Uint64(f.Payload) != 1 || string(f.Payload[16:]) != "Hello, World!" {
		t.Errorf("pushed %q", f.Payload)
	}
	if n := env.Counters.BodyBytesOut.Load(); n != 4+8+13 {
		t.Errorf("%d bytes counted, want 25", n)
	}
	closes := message(ws.OpClose, true, "")
	if _, closing := serveAll(&s, closes, len(closes)); !closing || env.hub.Counts().Subscribers != 0 {
		t.Errorf("after a close: closing %v, %d subscribers", closing, env.hub.Counts().Subscribers)
	}
}

func TestWebSocketDoesNotAllocate(t *testing.T) {
	m := Model{Name: "toy", Protocols: scenarios.Protocols}
	env, _, err := m.parse([]string{"--protocol", "ws"})
	if err != nil {
		t.Fatal(err)
	}
	s := env.NewSession()
	serveAll(&s, upgrade, len(upgrade))
	in, out := []byte(message(ws.OpBinary, true, withID(1, strings.Repeat("x", 100)))), make([]byte, 0, 1<<10)
	if n := testing.AllocsPerRun(100, func() {
		n := 0
		if n, out, _ = s.Serve(in, out[:0]); n != len(in) {
			t.Fatal(n)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
