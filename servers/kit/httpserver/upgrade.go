package httpserver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
)

// HalfClose is what all models on net/http do.
const HalfClose = "answers every whole request that came before the end, then closes; a partial one is answered with 400"

// Missing are the protocols that no model on net/http speaks, and why.
func Missing(name string) map[string]string {
	why := name + " is an HTTP framework; on a hijacked connection it would be model goroutine"
	return map[string]string{"frame": why, "push": why}
}

// Upgrade serves protocol ws by coder/websocket with its defaults, the limit of messages apart.
func (c *Contract) Upgrade(w http.ResponseWriter, r *http.Request) {
	defer kit.Crash()
	if r.URL.Path != "/" {
		http.Error(w, string(kit.StatusBody(http.StatusNotFound)), http.StatusNotFound)
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has been answered
	}
	ws.SetReadLimit(wire.MaxBody)
	ctx, interrupt := context.WithCancel(context.Background())
	c.messages.Serve(&conn{ws: ws, reading: ctx, interrupt: interrupt})
}

// cut makes connections whose end reads as an unexpected one: coder/websocket v1.8.14 takes an io.EOF in a message for the end of
// the message, and would hand on half of it.
type cut struct{ *net.TCPListener }

// Accept waits for the next connection.
func (l cut) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return cutConn{c}, nil
}

type cutConn struct{ *net.TCPConn }

// Read never returns io.EOF.
func (c cutConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// conn is a connection of coder/websocket.
type conn struct {
	ws        *websocket.Conn
	reading   context.Context
	interrupt context.CancelFunc
	closed    sync.Once
}

// Read returns a message in memory of its own.
func (c *conn) Read() (binary bool, message []byte, err error) {
	kind, message, err := c.ws.Read(c.reading)
	if errors.Is(err, websocket.ErrMessageTooBig) {
		c.ws.Close(websocket.StatusMessageTooBig, "")
	}
	return kind == websocket.MessageBinary, message, err
}

// Write may be called by several goroutines.
func (c *conn) Write(binary bool, message []byte) error {
	kind := websocket.MessageText
	if binary {
		kind = websocket.MessageBinary
	}
	return c.ws.Write(context.Background(), kind, message)
}

// Interrupt closes a connection that is being read from.
func (c *conn) Interrupt() { c.interrupt() }

// Close does without a closing handshake; one that the client began has been answered.
func (c *conn) Close() {
	c.closed.Do(func() {
		c.interrupt()
		c.ws.CloseNow()
	})
}
