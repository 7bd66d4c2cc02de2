package vegeta

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// listenMute listens with room for a single connection, and never accepts one.
func listenMute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), 0) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return l.Addr().String()
}

// TestListenerThatNeverAccepts: the kernel opens one connection of four, and every request has an outcome. Where it opens none,
// nothing is measured, as with the epoll engine.
func TestListenerThatNeverAccepts(t *testing.T) {
	address := listenMute(t)
	run := func() (*clients.Report, error) {
		plan := aPlan("http://"+address, 4, 500*time.Millisecond, scenarios.Arrivals{Closed: true})
		plan.Scenario.Timeout = scenarios.Duration(200 * time.Millisecond)
		plan.StartWhenOpen = true
		e, err := New(plan)
		if err != nil {
			t.Fatal(err)
		}
		return e.Run(context.Background(), procfs.Monotonic())
	}
	r, err := run()
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, n := range r.Outcomes {
		sum += n
	}
	if r.ConnectionsOpened != 1 || r.Outcomes["timeout"] != 1 || r.Outcomes["connect_timeout"] < 3 || r.Outcomes["ok"] != 0 || sum != r.Planned || r.Verdict != validity.Invalid {
		t.Errorf("%d opened, %d planned, outcomes %v, %s", r.ConnectionsOpened, r.Planned, r.Outcomes, r.Verdict)
	}
	// The kernel keeps the connection that was never accepted, so that there is no room for another.
	if r, err := run(); err == nil || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "no connection could be opened; is the server listening there?") {
		t.Errorf("report %v, error %v", r, err)
	}
}
