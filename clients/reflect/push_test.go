package reflect

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
)

func push(t *testing.T, s PushScript) *Pusher {
	t.Helper()
	p, err := StartPush(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// subscribed dials a pusher and subscribes to a channel.
func subscribed(t *testing.T, p *Pusher, channel string) net.Conn {
	t.Helper()
	network, address := "tcp", p.Addr()
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(wire.AppendSubscribe(nil, channel)); err != nil {
		t.Fatal(err)
	}
	return c
}

// frames reads n frames, and returns their numbers, clocks and whether the payload is good.
func frames(t *testing.T, c net.Conn, n int) (text string, clocks []int64, err error) {
	t.Helper()
	var s wire.PushState
	var words []string
	one := make([]byte, 1)
	for len(words) < n {
		if _, err := io.ReadFull(c, one); err != nil {
			return strings.Join(words, " "), clocks, err
		}
		_, done, err := s.Feed(one, nil)
		if err != nil {
			return strings.Join(words, " "), clocks, err
		}
		if done {
			word := fmt.Sprint(s.Sequence())
			if !s.Matches() {
				word += "!"
			}
			words, clocks = append(words, word), append(clocks, s.Clock())
		}
	}
	return strings.Join(words, " "), clocks, nil
}

func TestPushFaults(t *testing.T) {
	for fault, want := range map[string]string{
		"": "1 2 3 4 5 6", PushGap: "1 2 4 5 7 8", PushDuplicate: "1 2 3 3 4 5", PushReordered: "1 2 4 3 5 7",
		PushWrongBody: "1 2 3! 4 5 6!", PushSlow: "1 2 3 4 5 6", PushFuture: "1 2 3 4 5 6",
	} {
		p := push(t, PushScript{Rate: 2000, Payload: 40, Fault: fault, Every: 3, Delay: 10 * time.Millisecond})
		got, clocks, err := frames(t, subscribed(t, p, ""), 6)
		if got != want || err != nil {
			t.Errorf("fault %q: frames %s, %v: want %s", fault, got, err, want)
			continue
		}
		now := procfs.Monotonic()
		for i, at := range clocks {
			if future := fault == PushFuture && i%3 == 2; at > now != future || at < now-int64(time.Minute) && !future {
				t.Errorf("fault %q: frame %d was made %v from now", fault, i+1, time.Duration(at-now))
			}
		}
		if fault == "" && clocks[5]-clocks[0] < int64(2*time.Millisecond) {
			t.Errorf("five distances at 2000/s took %v", time.Duration(clocks[5]-clocks[0]))
		}
	}
}

func TestPushEndsAsScripted(t *testing.T) {
	for fault, why := range map[string]string{PushClose: "EOF", PushReset: "reset by peer", PushGarbage: "length outside"} {
		p := push(t, PushScript{Rate: 1000, Fault: fault, Every: 2})
		got, _, err := frames(t, subscribed(t, p, ""), 2)
		if err == nil { // its two frames came before the end
			_, _, err = frames(t, subscribed(t, p, ""), 10)
		}
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("fault %s: frames %q, then %v: want %s", fault, got, err, why)
		}
	}
}

// All members of a channel get every frame from their subscription on; channels count apart; whoever does not subscribe is
// turned out.
func TestPushChannels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "push.sock")
	p := push(t, PushScript{Listen: "unix:" + path, Rate: 1000, Exponential: true, Seed: 7})
	first := subscribed(t, p, "a")
	if got, _, err := frames(t, first, 3); got != "1 2 3" || err != nil {
		t.Errorf("the first subscriber of a got %s, %v", got, err)
	}
	if got, _, err := frames(t, subscribed(t, p, "a"), 1); strings.Contains("1 2 3", got) || err != nil {
		t.Errorf("the second subscriber of a got %s first, %v: want a number beyond 3", got, err)
	}
	if got, _, err := frames(t, subscribed(t, p, "b"), 2); got != "1 2" || err != nil {
		t.Errorf("the first subscriber of b got %s, %v", got, err)
	}
	stranger, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Write(wire.AppendFrame(nil, 1, []byte("hello"))); err != nil {
		t.Fatal(err)
	}
	if n, err := stranger.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a stranger got %d bytes, %v", n, err)
	}
	if p.Subscribed.Load() != 3 || p.Accepted.Load() != 4 || p.Dropped.Load() != 1 {
		t.Errorf("accepted %d, subscribed %d, dropped %d", p.Accepted.Load(), p.Subscribed.Load(), p.Dropped.Load())
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket's file is left: %v", err)
	}
}

func TestPushScriptIsChecked(t *testing.T) {
	for want, s := range map[string]PushScript{
		"push rate 0":     {},
		"push rate 2e+06": {Rate: 2e6},
		"push payload -1": {Rate: 1, Payload: -1},
		`push fault "x"`:  {Rate: 1, Fault: "x"},
		"listen":          {Rate: 1, Listen: "127.0.0.1:99999"},
	} {
		if p, err := StartPush(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, %v: want an error with %q", s, p, err, want)
		}
	}
}
