// Command nethttp is the server that most Go services run: net/http with its defaults.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
)

func main() {
	kit.Main(kit.Model{
		Name:      "nethttp",
		Doc:       "Go's net/http server with its defaults: a goroutine per connection and a handler",
		Protocols: []string{"http1"},
		Missing:   map[string]string{"frame": "net/http speaks HTTP only; frames on a hijacked connection would be model goroutine"},
		HalfClose: "answers every whole request that came before the end, then closes; a partial one is answered with 400",
		Start:     start,
	})
}

// server is net/http's, with the counters of the contract.
type server struct {
	http     http.Server
	listener net.Listener
}

var _ kit.Server = (*server)(nil)

func start(env *kit.Env) (kit.Server, error) {
	l, err := env.Listener(context.Background())
	if err != nil {
		return nil, err
	}
	h := &handler{env: env, length: strconv.Itoa(len(env.Body()))}
	s := &server{listener: l, http: http.Server{Handler: h, ConnState: h.count}}
	go func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			env.Fail(fmt.Errorf("serving: %w", err))
		}
	}()
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.listener.Addr().String() }

// Stop is net/http's Shutdown; what doesn't end in time, as a client that never reads, is closed.
func (s *server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// handler answers requests as the contract says.
type handler struct {
	env    *kit.Env
	length string // of the payload
}

// count follows the connections. A hijacked one does not occur.
func (h *handler) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		h.env.Opened()
	case http.StateClosed:
		h.env.Closed()
	}
}

// ServeHTTP is called by a goroutine per connection.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer kit.Crash()
	route, work := kit.RouteOf(wire.MethodOf(r.Method), []byte(r.URL.Path))
	body, length, in := h.env.Body(), h.length, 0
	switch route {
	case kit.RouteEcho:
		var err error
		if body, err = read(w, r); err != nil {
			h.env.Count(1, 0, 0)
			return
		}
		in, length = len(body), strconv.Itoa(len(body))
	case kit.RouteNotFound:
		h.refuse(w, http.StatusNotFound, 0)
		return
	case kit.RouteNotAllowed:
		h.refuse(w, http.StatusMethodNotAllowed, 0)
		return
	}
	if work && h.env.DoWork(body[:in]) != nil {
		h.refuse(w, kit.StatusFailed, in)
		return
	}
	w.Header().Set("Content-Type", wire.ContentType)
	w.Header().Set("Content-Length", length)
	if r.Method == http.MethodHead {
		h.env.Count(1, 0, 0)
		return
	}
	h.env.Count(1, in, len(body))
	w.Write(body) // an error means that the client is gone, and net/http closes
}

// read returns the body, or answers 413 or 400 and returns an error.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, wire.MaxBody)
	var body []byte
	var err error
	if r.ContentLength >= 0 && r.ContentLength <= wire.MaxBody {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	if err == nil {
		return body, nil
	}
	w.Header().Set("Connection", "close")
	status := http.StatusBadRequest
	if errors.As(err, new(*http.MaxBytesError)) {
		status = http.StatusRequestEntityTooLarge
	}
	w.WriteHeader(status)
	return nil, err
}

// refuse answers, with a status that is no 200, a request whose body had in bytes.
func (h *handler) refuse(w http.ResponseWriter, status, in int) {
	body := kit.StatusBody(status)
	w.Header().Set("Content-Type", wire.ContentType)
	w.WriteHeader(status)
	h.env.Count(1, in, len(body))
	w.Write(body)
}
