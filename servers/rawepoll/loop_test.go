package main

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/rawepoll/sys"
)

// Connections are nonblocking and have no Nagle delay, without a call for each.
func TestAcceptedConnections(t *testing.T) {
	for _, shared := range []bool{false, true} {
		listeners, err := listen(&kit.Env{Listen: "127.0.0.1:0"}, shared, 1)
		if err != nil {
			t.Fatal(err)
		}
		l, err := newLoop(&kit.Env{}, listeners[0])
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", listeners[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if n, errno := sys.Wait(l.epoll, l.events); n != 1 || errno != 0 || int(l.events[0].Fd) != l.accepts {
			t.Fatalf("shared %t: %d events, %v: want one of the listener", shared, n, errno)
		}
		fd, errno := sys.Accept(l.accepts)
		if errno != 0 {
			t.Fatal(errno)
		}
		if v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); v != 1 || err != nil {
			t.Errorf("shared %t: TCP_NODELAY is %d, %v: want 1", shared, v, err)
		}
		if _, errno := sys.Receive(fd, make([]byte, 1)); errno != unix.EAGAIN {
			t.Errorf("shared %t: reading nothing: %v, want EAGAIN", shared, errno)
		}
		if _, errno := sys.Accept(l.accepts); errno != unix.EAGAIN {
			t.Errorf("shared %t: accepting nobody: %v, want EAGAIN", shared, errno)
		}
		sys.Close(fd)
	}
}

// What the socket does not take is kept and goes out later, in order, before anything else.
func TestKeepsWhatTheSocketDoesNotTake(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	const size = 8 << 20
	l, c := &loop{out: make([]byte, size)}, &conn{fd: fds[0]}
	for i := range l.out {
		l.out[i] = byte(i / 1000)
	}
	l.send(c)
	kept := len(c.out)
	if kept == 0 || kept == size {
		t.Fatalf("%d of %d bytes are kept: want some", kept, size)
	}
	clear(l.out) // the buffer is another connection's now
	var got []byte
	for b := make([]byte, 1<<16); len(got) < size; {
		n, err := unix.Read(fds[1], b)
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", len(got), size, err)
		}
		for i, v := range b[:n] {
			if want := byte((len(got) + i) / 1000); v != want {
				t.Fatalf("byte %d is %d, want %d", len(got)+i, v, want)
			}
		}
		got = append(got, b[:n]...)
		if all := l.flush(c); all != (len(c.out) == 0) {
			t.Fatalf("flush says %t with %d bytes left", all, len(c.out))
		}
	}
	unix.Close(fds[0])
	l.out = []byte("x")
	if l.send(c); !c.last {
		t.Error("a connection whose socket fails goes on")
	}
}
