package httpserver

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/messages"
)

// Contract says what requests are answered with. It is safe for any number of goroutines.
type Contract struct {
	env      *kit.Env
	objects  *kit.Objects
	length   string // of the payload
	messages *messages.Server
}

// New returns the contract of a server; objects is where its requests have their objects from, nil for nowhere.
func New(env *kit.Env, objects *kit.Objects) *Contract {
	return &Contract{env: env, objects: objects, length: strconv.Itoa(len(env.Body())), messages: messages.New(env)}
}

// Reply is what a request is answered with. Done must be called once it is written.
type Reply struct {
	Status int
	Body   []byte // empty of a reply to HEAD
	Length string // Content-Length
	object *kit.Object
}

// Answer reads the request, does its work and counts it. It is ok unless the request has been answered already, because its
// body could not be read.
func (c *Contract) Answer(w http.ResponseWriter, r *http.Request) (reply Reply, ok bool) {
	route, work := kit.RouteOf(wire.MethodOf(r.Method), []byte(r.URL.Path))
	return c.AnswerAt(w, r, route, work)
}

// AnswerAt is Answer where a router has found the route.
func (c *Contract) AnswerAt(w http.ResponseWriter, r *http.Request, route kit.Route, work bool) (reply Reply, ok bool) {
	reply = Reply{Status: http.StatusOK, Body: c.env.Body(), Length: c.length}
	var in []byte
	switch route {
	case kit.RouteEcho:
		var err error
		if in, err = read(w, r); err != nil {
			c.env.Count(1, 0, 0)
			return reply, false
		}
		reply.Body, reply.Length = in, strconv.Itoa(len(in))
	case kit.RouteNotFound:
		reply.refuse(http.StatusNotFound)
		work = false
	case kit.RouteNotAllowed:
		reply.refuse(http.StatusMethodNotAllowed)
		work = false
	}
	reply.object = c.objects.Take(in)
	if work && c.env.DoWork(in) != nil {
		reply.refuse(kit.StatusFailed)
	}
	if r.Method == http.MethodHead {
		reply.Body = nil
	}
	c.env.Count(1, len(in), len(reply.Body))
	return reply, true
}

// refuse makes it a reply that the contract has no answer for.
func (r *Reply) refuse(status int) {
	r.Status, r.Body = status, kit.StatusBody(status)
	r.Length = strconv.Itoa(len(r.Body))
}

// Done lets go of the request.
func (c *Contract) Done(r *Reply) { c.objects.Release(r.object) }

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
