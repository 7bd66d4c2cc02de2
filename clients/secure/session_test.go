package secure

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
)

// exchange is a session with a server that echoes, driven as an engine does.
type exchange struct {
	t     testing.TB
	fd    int32
	out   []byte
	buf   []byte
	plain []byte
	*Session
}

func newExchange(t testing.TB) *exchange {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	certificate := srv.TLS.Certificates[0]
	srv.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := l.Accept()
		if err != nil {
			return
		}
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}})
		b := make([]byte, 4096)
		for {
			n, err := s.Read(b)
			if err != nil {
				_ = c.Close()
				return
			}
			if _, err := s.Write(b[:n]); err != nil {
				t.Error(err)
			}
		}
	}()
	addr := l.Addr().(*net.TCPAddr)
	to, family := sys.NewAddress(addr.IP, addr.Port, "")
	fd, errno := sys.Dial(family, nil, &to, nil, 0)
	if errno != 0 && errno != unix.EINPROGRESS {
		t.Fatal(errno)
	}
	client, err := NewClient(&clients.TLS{Insecure: true}, "127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange{t: t, fd: fd, buf: make([]byte, 4096), plain: make([]byte, 4096)}
	x.wait(unix.POLLOUT)
	done := make(chan struct{})
	x.Session = client.Start(fd, &x.out, func() { close(done) })
	for settled := false; !settled; {
		x.poll(unix.POLLIN, 1)
		x.Wake()
		select {
		case <-done:
			settled = true
		default:
		}
	}
	if f := x.Failure(); !x.Settled() || f != nil {
		t.Fatal(f)
	}
	t.Cleanup(func() {
		x.Close(true)
		<-served
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func (x *exchange) poll(events int16, ms int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: x.fd, Events: events}}, ms)
	if err != nil && err != syscall.EINTR {
		x.t.Fatal(err)
	}
	return n > 0
}

func (x *exchange) wait(events int16) {
	for !x.poll(events, 1000) {
	}
}

// ask sends and returns what comes back.
func (x *exchange) ask(b []byte) int {
	if err := x.Seal(b); err != nil {
		x.t.Fatal(err)
	}
	if _, errno := sys.Send(x.fd, x.out); errno != 0 {
		x.t.Fatal(errno)
	}
	x.out = x.out[:0]
	for got := 0; ; {
		x.wait(unix.POLLIN)
		n, errno := sys.Receive(x.fd, x.buf)
		if errno != 0 {
			x.t.Fatal(errno)
		}
		x.Feed(x.buf[:n])
		for {
			n, err := x.Next(x.plain)
			got += n
			if err == ErrMore {
				break
			}
			if err != nil {
				x.t.Fatal(err)
			}
		}
		if got >= len(b) {
			return got
		}
	}
}

// An exchange allocates what crypto/tls does for every read of a record, some 32 bytes each: two in the client, and one in
// the server that is counted along with it.
func TestAllocations(t *testing.T) {
	x := newExchange(t)
	b := []byte("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	if n := testing.AllocsPerRun(200, func() { x.ask(b) }); n > 4 {
		t.Errorf("%v allocations an exchange, want 3", n)
	}
}
