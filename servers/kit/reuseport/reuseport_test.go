package reuseport

import (
	"net"
	"strings"
	"testing"

	"github.com/millrace/millrace/servers/kit"
)

// All listeners hold one port, and every connection comes to one of them.
func TestConnectionsCome(t *testing.T) {
	const listeners, conns = 3, 30
	all, err := Listen(&kit.Env{Listen: "127.0.0.1:0"}, listeners)
	if err != nil {
		t.Fatal(err)
	}
	addr := all[0].Addr().String()
	come := make(chan int)
	for i, l := range all {
		defer l.Close()
		if got := l.Addr().String(); got != addr {
			t.Errorf("listener %d is at %s, want %s", i, got, addr)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
				come <- i
			}
		}()
	}
	perListener := make([]int, listeners)
	for range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		perListener[<-come]++
	}
	t.Logf("connections per listener: %v", perListener)
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen(&kit.Env{Listen: l.Addr().String()}, 2); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("listening where another does: %v, want an error that names the address", err)
	}
}
