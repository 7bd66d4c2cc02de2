package vegeta

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// listenMute listens with room for a single connection, and never accepts one.
func listenMute(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	raw, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), 0) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return l.Addr().String()
}

// TestListenerThatNeverAccepts: the kernel opens one connection of four, or more where their SYNs pass before the first ACK
// fills the queue, and every request has an outcome. Where it opens none, nothing is measured, as with the epoll engine.
func TestListenerThatNeverAccepts(t *testing.T) {
	if on, err := os.ReadFile("/proc/sys/net/ipv4/tcp_syncookies"); err != nil || strings.TrimSpace(string(on)) == "0" {
		t.Skip("without SYN cookies the kernel drops every SYN of a listener with a backlog of 0")
	}
	address := listenMute(t, "tcp", "127.0.0.1:0")
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
	late, unopened, unfinished := r.Outcomes["timeout"], r.Outcomes["connect_timeout"], r.Outcomes["in_flight"]+r.Outcomes["unsent"]
	if n := r.ConnectionsOpened; n < 1 || n > 4 || late != n || unopened < 3 || late+unopened+unfinished != r.Planned || r.Verdict != validity.Invalid {
		t.Errorf("%d opened, %d planned, outcomes %v, %s", n, r.Planned, r.Outcomes, r.Verdict)
	}
	// The kernel keeps the connection that was never accepted, so that there is no room for another.
	if r, err := run(); err == nil || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "no connection could be opened; is the server listening there?") {
		t.Errorf("report %v, error %v", r, err)
	}
}

// TestUnixBacklog: a server whose backlog is full refuses, and the client lacks nothing.
func TestUnixBacklog(t *testing.T) {
	plan := aPlan("http://localhost", 4, 100*time.Millisecond, scenarios.Arrivals{Constant: 100})
	plan.UnixSocket = listenMute(t, "unix", filepath.Join(t.TempDir(), "s"))
	e, err := New(plan)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Run(t.Context(), procfs.Monotonic())
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Outcomes["refused"]; r.ConnectionsOpened != 1 || n == 0 || n+r.Outcomes["in_flight"]+r.Outcomes["unsent"] != r.Planned {
		t.Errorf("%d opened, %d planned, outcomes %v", r.ConnectionsOpened, r.Planned, r.Outcomes)
	}
	if by := r.ConnectFailuresByKind; by["refused"] != r.ConnectFailures {
		t.Errorf("%d connects failed, by kind %v: want refused alone", r.ConnectFailures, by)
	}
}

// TestFailure: what a request waited for when it ended decides what an error means.
func TestFailure(t *testing.T) {
	for _, c := range []struct {
		err               error
		connecting, later clients.Outcome
	}{
		{errOver, clients.InFlight, clients.InFlight},
		{errLate, clients.ConnectTimeout, clients.Timeout},
		{syscall.ECONNREFUSED, clients.Refused, clients.Reset},
		{syscall.ECONNRESET, clients.Reset, clients.Reset},
		{syscall.EPIPE, clients.Reset, clients.Reset},
		{syscall.ETIMEDOUT, clients.ConnectTimeout, clients.Timeout},
		{os.ErrDeadlineExceeded, clients.ConnectTimeout, clients.Timeout},
		{syscall.EADDRNOTAVAIL, clients.NoPort, clients.Reset},
		{syscall.EAGAIN, clients.NoPort, clients.Reset},
		{syscall.ENOBUFS, clients.NoPort, clients.Reset},
		{syscall.ENOMEM, clients.NoPort, clients.Reset},
		{syscall.EACCES, clients.Refused, clients.Reset},
		{&net.DNSError{Err: "no such host"}, clients.ConnectTimeout, clients.ProtocolError},
		{io.ErrUnexpectedEOF, clients.Refused, clients.EOF},
		{errors.New("malformed reply"), clients.Refused, clients.ProtocolError},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(fmt.Errorf("because: %w", c.err))
		for connected, want := range map[bool]clients.Outcome{false: c.connecting, true: c.later} {
			wrapped := fmt.Errorf("dial: %w", c.err)
			if got := failure(t.Context(), wrapped, connected); got != want && c.err != errLate { // which is a cause only
				t.Errorf("%v, connected %v: %v, want %v", c.err, connected, got, want)
			}
			if got := failure(ctx, context.Canceled, connected); got != want {
				t.Errorf("cancelled by %v, connected %v: %v, want %v", c.err, connected, got, want)
			}
		}
	}
}
