// Command nethttp is the server that most Go services run: net/http with its defaults.
package main

import (
	"flag"
	"net/http"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/httpserver"
)

func main() {
	var router string
	var objects kit.Objects
	kit.Main(kit.Model{
		Name:      "nethttp",
		Doc:       "Go's net/http server with its defaults: a goroutine per connection and a handler",
		Protocols: []string{"http1", "ws"},
		Missing:   httpserver.Missing("net/http"),
		Variants: append([]kit.Variant{{
			Name:  "mux",
			Doc:   "requests find their handler by http.ServeMux, a route each for method and path",
			Flags: []string{"--router=mux"},
		}}, kit.ObjectVariants()...),
		HalfClose: httpserver.HalfClose,
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &router, "router", "none (one handler looks at the path) or mux (http.ServeMux)", "none", "mux")
			objects.Flag(fs)
		},
		Start: func(env *kit.Env) (kit.Server, error) {
			h := &handler{httpserver.New(env, &objects)}
			switch {
			case env.Protocol == "ws":
				return h.contract.Start(http.HandlerFunc(h.contract.Upgrade))
			case router == "mux":
				return h.contract.Start(h.mux())
			}
			return h.contract.Start(h)
		},
	})
}

// handler answers requests as the contract says.
type handler struct{ contract *httpserver.Contract }

// ServeHTTP is called by a goroutine per connection.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer kit.Crash()
	if reply, ok := h.contract.Answer(w, r); ok {
		h.write(w, &reply)
	}
}

// mux has a handler for each route; what has none gets the contract's 404 or 405.
func (h *handler) mux() http.Handler {
	mux := http.NewServeMux()
	at := func(pattern string, route kit.Route, work bool) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			defer kit.Crash()
			if reply, ok := h.contract.AnswerAt(w, r, route, work); ok {
				h.write(w, &reply)
			}
		})
	}
	at("GET /{$}", kit.RoutePayload, false) // and HEAD
	at("GET /work", kit.RoutePayload, true)
	at("POST /{$}", kit.RouteEcho, false)
	at("POST /work", kit.RouteEcho, true)
	mux.Handle("/", h)
	return mux
}

func (h *handler) write(w http.ResponseWriter, reply *httpserver.Reply) {
	header := w.Header()
	header.Set("Content-Type", wire.ContentType)
	header.Set("Content-Length", reply.Length)
	if reply.Status != http.StatusOK {
		w.WriteHeader(reply.Status)
	}
	if len(reply.Body) > 0 {
		w.Write(reply.Body) // an error means that the client is gone, and net/http closes
	}
	h.contract.Done(reply)
}
