package call

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

func mustCaller(t *testing.T, work string) *Caller {
	t.Helper()
	spec, err := scenarios.ParseWork(work)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// echo is a downstream that hands each frame to answer, which returns false to end the connection.
type echo struct {
	net.Listener
	accepted atomic.Int64
}

func newEcho(t *testing.T, answer func(c net.Conn, frame []byte) bool) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.accepted.Add(1)
			go func() {
				defer c.Close()
				frame := make([]byte, wire.FrameHead)
				for {
					if _, err := io.ReadFull(c, frame); err != nil || !answer(c, frame) {
						return
					}
				}
			}()
		}
	}()
	return e
}

func reply(c net.Conn, frame []byte) bool {
	_, err := c.Write(frame)
	return err == nil
}

func TestCallsUseConnectionsAgain(t *testing.T) {
	e := newEcho(t, reply)
	c := mustCaller(t, "downstream=tcp://"+e.Addr().String())
	for range 20 {
		if err := c.Do(nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := e.accepted.Load(); n != 1 || c.Counts() != (Counts{Begun: 20, Answered: 20}) {
		t.Errorf("%d connections, %+v", n, c.Counts())
	}
}

// As many calls as there are slots are under way at once, each on a connection of its own; the others wait and are counted.
func TestCallsAreBounded(t *testing.T) {
	const slots, calls = 4, 10
	hold := make(chan struct{})
	held := make(chan struct{}, calls)
	e := newEcho(t, func(c net.Conn, frame []byte) bool {
		held <- struct{}{}
		<-hold
		return reply(c, frame)
	})
	c := mustCaller(t, "downstream=tcp://"+e.Addr().String())
	c.slots = make(chan struct{}, slots)
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if err := c.Do(nil); err != nil {
				t.Error(err)
			}
		})
	}
	for range slots {
		<-held
	}
	for c.Counts().Waited < calls-slots {
		select {
		case <-held:
			t.Fatal("more calls than slots")
		default:
		}
	}
	close(hold)
	wg.Wait()
	if n := e.accepted.Load(); n > slots || c.Counts() != (Counts{Begun: calls, Answered: calls, Waited: calls - slots}) {
		t.Errorf("%d connections, %+v", n, c.Counts())
	}
}

func TestCallsEndInTime(t *testing.T) {
	e := newEcho(t, func(net.Conn, []byte) bool { return true }) // never answers
	c := mustCaller(t, "downstream=tcp://"+e.Addr().String())
	c.timeout, c.slots = time.Millisecond, make(chan struct{}, 1)
	if err := c.Do(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a silent downstream: %v", err)
	}
	c.slots <- struct{}{}
	if err := c.Do(nil); !errors.Is(err, errCrowded) {
		t.Errorf("no slot: %v", err)
	}
	if n := c.Counts(); n != (Counts{Begun: 2, Failed: 2, Waited: 1}) {
		t.Errorf("%+v", n)
	}
}

// A downstream that resets its connections costs one failed call, not one for each connection that was kept.
func TestFailureForgetsIdleConnections(t *testing.T) {
	var broken atomic.Bool
	e := newEcho(t, func(c net.Conn, frame []byte) bool { return !broken.Load() && reply(c, frame) })
	l := &links{addr: e.Addr().String()}
	deadline := time.Now().Add(time.Minute)
	var kept []*link
	for range 3 {
		k, err := l.take(deadline)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, k)
	}
	for _, k := range kept {
		l.put(k)
	}
	broken.Store(true)
	if err := l.call(1, nil, deadline); err == nil || len(l.idle) > 0 {
		t.Errorf("%v, %d idle", err, len(l.idle))
	}
	broken.Store(false)
	if err := l.call(2, nil, deadline); err != nil || len(l.idle) != 1 {
		t.Errorf("%v, %d idle", err, len(l.idle))
	}
	l.idle[0].since = time.Now().Add(-2 * idleFor)
	k, err := l.take(deadline)
	if err != nil {
		t.Fatal(err)
	}
	old := &link{Conn: k.Conn, since: time.Now().Add(-2 * idleFor)}
	l.idle = []*link{old}
	l.put(&link{Conn: k.Conn})
	if len(l.idle) != 1 || l.idle[0] == old {
		t.Errorf("an old connection was kept: %d idle", len(l.idle))
	}
}

func TestWrongEcho(t *testing.T) {
	e := newEcho(t, func(c net.Conn, frame []byte) bool {
		frame[11]++
		return reply(c, frame)
	})
	if err := mustCaller(t, "downstream=tcp://"+e.Addr().String()).Do(nil); err == nil || !strings.Contains(err.Error(), "want an echo") {
		t.Error(err)
	}
}

func TestHTTP(t *testing.T) {
	status := http.StatusOK
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.Path+" "+string(body))
		w.WriteHeader(status)
	}))
	defer s.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	get, put := mustCaller(t, "downstream="+s.URL+"/slow"), mustCaller(t, "upload="+s.URL+"/bucket/")
	for _, c := range []*Caller{get, put, put} {
		if err := c.Do([]byte("document")); err != nil {
			t.Error(err)
		}
	}
	if want := "GET /slow |PUT /bucket/1 document|PUT /bucket/2 document"; strings.Join(got, "|") != want {
		t.Errorf("requests %q, want %q", got, want)
	}
	status = http.StatusFound
	if err := put.Do(nil); err == nil || !strings.Contains(err.Error(), "status 302: want 2xx") {
		t.Errorf("a redirection: %v", err)
	}
}

func TestBadCallers(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	for work, want := range map[string]string{
		"downstream":                   "want downstream=URL",
		"upload":                       "want upload=URL",
		"downstream=tcp://127.0.0.1":   "want a port",
		"upload=http://127.0.0.1:1/":   "ends with the bucket",
		"upload=http://127.0.0.1:1/b/": "want both, or none",
	} {
		spec, err := scenarios.ParseWork(work)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", work, err, want)
		}
	}
}

// The examples of "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk" in the
// Amazon S3 API Reference.
func TestSignature(t *testing.T) {
	keys := signer{id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region: "us-east-1"}
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		method, url, body, signed, signature string
		header                               http.Header
	}{
		{
			"GET", "https://examplebucket.s3.amazonaws.com/test.txt", "", "host;range;x-amz-content-sha256;x-amz-date",
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", http.Header{"Range": {"bytes=0-9"}},
		},
		{
			"PUT", "https://examplebucket.s3.amazonaws.com/test%24file.text", "Welcome to Amazon S3.", "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			http.Header{"Date": {"Fri, 24 May 2013 00:00:00 GMT"}, "X-Amz-Storage-Class": {"REDUCED_REDUNDANCY"}},
		},
		{
			"GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", "", "host;x-amz-content-sha256;x-amz-date",
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", http.Header{},
		},
		{
			"GET", "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", "", "host;x-amz-content-sha256;x-amz-date",
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", http.Header{},
		},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: c.method, URL: u, Header: c.header}
		keys.sign(r, []byte(c.body), at)
		want := "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + c.signed + ",Signature=" + c.signature
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s %s: %s\nwant %s", c.method, c.url, got, want)
		}
	}
}
