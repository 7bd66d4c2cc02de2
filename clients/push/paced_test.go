package push

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

func TestAShareIsSlow(t *testing.T) {
	for _, c := range []struct {
		share scenarios.Percent
		of    int
		want  int
	}{{0, 1000, 0}, {10, 1000, 100}, {33, 100, 33}, {0.1, 2000, 2}, {100, 7, 7}} {
		got, longest, last := 0, 0, -1
		for n := range c.of {
			if isSlow(n, c.share) {
				got++
				longest, last = max(longest, n-last), n
			}
		}
		if got != c.want || got > 0 && longest > c.of/c.want+1 {
			t.Errorf("%v of %d: %d, want %d; at most %d apart", c.share, c.of, got, c.want, longest)
		}
	}
}

// Slow subscribers take their rate and no more, the others all, and heartbeats come at their pace.
func TestSlowSubscribersAreKeptApart(t *testing.T) {
	srv := start(t, reflect.PushScript{Rate: 1000, Payload: 1000})
	p := plan(srv.URL(), 20, time.Second)
	p.Scenario.Payload = 1000
	p.Scenario.Push = scenarios.PushLoad{Rate: 1000, Slow: 25, SlowRate: 20, Heartbeat: scenarios.Duration(100 * time.Millisecond)}
	r := run(t, p)
	fast, slow := r.Push, r.Push.Slow
	if slow == nil || slow.Subscribers != 5 || fast.Subscribers != 20 || slow.Received > 5*25 || slow.Received < 5*10 {
		t.Errorf("slow %+v of %d subscribers", slow, fast.Subscribers)
	}
	if got := fast.Received - fast.Before; got < 15*900 || got > 15*1005 || fast.Missing != 0 {
		t.Errorf("the others received %d, %d missing", got, fast.Missing)
	}
	if n := fast.Heartbeats; n < 180 || n > 201 || srv.Beats.Load() < n-20 || srv.Beats.Load() > n {
		t.Errorf("%d heartbeats, %d came", n, srv.Beats.Load())
	}
	for _, name := range []string{"push identity", "push sequence", "push subscribers"} {
		if c := find(t, r, name); c.State != validity.OK {
			t.Errorf("%+v", c)
		}
	}
}

// What a declared overflow drops is a doubt beyond its limit, and not the end of the figures.
func TestDeclaredDropsAreNoFault(t *testing.T) {
	for every, want := range map[int]validity.State{200: validity.OK, 10: validity.Warn} {
		srv := start(t, reflect.PushScript{Rate: 1000, Fault: reflect.PushGap, Every: every})
		p := plan(srv.URL(), 5, 500*time.Millisecond)
		p.MayDrop = true
		r := run(t, p)
		if c := find(t, r, "push sequence"); c.State != want || r.Push.Missing == 0 {
			t.Errorf("every %d missing: %+v", every, c)
		}
		p.MayDrop = false
		if c := find(t, run(t, p), "push sequence"); c.State != validity.Fail {
			t.Errorf("every %d missing though nothing is to be dropped: %+v", every, c)
		}
	}
}

// wsPusher pushes over WebSocket, by another make's server: a frame each millisecond to whoever has subscribed, pings in between.
func wsPusher(t *testing.T, payload, fragment int) (url string) {
	t.Helper()
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		kind, b, err := c.Read(ctx)
		if _, ok := wire.ParseSubscribe(b[min(8, len(b)):]); err != nil || !ok || kind != websocket.MessageBinary {
			_ = c.Close(websocket.StatusPolicyViolation, "no subscription")
			return
		}
		reading := c.CloseRead(ctx)
		for n := uint64(1); reading.Err() == nil; n++ {
			b := wire.AppendPush(nil, n, procfs.Monotonic(), wire.Payload(payload))[wire.FrameHead-8:]
			w, err := c.Writer(reading, websocket.MessageBinary)
			for err == nil && len(b) > 0 {
				k := min(fragment, len(b))
				_, err = w.Write(b[:k])
				b = b[k:]
			}
			if err == nil {
				err = w.Close()
			}
			if n%50 == 0 && err == nil {
				err = c.Ping(reading)
			}
			if err != nil {
				return
			}
			select {
			case <-time.After(time.Millisecond):
			case <-reading.Done():
			}
		}
	}))
	t.Cleanup(func() {
		cancel()
		h.Close()
		wg.Wait()
	})
	return strings.Replace(h.URL, "http://", "ws://", 1) + "/"
}

func wsPlan(url string, payload int) *clients.Plan {
	p := plan(url, 10, 500*time.Millisecond)
	p.Scenario.Protocol, p.Scenario.Payload = scenarios.WS, payload
	p.Scenario.Push = scenarios.PushLoad{Rate: 1000, Heartbeat: scenarios.Duration(50 * time.Millisecond)}
	return p
}

func TestPushOverWebSocket(t *testing.T) {
	for payload, fragment := range map[int]int{13: 1000, 100: 20, 4000: 4016} {
		r := run(t, wsPlan(wsPusher(t, payload, fragment), payload))
		p := r.Push
		if got := p.Received - p.Before; got < 500 || p.Missing+p.Bad+p.Duplicated != 0 || p.Subscribers != 10 || len(p.Lost) != 0 || p.Heartbeats < 80 {
			t.Errorf("payload %d in pieces of %d: %+v", payload, fragment, p)
		}
		if p.DeliveryNs == nil || p.DeliveryNs.Count == 0 || *p.DeliveryNs.P50 > int64(100*time.Millisecond) {
			t.Errorf("delivery %+v", p.DeliveryNs)
		}
	}
	p := wsPlan(wsPusher(t, 200, 10_000), 200)
	p.Scenario.Push.Slow, p.Scenario.Push.SlowRate = 20, 20
	if s := run(t, p).Push.Slow; s == nil || s.Subscribers != 2 || s.Received < 5 || s.Received > 2*15 || s.Bad != 0 {
		t.Errorf("slow over WebSocket: %+v", s)
	}
}

func TestRenewalOfSubscribersIsRefused(t *testing.T) {
	p := plan("push://127.0.0.1:1", 10, time.Second)
	p.Scenario.Connections.Renew = 1
	if _, err := New(p); err == nil || !strings.Contains(err.Error(), "connections.renew") {
		t.Errorf("%v", err)
	}
}
