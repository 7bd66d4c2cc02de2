// Package websocket is the server side of RFC 6455 over whatever bytes have arrived so far: gobwas/ws decides what is right, and
// this package adds what its io.Reader can't, to go on where the bytes ended, without an allocation per message.
package websocket

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/gobwas/ws"

	"github.com/millrace/millrace/internal/wire"
)

// endOfHead ends the opening handshake.
var endOfHead = []byte("\r\n\r\n")

// upgrader takes no extensions and no subprotocols.
var upgrader = ws.Upgrader{
	ReadBufferSize: wire.MaxHeader,
	OnRequest: func(uri []byte) error {
		if string(uri) != "/" {
			return ws.RejectConnectionError(ws.RejectionStatus(http.StatusNotFound), ws.RejectionReason("no such path: want /"))
		}
		return nil
	},
}

// exchange is the handshake as a connection.
type exchange struct{ in, out []byte }

func (x *exchange) Read(p []byte) (int, error) {
	if len(x.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, x.in)
	x.in = x.in[n:]
	return n, nil
}

func (x *exchange) Write(p []byte) (int, error) {
	x.out = append(x.out, p...)
	return len(p), nil
}

// Upgrade answers the opening handshake at the start of in and returns how many bytes of it it took, zero where it is incomplete.
// The reply is appended to out; open false with n above zero means that it refuses, and that the connection is to be closed.
func Upgrade(in, out []byte) (n int, reply []byte, open bool) {
	end := bytes.Index(in[:min(len(in), wire.MaxHeader)], endOfHead)
	if end < 0 {
		if len(in) < wire.MaxHeader {
			return 0, out, false
		}
		return len(in), refuse(out, http.StatusRequestHeaderFieldsTooLarge), false
	}
	n = end + len(endOfHead)
	x := exchange{in[:n], out}
	_, err := upgrader.Upgrade(&x)
	if err == nil {
		return n, x.out, true
	}
	if rejected := new(ws.ConnectionRejectedError); len(x.out) == len(out) || !errors.As(err, &rejected) {
		return len(in), refuse(out, http.StatusBadRequest), false // it says nothing to what is no HTTP, and 500 to what is little more
	}
	return len(in), x.out, false
}

func refuse(out []byte, status int) []byte {
	return wire.AppendResponse(out, status, []byte(http.StatusText(status)+"\n"), true)
}
