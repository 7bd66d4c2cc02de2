package vegeta

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/millrace/millrace/clients"
)

// drawers say which outcome an error of a socket is. The first match holds.
var drawers = []struct {
	err error
	is  clients.Outcome
}{
	{errOver, clients.InFlight},
	{errLate, clients.Timeout},
	{syscall.ECONNREFUSED, clients.Refused},
	{syscall.ECONNRESET, clients.Reset},
	{syscall.EPIPE, clients.Reset},
	{syscall.EADDRNOTAVAIL, clients.NoPort},
	{syscall.EADDRINUSE, clients.NoPort},
	{syscall.EMFILE, clients.NoPort},
	{syscall.ENFILE, clients.NoPort},
	{syscall.ETIMEDOUT, clients.ConnectTimeout},
	{syscall.EHOSTUNREACH, clients.ConnectTimeout},
	{syscall.ENETUNREACH, clients.ConnectTimeout},
	{os.ErrDeadlineExceeded, clients.ConnectTimeout},
	{context.DeadlineExceeded, clients.ConnectTimeout},
	{io.EOF, clients.EOF},
	{io.ErrUnexpectedEOF, clients.EOF},
}

// failure is the outcome of a request that ended in an error. The cause of its context, where it was cancelled, says more
// than what the transport made of it. What is neither time nor socket is a reply that can't be read;
// that includes one whose head is cut off in the first line, since net/http does not tell it from a malformed one.
func failure(ctx context.Context, err error, connected bool) clients.Outcome {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	for _, d := range drawers {
		if !errors.Is(err, d.err) {
			continue
		}
		switch {
		case d.is == clients.Timeout && !connected:
			return clients.ConnectTimeout
		case d.is == clients.ConnectTimeout && connected:
			return clients.Timeout
		}
		return d.is
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return clients.ConnectTimeout
	}
	return clients.ProtocolError
}

// connectFailure is why an attempt to connect failed. One that was given up with its request took too long.
func connectFailure(ctx context.Context, err error) clients.ConnectFailure {
	if errors.Is(context.Cause(ctx), errLate) {
		return clients.ConnectTimedOut
	}
	return clients.ConnectFailureOf(err)
}
