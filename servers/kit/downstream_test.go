package kit_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/internal/wire"
)

// ask sends a line to the control channel and returns the reply.
func (p *program) ask(line string) (reply struct {
	OK    bool
	Error string
}) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(p.line(), &reply); err != nil {
		p.t.Fatal(err)
	}
	return reply
}

func monotonic(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano()
}

// frameTrip sends one frame and returns its reply.
func frameTrip(c net.Conn, id uint64, body string) (uint64, string, error) {
	if _, err := c.Write(wire.AppendFrame(nil, id, []byte(body))); err != nil {
		return 0, "", err
	}
	var in []byte
	buf := make([]byte, 4096)
	for {
		got, reply, n, err := wire.ParseFrame(in)
		if n > 0 || err != nil {
			return got, string(reply), err
		}
		k, err := c.Read(buf)
		if err != nil {
			return 0, "", err
		}
		in = append(in, buf[:k]...)
	}
}

// callers are models of each kind that speak frames: a goroutine each, a pool, an event loop, a loop with a pool, netpoll's.
var callers = map[string][]string{
	"goroutine": nil, "workers": nil, "gnet": nil, "gnet/ants": {"--pool=ants"}, "netpoll": nil,
}

// Equal numbers of requests reach the downstream whatever the model: each request that asks for the work takes one call, and
// no other does.
func TestEqualNumbersReachTheDownstream(t *testing.T) {
	for name, flags := range callers {
		model, _, _ := strings.Cut(name, "/")
		if testing.Short() && model != "goroutine" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startProgram(t, "downstream", "--latency", "lognormal=1ms,0.5")
			p := startProgram(t, model, append([]string{"--protocol", "frame", "--work", "downstream=tcp://" + d.addr}, flags...)...)
			const clients, each, every = 8, 60, 4 // every fourth with work
			ends := make(chan error, clients)
			for range clients {
				go func() {
					c, err := net.Dial("tcp", p.addr)
					for i := uint64(0); i < each && err == nil; i++ {
						id, body := i, ""
						if i%every == 0 {
							id |= wire.FrameWork
						}
						if id, body, err = frameTrip(c, id, "hello"); err == nil && (id&^wire.FrameWork != i || body != "hello") {
							err = fmt.Errorf("request %d was answered with %x %q", i, id, body)
						}
					}
					if err == nil {
						err = c.Close()
					}
					ends <- err
				}()
			}
			for range clients {
				if err := <-ends; err != nil {
					t.Error(err)
				}
			}
			r, s := p.readings(), d.readings()
			const want = clients * each / every
			if r["handled"] != clients*each || r["downstream_calls"] != want || r["downstream_answered"] != want || r["downstream_failed"] != 0 {
				t.Errorf("the server: %v", r)
			}
			if s["received"] != want || s["answered"] != want || s["in_flight"] != 0 || s["cpu_ns"] <= 0 {
				t.Errorf("the downstream: %v, want %d requests", s, want)
			}
		})
	}
}

// A downstream that is gone fails the requests that need it and no others, and hangs nobody.
func TestDownstreamThatIsGone(t *testing.T) {
	for _, model := range []string{"goroutine", "nethttp", "fasthttp"} {
		if testing.Short() && model != "goroutine" {
			continue
		}
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			d := startProgram(t, "downstream")
			p := startProgram(t, model, "--protocol", "http1", "--work", "downstream=tcp://"+d.addr)
			c := p.dial()
			work := wire.AppendRequest(nil, "GET", "test", "/work", nil, nil, false)
			if s, err := roundTrip(c, work); err != nil || s.Status() != 200 {
				t.Fatal(s.Status(), err)
			}
			d.stdin.Close()
			d.exits()
			for _, step := range []struct {
				request []byte
				status  int
			}{{work, 502}, {getRequest, 200}, {work, 502}} {
				if s, err := roundTrip(c, step.request); err != nil || s.Status() != step.status {
					t.Errorf("status %d, %v, want %d", s.Status(), err, step.status)
				}
			}
			if r := p.readings(); r["downstream_calls"] != 3 || r["downstream_failed"] != 2 || r["handled"] != 4 {
				t.Errorf("readings %v", r)
			}
		})
	}
	d := startProgram(t, "downstream")
	p := startProgram(t, "goroutine", "--protocol", "frame", "--work", "downstream=tcp://"+d.addr)
	d.stdin.Close()
	d.exits()
	if id, body, err := frameTrip(p.dial(), wire.FrameWork|7, "hello"); id != wire.FrameWork|7 || body != "" || err != nil {
		t.Errorf("a frame whose work fails: %x %q %v", id, body, err)
	}
}

