package reactor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

// wsServer is a WebSocket server of another make. serve has each connection for its own.
type wsServer struct {
	url      string
	accepted atomic.Int64
	worked   atomic.Int64 // messages that asked for work
}

func startWS(t *testing.T, serve func(ctx context.Context, s *wsServer, c *websocket.Conn) error) *wsServer {
	t.Helper()
	s := &wsServer{}
	var wg sync.WaitGroup
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		c.SetReadLimit(-1)
		s.accepted.Add(1)
		_ = serve(r.Context(), s, c)
		_ = c.CloseNow()
	}))
	t.Cleanup(func() {
		h.Close()
		wg.Wait()
	})
	s.url = strings.Replace(h.URL, "http://", "ws://", 1) + "/"
	return s
}

// echo answers each message with itself, in fragments of so many bytes if that is not zero.
func echo(fragment int) func(context.Context, *wsServer, *websocket.Conn) error {
	return func(ctx context.Context, s *wsServer, c *websocket.Conn) error {
		for {
			kind, b, err := c.Read(ctx)
			if err != nil {
				return err
			}
			if b[0]&0x80 != 0 {
				s.worked.Add(1)
			}
			if fragment == 0 {
				if err := c.Write(ctx, kind, b); err != nil {
					return err
				}
				continue
			}
			w, err := c.Writer(ctx, kind)
			if err != nil {
				return err
			}
			for len(b) > 0 {
				n := min(fragment, len(b))
				if _, err := w.Write(b[:n]); err != nil {
					return err
				}
				b = b[n:]
			}
			if err := w.Close(); err != nil {
				return err
			}
		}
	}
}

func wsPlan(url string, change func(*clients.Plan, *scenarios.Scenario)) *clients.Plan {
	return plan(url, func(p *clients.Plan, s *scenarios.Scenario) {
		s.Protocol, p.CheckBody = scenarios.WS, nil
		s.Phases = []scenarios.Phase{steady(300, 500), drain(500)}
		if change != nil {
			change(p, s)
		}
	})
}

func allGood(t *testing.T, what string, r *clients.Report) {
	t.Helper()
	if r.Outcomes["ok"] != r.Planned || r.Planned == 0 || r.ConnectionsLost != 0 {
		t.Errorf("%s: of %d planned %v, %d connections lost", what, r.Planned, r.Outcomes, r.ConnectionsLost)
	}
}

func TestWSPayloads(t *testing.T) {
	for _, payload := range []int{1, 117, 118, 4096, 65527, 65528, 300_000} {
		srv := startWS(t, echo(0))
		r := run(t, wsPlan(srv.url, func(_ *clients.Plan, s *scenarios.Scenario) {
			s.Payload, s.Connections.Pipeline = payload, 4
			s.Phases[0].Arrivals.Constant = 100
			s.Work = scenarios.Work{Kind: "sleep=1ms", Share: 40}
		}))
		allGood(t, "payload", r)
		if r.BodyBytesIn != r.Planned*int64(payload) || r.BodyBytesOut != r.BodyBytesIn {
			t.Errorf("payload %d: %d bytes out, %d in", payload, r.BodyBytesOut, r.BodyBytesIn)
		}
		if r.Work == nil || r.Bystander == nil || srv.worked.Load() != r.Work.Planned || r.Work.Planned+r.Bystander.Planned != r.Planned || r.Work.OK != r.Work.Planned {
			t.Errorf("payload %d: %+v, %+v, the server saw %d ask for work", payload, r.Work, r.Bystander, srv.worked.Load())
		}
	}
}

func TestWSInFragments(t *testing.T) {
	for _, body := range []string{"", `{"id":{n},"again":{n}}`} {
		srv := startWS(t, echo(3))
		r := run(t, wsPlan(srv.url+"path", func(p *clients.Plan, s *scenarios.Scenario) {
			s.Payload = 50
			if s.Connections.Pipeline = 4; body != "" {
				p.Body = []byte(body)
			}
		}))
		allGood(t, "in fragments "+body, r)
	}
}

func TestWSWrongBody(t *testing.T) {
	srv := startWS(t, func(ctx context.Context, _ *wsServer, c *websocket.Conn) error {
		for {
			kind, b, err := c.Read(ctx)
			if err != nil {
				return err
			}
			b[len(b)-1] ^= 1
			if err := c.Write(ctx, kind, b); err != nil {
				return err
			}
		}
	})
	if r := run(t, wsPlan(srv.url, nil)); r.Outcomes["bad_payload"] != r.Planned {
		t.Errorf("of %d planned %v", r.Planned, r.Outcomes)
	}
}

