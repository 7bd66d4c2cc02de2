package main

import (
	"encoding/base64"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/messages"
)

var upgrader websocket.FastHTTPUpgrader

// keyBytes are those of a Sec-WebSocket-Key, RFC 6455 section 4.1.
const keyBytes = 16

// upgrade serves protocol ws by fasthttp/websocket with its defaults, the limit of messages apart.
func (h *handler) upgrade(ctx *fasthttp.RequestCtx) {
	defer kit.Crash()
	if string(ctx.Path()) != "/" {
		ctx.Error(string(kit.StatusBody(fasthttp.StatusNotFound)), fasthttp.StatusNotFound)
		return
	}
	if key, err := base64.StdEncoding.DecodeString(string(ctx.Request.Header.Peek("Sec-WebSocket-Key"))); err != nil || len(key) != keyBytes {
		ctx.Error("malformed Sec-WebSocket-Key\n", fasthttp.StatusBadRequest) // which the framework doesn't look at
		return
	}
	// An error has been answered.
	_ = upgrader.Upgrade(ctx, func(ws *websocket.Conn) {
		defer kit.Crash()
		ws.SetReadLimit(wire.MaxBody)
		h.messages.Serve(&conn{ws: ws})
	})
}

// conn is a connection of fasthttp/websocket, which has one reader and one writer at a time.
type conn struct {
	ws      *websocket.Conn
	writing sync.Mutex
}

var _ messages.Conn = (*conn)(nil)

// Read returns a message in memory of its own.
func (c *conn) Read() (binary bool, message []byte, err error) {
	kind, message, err := c.ws.ReadMessage()
	return kind == websocket.BinaryMessage, message, err
}

// Write may be called by several goroutines.
func (c *conn) Write(binary bool, message []byte) error {
	kind := websocket.TextMessage
	if binary {
		kind = websocket.BinaryMessage
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.ws.WriteMessage(kind, message)
}

// Interrupt ends reading.
func (c *conn) Interrupt() { c.ws.SetReadDeadline(time.Unix(1, 0)) }

// Close ends the connection.
func (c *conn) Close() { c.ws.Close() }
