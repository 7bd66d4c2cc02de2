package main

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoDelay accepts as evio does, with accept(2): the connection must have what the listener was given.
func TestNoDelay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	addr := l.Addr().String()
	for _, want := range []int{0, 1} {
		if want == 1 {
			if err := noDelay(addr); err != nil {
				t.Fatal(err)
			}
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		accepted, _, err := unix.Accept(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(accepted)
		if got, err := unix.GetsockoptInt(accepted, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || got != want {
			t.Errorf("TCP_NODELAY of an accepted connection is %d, error %v: want %d", got, err, want)
		}
	}
}

func TestNoDelayOfNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	if err := noDelay(addr); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("no listener: error %v, want one that names %s", err, addr)
	}
}
