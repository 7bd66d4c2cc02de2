package secure

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/millrace/millrace/clients"
)

// Failure is a handshake that failed.
type Failure struct {
	// Errno is the error of the socket, if that ended it; then Outcome says nothing.
	Errno syscall.Errno
	// Outcome is the drawer of the request that needed the connection:
	//
	//	refused         the server sent an alert, or this client did not accept its certificate
	//	eof             the server closed the connection
	//	protocol_error  what the server sent is no TLS, or none that this client understands
	Outcome clients.Outcome
	// Certificate says that this client did not accept the server's.
	Certificate bool
	err         error
}

// Failure is nil if the handshake went well. The session must be settled.
func (s *Session) Failure() *Failure {
	if s.err == nil {
		return nil
	}
	f := &Failure{Errno: s.wire.errno, Outcome: clients.ProtocolError, err: s.err}
	var certificate *tls.CertificateVerificationError
	var remote *net.OpError
	switch {
	case errors.As(s.err, &certificate):
		f.Outcome, f.Certificate = clients.Refused, true
	case errors.As(s.err, &remote) && remote.Op == "remote error":
		f.Outcome = clients.Refused
	case errors.Is(s.err, io.EOF) || errors.Is(s.err, io.ErrUnexpectedEOF):
		f.Outcome = clients.EOF
	}
	return f
}

// Error names the cause, and what to do about it.
func (f *Failure) Error() string {
	var header tls.RecordHeaderError
	remedy := "is the server meant for https?"
	switch {
	case f.Certificate:
		remedy = "name its authority with --ca FILE, its name with --server-name NAME, or take any certificate with --insecure"
	case errors.As(f.err, &header):
		remedy = "is it an http server? Then say http://"
	case f.Outcome == clients.Refused:
		remedy = "see --tls-min, --tls-max and --server-name, and the server's log"
	}
	return fmt.Sprintf("%v: %s", f.err, remedy)
}

func (f *Failure) Unwrap() error { return f.err }
