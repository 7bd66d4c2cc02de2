package reactor

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
)

func TestErrorsOfOpenConnectionsFallIntoTheirDrawers(t *testing.T) {
	for errno, want := range map[syscall.Errno]clients.Outcome{
		unix.ECONNRESET: clients.Reset, unix.EPIPE: clients.Reset, unix.EIO: clients.Reset, unix.ETIMEDOUT: clients.Timeout,
	} {
		if got := streamOutcome(errno); got != want {
			t.Errorf("on an open connection: %v counts as %v, want %v", errno, got, want)
		}
	}
}

// Equal shares of the arrivals need equal shares of the connections.
func TestShardsFor(t *testing.T) {
	check := func(connections, agents, limit, want int) {
		t.Helper()
		p := plan("http://127.0.0.1:1/", nil)
		p.Scenario.Connections.Count, p.Agents = connections, agents
		if got := shardsFor(p, limit); got != want {
			t.Errorf("%d connections, %d agents, at most %d shards: %d, want %d", connections, agents, limit, got, want)
		}
	}
	check(10, 1, 8, 5)
	check(3, 1, 2, 1)
	check(1001, 1, 8, 8)
	check(12, 3, 4, 4)
	check(1, 1, 8, 1)
}

// A server that closes each connection after a reply is limited by no gap of the client's; one that never replies is.
func TestReopening(t *testing.T) {
	for _, answered := range []bool{true, false} {
		srv := start(t, reflect.Script{})
		p := plan(srv.URL(), nil)
		p.Engine = "epoll"
		_, s := alone(t, p)
		s.now, s.next = procfs.Monotonic(), s.goal
		for i := range s.conns {
			s.conns[i].state, s.conns[i].sent = open, 1
			if !answered {
				s.conns[i].flying = 1
			}
			s.lose(int32(i), clients.EOF)
		}
		s.openMore()
		if want := map[bool]int{true: openBatch, false: 1}[answered]; s.connecting != want {
			t.Errorf("answered %v: %d connections opened again at once, want %d", answered, s.connecting, want)
		}
		if at := s.openAt(); answered != (at <= s.now) {
			t.Errorf("answered %v: the next one %d ns later", answered, at-s.now)
		}
		for i := range s.conns {
			s.shut(int32(i), true)
		}
		s.io.free()
	}
}
