package reactor

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/scenarios"
)

// A server that sends interim replies without an end, faster than they are read, keeps the thread neither from the timeouts
// of other requests nor from the end.
func TestAFloodEndsWithTheLoad(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	flood := bytes.Repeat([]byte("HTTP/1.1 100 Continue\r\n\r\n"), 200_000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 1000)); err != nil {
					return
				}
				for err == nil {
					_, err = c.Write(flood)
				}
			}()
		}
	}()
	s := scenarios.Scenario{
		Name: "flood", Why: "A server without an end.", Protocol: "http1", Payload: 1, Connections: scenarios.Connections{Count: 8},
		Timeout: scenarios.Duration(100 * time.Millisecond),
		Phases: []scenarios.Phase{{Name: "load", Load: "steady", For: scenarios.Duration(400 * time.Millisecond), Measure: true,
			Arrivals: scenarios.Arrivals{Constant: 1000}}},
	}
	resolved, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(&clients.Plan{URL: "http://" + l.Addr().String() + "/", Engine: "epoll", Scenario: *resolved, Agents: 1, StartWhenOpen: true})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	r, err := e.Run(t.Context(), procfs.Monotonic())
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); r.Outcomes["timeout"] == 0 || took > 2*time.Second {
		t.Errorf("outcomes %v after %v: want timeouts, and the end after 400 ms", r.Outcomes, took)
	}
}
