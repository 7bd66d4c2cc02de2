package clients

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// ConnectFailure is why an attempt to connect failed, whether or not a request waited for it. It is finer than Outcome.
type ConnectFailure uint8

// The failures.
const (
	ConnectRefused     ConnectFailure = iota // by the server's host: nobody listens there
	ConnectReset                             // the connection was reset while it opened
	ConnectTimedOut                          // no answer within Scenario.Timeout, or within the kernel's patience
	ConnectUnreachable                       // no way to the host, or none that answers
	ConnectNoPorts                           // no source address had a port left
	ConnectNoFiles                           // the process, or its host, may open no more files
	ConnectNoMemory                          // the kernel had no memory for a socket
	ConnectHandshake                         // TCP was open, and TLS or the upgrade to WebSocket failed
	ConnectOther                             // any other error of a socket
	connectFailures                          // how many there are
)

var connectFailureNames = [connectFailures]string{
	"refused", "reset", "timed_out", "unreachable", "no_ports", "no_files", "no_memory", "handshake", "other",
}

// String is the failure's name in reports.
func (f ConnectFailure) String() string { return connectFailureNames[f] }

// connectErrors say which failure an error is. The first match holds.
var connectErrors = []struct {
	err error
	is  ConnectFailure
}{
	{syscall.ECONNREFUSED, ConnectRefused},
	{syscall.ECONNRESET, ConnectReset},
	{syscall.EPIPE, ConnectReset},
	{syscall.ETIMEDOUT, ConnectTimedOut},
	{os.ErrDeadlineExceeded, ConnectTimedOut},
	{context.DeadlineExceeded, ConnectTimedOut},
	{syscall.EHOSTUNREACH, ConnectUnreachable},
	{syscall.ENETUNREACH, ConnectUnreachable},
	{syscall.EADDRNOTAVAIL, ConnectNoPorts},
	{syscall.EADDRINUSE, ConnectNoPorts},
	{syscall.EAGAIN, ConnectNoPorts}, // of TCP, see connect(2)
	{syscall.EMFILE, ConnectNoFiles},
	{syscall.ENFILE, ConnectNoFiles},
	{syscall.ENOBUFS, ConnectNoMemory},
	{syscall.ENOMEM, ConnectNoMemory},
}

// ConnectFailureOf is the failure that an error of a socket stands for.
func ConnectFailureOf(err error) ConnectFailure {
	for _, c := range connectErrors {
		if errors.Is(err, c.err) {
			return c.is
		}
	}
	return ConnectOther
}

// Outcome is the drawer of the request that needed the connection. That of a handshake is the engine's to tell.
func (f ConnectFailure) Outcome() Outcome {
	switch f {
	case ConnectReset:
		return Reset
	case ConnectTimedOut, ConnectUnreachable:
		return ConnectTimeout
	case ConnectNoPorts, ConnectNoFiles, ConnectNoMemory:
		return NoPort
	}
	return Refused
}

// ConnectTally counts attempts to connect that failed, by ConnectFailure.
type ConnectTally [connectFailures]int64

// Add adds another tally.
func (t *ConnectTally) Add(o *ConnectTally) {
	for i, n := range o {
		t[i] += n
	}
}

// Sum is how many failed in all.
func (t *ConnectTally) Sum() (sum int64) {
	for _, n := range t {
		sum += n
	}
	return sum
}

// Short is how many failed for lack of a port, a file or memory on the client's side.
func (t *ConnectTally) Short() int64 {
	return t[ConnectNoPorts] + t[ConnectNoFiles] + t[ConnectNoMemory]
}

// Named returns the failures that happened by name, nil without any.
func (t *ConnectTally) Named() map[string]int64 {
	var m map[string]int64
	for i, n := range t {
		if n == 0 {
			continue
		}
		if m == nil {
			m = map[string]int64{}
		}
		m[connectFailureNames[i]] = n
	}
	return m
}
