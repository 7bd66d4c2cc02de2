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

// drawers say which outcome an error of an open connection is; any other of its socket is a reset. The first match holds.
var drawers = []struct {
	err error
	is  clients.Outcome
}{
	{errLate, clients.Timeout},
	{syscall.ETIMEDOUT, clients.Timeout},
	{syscall.EHOSTUNREACH, clients.Timeout},
	{syscall.ENETUNREACH, clients.Timeout},
	{os.ErrDeadlineExceeded, clients.Timeout},
	{context.DeadlineExceeded, clients.Timeout},
	{io.EOF, clients.EOF},
	{io.ErrUnexpectedEOF, clients.EOF},
}

// failure is the outcome of a request that ended in an error. The cause of its context, where it was cancelled, says more
// than what the transport made of it. What is neither time nor socket is a reply that can't be read, if there was a connection;
// that includes one whose head is cut off in the first line, since net/http does not tell it from a malformed one.
func failure(ctx context.Context, err error, connected bool) clients.Outcome {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	switch {
	case errors.Is(err, errOver):
		return clients.InFlight
	case !connected:
		return connectFailure(ctx, err).Outcome()
	}
	for _, d := range drawers {
		if errors.Is(err, d.err) {
			return d.is
		}
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return clients.Reset
	}
	return clients.ProtocolError
}

// connectFailure is why an attempt to connect failed. One that was given up with its request took too long.
func connectFailure(ctx context.Context, err error) clients.ConnectFailure {
	if errors.Is(context.Cause(ctx), errLate) {
		return clients.ConnectTimedOut
	}
	var dns *net.DNSError
	why := clients.ConnectFailureOf(err)
	if why == clients.ConnectOther && errors.As(err, &dns) {
		return clients.ConnectUnreachable
	}
	return why
}