func TestUploads(t *testing.T) {
	d := startProgram(t, "downstream", "--protocol", "http", "--latency", "constant=1ms")
	for _, model := range []string{"goroutine", "nethttp", "fasthttp"} {
		p := startProgram(t, model, "--protocol", "http1", "--work", "upload=http://"+d.addr+"/bucket")
		before := d.readings()["received"]
		c := p.dial()
		post := wire.AppendRequest(nil, "POST", "test", "/work", nil, []byte(`{"n":1}`), false)
		for range 3 {
			if s, err := roundTrip(c, post); err != nil || s.Status() != 200 {
				t.Fatal(s.Status(), err)
			}
		}
		if n := d.readings()["received"] - before; n != 3 || p.readings()["body_bytes_in"] != 21 {
			t.Errorf("%s: %d uploads, %v", model, n, p.readings())
		}
		p.stdin.Close()
		p.exits()
	}
	body := bytes.Repeat([]byte("object "), 20000)
	r, err := http.NewRequest("PUT", "http://"+d.addr+"/bucket/key", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	sum := md5.Sum(body)
	if want := `"` + hex.EncodeToString(sum[:]) + `"`; reply.StatusCode != 200 || reply.Header.Get("ETag") != want {
		t.Errorf("status %d, ETag %s, want %s", reply.StatusCode, reply.Header.Get("ETag"), want)
	}
}

// Frames are answered when each is due, not in the order of arrival.
func TestDownstreamAnswersInAnyOrder(t *testing.T) {
	d := startProgram(t, "downstream", "--latency", "trace=40ms,20ms,1ms")
	c := d.dial()
	var all []byte
	for id := range uint64(3) {
		all = wire.AppendFrame(all, id, []byte("body"))
	}
	if _, err := c.Write(all); err != nil {
		t.Fatal(err)
	}
	replies := make([]byte, len(all))
	if _, err := io.ReadFull(c, replies); err != nil {
		t.Fatal(err)
	}
	for want := uint64(2); len(replies) > 0; want-- {
		id, body, n, err := wire.ParseFrame(replies)
		if err != nil || id != want || string(body) != "body" {
			t.Fatalf("frame %d %q, %v, want %d", id, body, err, want)
		}
		replies = replies[n:]
	}
}

func TestDownstreamWindows(t *testing.T) {
	d := startProgram(t, "downstream", "--latency", "constant=0s", "--window", "0s,300ms,stall", "--window", "1h,2h,refuse")
	c := d.dial()
	if _, _, err := frameTrip(c, 1, ""); err != nil {
		t.Fatal(err)
	}
	if r := d.ask(`{"cmd":"start","id":1,"t0_ns":0}`); !strings.Contains(r.Error, "t0_ns 0") {
		t.Errorf("a start without a time: %+v", r)
	}
	t0 := monotonic(t)
	if r := d.ask(fmt.Sprintf(`{"cmd":"start","id":1,"t0_ns":%d}`, t0)); !r.OK {
		t.Fatal(r.Error)
	}
	if _, _, err := frameTrip(c, 2, ""); err != nil {
		t.Fatal(err)
	}
	if at := time.Duration(monotonic(t) - t0); at < 300*time.Millisecond {
		t.Errorf("answered %v after T0, in the stall", at)
	}
	if r := d.ask(`{"cmd":"start","id":2,"t0_ns":5}`); !strings.Contains(r.Error, "want one start") {
		t.Errorf("a second start: %+v", r)
	}

	d = startProgram(t, "downstream", "--latency", "constant=1m", "--window", "1h,2h,refuse", "--window", "2h,3h,constant=1ms")
	c = d.dial()
	if _, err := c.Write(wire.AppendFrame(nil, 1, nil)); err != nil {
		t.Fatal(err)
	}
	for d.readings()["received"] == 0 {
	}
	if r := d.ask(fmt.Sprintf(`{"cmd":"start","id":1,"t0_ns":%d}`, monotonic(t)-int64(2*time.Hour-200*time.Millisecond))); !r.OK {
		t.Fatal(r.Error)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an open connection in a window that refuses: %v", err)
	}
	if c, err := net.Dial("tcp", d.addr); !errors.Is(err, syscall.ECONNREFUSED) {
		if err == nil {
			c.Close()
		}
		t.Errorf("a new connection in a window that refuses: %v", err)
	}
	for { // until the window ends
		again, err := net.Dial("tcp", d.addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if _, _, err := frameTrip(again, 3, ""); err != nil {
			t.Error(err)
		}
		break
	}
	if r := d.readings(); r["received"] != 2 || r["answered"] != 1 || r["refused_requests"] != 1 || r["resets"] != 1 || r["in_flight"] != 0 {
		t.Errorf("readings %v", r)
	}
	d.stdin.Close()
	d.exits()
}