// A server's ping returns once its pong has come, which needs another goroutine to read.
func TestWSPingsAreAnswered(t *testing.T) {
	var pings atomic.Int64
	srv := startWS(t, func(ctx context.Context, s *wsServer, c *websocket.Conn) error {
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(ctx)
		wg.Go(func() {
			for c.Ping(ctx) == nil {
				pings.Add(1)
				select {
				case <-time.After(5 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
		err := echo(0)(ctx, s, c)
		cancel()
		wg.Wait()
		return err
	})
	r := run(t, wsPlan(srv.url, nil))
	allGood(t, "with pings", r)
	if pings.Load() < 10 {
		t.Errorf("%d pings were answered", pings.Load())
	}
}

func TestWSServerCloses(t *testing.T) {
	srv := startWS(t, func(ctx context.Context, s *wsServer, c *websocket.Conn) error {
		for range 5 {
			kind, b, err := c.Read(ctx)
			if err != nil {
				return err
			}
			if err := c.Write(ctx, kind, b); err != nil {
				return err
			}
		}
		return c.Close(websocket.StatusGoingAway, "enough")
	})
	r := run(t, wsPlan(srv.url, nil))
	if r.ConnectionsLost < 10 || r.ConnectionsReopened < 5 || r.Outcomes["ok"]+r.Outcomes["eof"]+r.Outcomes["reset"]+r.Outcomes["unsent"] != r.Planned || r.Outcomes["ok"] < r.Planned/2 {
		t.Errorf("%d lost, %d reopened, of %d planned %v", r.ConnectionsLost, r.ConnectionsReopened, r.Planned, r.Outcomes)
	}
}

func TestWSClientClosesInOrder(t *testing.T) {
	var normal, other atomic.Int64
	count := func(ctx context.Context, s *wsServer, c *websocket.Conn) error {
		err := echo(0)(ctx, s, c)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			normal.Add(1)
		} else {
			other.Add(1)
		}
		return err
	}
	srv := startWS(t, count)
	r := run(t, wsPlan(srv.url, func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections = scenarios.Connections{Count: 10, Requests: 3, Close: "fin-client"}
	}))
	allGood(t, "three requests a connection", r)
	if n := normal.Load(); n < r.Planned/3-10 || other.Load() > 10 || r.ConnectionsOpened != srv.accepted.Load() {
		t.Errorf("%d connections were closed in order, %d otherwise, of %d opened and %d accepted", n, other.Load(), r.ConnectionsOpened, srv.accepted.Load())
	}
	normal.Store(0)
	srv = startWS(t, count)
	r = run(t, wsPlan(srv.url, func(_ *clients.Plan, s *scenarios.Scenario) { s.Connections.Renew = 50; s.Connections.Count = 40 }))
	allGood(t, "renewed", r)
	if n := r.ConnectionsRenewed; n < 5 || normal.Load() < n || srv.accepted.Load() != r.ConnectionsOpened || r.ConnectionsOpened != 40+n {
		t.Errorf("%d renewed, %d opened, %d accepted, %d closed in order", n, r.ConnectionsOpened, srv.accepted.Load(), normal.Load())
	}
}

func TestWSUpgradeRefused(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer plain.Close()
	wrong := serveRaw(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	})
	for url, want := range map[string]error{
		strings.Replace(plain.URL, "http", "ws", 1) + "/": wire.ErrUpgradeStatus,
		"ws://" + wrong + "/":                             wire.ErrUpgradeAccept,
	} {
		e, err := New(wsPlan(url, nil))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := e.Run(t.Context(), procfs.Monotonic()); r != nil || !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
	}
}

// serveRaw serves connections one after the other until the end of the test.
func serveRaw(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			serve(c)
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// The reply to an upgrade and what follows it, a byte at a time and with a ping in pieces, is understood.
func TestWSByteByByte(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn) {
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		_, key, _ := strings.Cut(string(buf[:n]), "Sec-WebSocket-Key: ")
		key, _, _ = strings.Cut(key, "\r\n")
		out := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wire.UpgradeAccept(key) + "\r\n\r\n")
		out = append(out, 0x89, 3, 'a', 'b', 'c')
		for i := range out {
			if _, err := c.Write(out[i : i+1]); err != nil {
				return
			}
		}
		pong := make([]byte, 9)
		if _, err := io.ReadFull(c, pong); err != nil || pong[0] != 0x8a || pong[1] != 0x83 {
			return
		}
		head := make([]byte, 6)
		for {
			if _, err := io.ReadFull(c, head); err != nil || head[0] != 0x82 {
				return
			}
			body := make([]byte, head[1]&0x7f)
			if _, err := io.ReadFull(c, body); err != nil {
				return
			}
			for i := range body {
				body[i] ^= head[2+i%4]
			}
			for _, b := range append([]byte{0x82, byte(len(body))}, body...) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		}
	})
	r := run(t, wsPlan("ws://"+addr+"/", func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = 1
		s.Phases[0].Arrivals.Constant = 50
	}))
	allGood(t, "byte by byte", r)
}
