package reflect

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is the child of TestChild where it is told so, and otherwise runs the tests.
func TestMain(m *testing.M) {
	if os.Getenv("REFLECT_CHILD") != "" {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func begin(t *testing.T, s Script) *Reflector {
	t.Helper()
	r, err := Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func dial(t *testing.T, url string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

func get(t *testing.T, c net.Conn, in *bufio.Reader) (status int, body string) {
	t.Helper()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestRepliesWaitTheirTimeAndKeepTheirOrder(t *testing.T) {
	const delay = 30 * time.Millisecond
	r := begin(t, Script{Protocol: "http1", Delay: delay, Body: []byte("abc")})
	c, in := dial(t, r.URL())
	begun := time.Now()
	// Two at once and in pieces: the second is served after the first.
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"+"GET /work HT")
	fmt.Fprint(c, "TP/1.1\r\nHost: x\r\n\r\n")
	for i, want := range []string{"one", "abc"} {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		if took := time.Since(begun); string(b) != want || took < time.Duration(i+1)*delay {
			t.Errorf("reply %d after %v: %q, want %q after %v", i, took, b, want, time.Duration(i+1)*delay)
		}
	}
	if n, err := r.Counts(); err != nil || n != (Counts{Accepted: 1, Handled: 2, Worked: 1}) {
		t.Errorf("counts %+v, %v", n, err)
	}
}

func TestFaultsBefallEveryNth(t *testing.T) {
	r := begin(t, Script{Protocol: "http1", Body: []byte("abc"), Fault: FaultWrongBody, Every: 3})
	c, in := dial(t, r.URL())
	var got []bool
	for range 7 {
		_, body := get(t, c, in)
		got = append(got, body == "abc")
	}
	if fmt.Sprint(got) != "[true true false true true false true]" {
		t.Errorf("good bodies: %v", got)
	}
	if n, _ := r.Counts(); n.Faulty != 2 || n.Handled != 7 {
		t.Errorf("counts %+v", n)
	}
}

func TestConnectionsEndAsScripted(t *testing.T) {
	for _, c := range []struct {
		script Script
		err    string
	}{
		{Script{CloseAfter: 1}, "EOF"},
		{Script{Fault: FaultClose, Every: 2}, "EOF"},
		{Script{Fault: FaultReset, Every: 2}, "reset by peer"},
		{Script{Fault: FaultShort, Every: 2}, "EOF"},
	} {
		c.script.Protocol, c.script.Body = "http1", []byte("abc")
		r := begin(t, c.script)
		conn, in := dial(t, r.URL())
		if status, body := get(t, conn, in); status != 200 || body != "abc" {
			t.Errorf("%+v: %d %q", c.script, status, body)
		}
		if c.script.CloseAfter == 0 { // what is sent to a closed connection is answered by a reset
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if _, err := http.ReadResponse(in, nil); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: error %v, want %s", c.script, err, c.err)
		}
	}
}

// A client that does not read its replies costs no more than maxOut, and holds up nobody else.
func TestAClientThatDoesNotRead(t *testing.T) {
	r := begin(t, Script{Protocol: "http1", Body: make([]byte, 1<<20)})
	deaf, _ := dial(t, r.URL())
	for range 64 {
		if _, err := fmt.Fprint(deaf, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			break
		}
	}
	c, in := dial(t, r.URL())
	if status, body := get(t, c, in); status != 200 || len(body) != 1<<20 {
		t.Errorf("status %d, %d bytes", status, len(body))
	}
	if n, err := io.Copy(io.Discard, deaf); n > 64<<20-1 {
		t.Errorf("read %d bytes, %v: want the connection ended before", n, err)
	}
}

func TestTLS(t *testing.T) {
	for _, c := range []struct {
		script Script
		err    string
	}{
		{Script{CloseAfter: 1}, "EOF"},
		{Script{Fault: FaultReset, Every: 2}, "reset by peer"},
		{Script{Fault: FaultShort, Every: 2}, "unexpected EOF"},
	} {
		c.script.Protocol, c.script.Body, c.script.TLS = "http1", []byte("abc"), true
		r := begin(t, c.script)
		raw, _ := dial(t, strings.TrimPrefix(r.URL(), "https://"))
		conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		in := bufio.NewReader(conn)
		if status, body := get(t, conn, in); status != 200 || body != "abc" {
			t.Errorf("%+v: %d %q", c.script, status, body)
		}
		if c.script.CloseAfter == 0 { // what is sent to a closed connection is answered by a reset
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if _, err := http.ReadResponse(in, nil); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: error %v, want %s", c.script, err, c.err)
		}
	}
}

func TestWrongScripts(t *testing.T) {
	for want, s := range map[string]Script{
		"want http1 or frame": {Protocol: "smtp"},
		"want one of silent":  {Protocol: "http1", Fault: "boredom"},
		"want it shorter":     {Protocol: "http1", FreezeFor: time.Second, FreezeEvery: time.Second},
	} {
		if _, err := Start(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

// startChild starts this program as the process of reflectors.
func startChild(t *testing.T) *Child {
	t.Helper()
	t.Setenv("REFLECT_CHILD", "1")
	child, err := StartChild([]string{os.Args[0]}, nil, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := child.Close(); err != nil {
			t.Error(err)
		}
	})
	return child
}

func TestChild(t *testing.T) {
	child := startChild(t)
	if _, err := child.Start(Script{Protocol: "smtp"}); err == nil || !strings.Contains(err.Error(), "http1") {
		t.Errorf("error %v", err)
	}
	var remotes []*Remote
	for _, body := range []string{"one", "two"} {
		r, err := child.Start(Script{Protocol: "http1", Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		c, in := dial(t, r.URL())
		if _, got := get(t, c, in); got != body {
			t.Errorf("body %q, want %q", got, body)
		}
		remotes = append(remotes, r)
	}
	if n, err := remotes[1].Counts(); err != nil || n.Handled != 1 {
		t.Errorf("counts %+v, %v", n, err)
	}
	if err := remotes[0].Close(); err != nil {
		t.Error(err)
	}
	if _, err := remotes[0].Counts(); err == nil {
		t.Error("counts of a reflector that is closed")
	}
}

// A reflector that spins knows for how long its process was stopped, though it slept for none of it.
func TestStallsOfTheCPUAreCounted(t *testing.T) {
	child := startChild(t)
	r, err := child.Start(Script{Protocol: "http1", Spin: true})
	if err != nil {
		t.Fatal(err)
	}
	c, in := dial(t, r.URL())
	get(t, c, in)
	before, err := r.Counts()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.Process(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const stopped = 50 * time.Millisecond
	begun := time.Now()
	for time.Since(begun) < stopped {
		<-time.After(stopped - time.Since(begun))
	}
	if err := syscall.Kill(r.Process(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	get(t, c, in)
	after, err := r.Counts()
	if err != nil {
		t.Fatal(err)
	}
	// What a busy host took beside is no fault; the signal itself takes a moment to be heard.
	if got := after.Stalled - before.Stalled; got < stopped*9/10 {
		t.Errorf("stalled for %v of a stop of %v", got, stopped)
	}
}
