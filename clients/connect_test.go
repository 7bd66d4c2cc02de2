package clients

import (
	"fmt"
	"maps"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestConnectFailures(t *testing.T) {
	seen := map[ConnectFailure]bool{ConnectHandshake: true} // no error of a socket
	for _, c := range []struct {
		err     error
		name    string
		outcome Outcome
	}{
		{syscall.ECONNREFUSED, "refused", Refused},
		{syscall.ECONNRESET, "reset", Reset},
		{syscall.ETIMEDOUT, "timed_out", ConnectTimeout},
		{os.ErrDeadlineExceeded, "timed_out", ConnectTimeout},
		{syscall.EHOSTUNREACH, "unreachable", ConnectTimeout},
		{syscall.EADDRNOTAVAIL, "no_ports", NoPort},
		{syscall.EAGAIN, "no_ports", NoPort},
		{syscall.EMFILE, "no_files", NoPort},
		{syscall.ENOMEM, "no_memory", NoPort},
		{syscall.EACCES, "other", Refused},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.ENFILE)}, "no_files", NoPort}, // as package net wraps it
	} {
		f := ConnectFailureOf(c.err)
		if seen[f] = true; f.String() != c.name || f.Outcome() != c.outcome {
			t.Errorf("%v: %v and %v, want %s and %v", c.err, f, f.Outcome(), c.name, c.outcome)
		}
	}
	if len(seen) != int(connectFailures) {
		t.Errorf("%d of %d failures have a case", len(seen), connectFailures)
	}
	names := map[string]bool{}
	for f := range connectFailures {
		names[fmt.Sprint(f)] = true
	}
	if len(names) != int(connectFailures) || names[""] {
		t.Errorf("names %v of %d failures", names, connectFailures)
	}
}

func TestConnectTally(t *testing.T) {
	var a, b ConnectTally
	if a.Named() != nil || a.Sum() != 0 || a.Short() != 0 {
		t.Errorf("of nothing %v", a.Named())
	}
	a[ConnectNoPorts], b[ConnectNoPorts], b[ConnectNoFiles], b[ConnectRefused] = 1, 2, 3, 4
	a.Add(&b)
	if want := map[string]int64{"no_ports": 3, "no_files": 3, "refused": 4}; !maps.Equal(a.Named(), want) || a.Sum() != 10 || a.Short() != 6 {
		t.Errorf("%v, %d in all, %d for lack of something: want %v, 10 and 6", a.Named(), a.Sum(), a.Short(), want)
	}
}
