// Command fasthttp is valyala/fasthttp with its defaults: HTTP/1.1 without net/http's allocations, a pooled goroutine per
// connection.
package main

import (
	"flag"

	"github.com/valyala/fasthttp"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/messages"
)

const why = "fasthttp is an HTTP framework; on a hijacked connection it would be model goroutine"

func main() {
	var routes string
	var objects kit.Objects
	kit.Main(kit.Model{
		Name:      "fasthttp",
		Doc:       "valyala/fasthttp with its defaults: a pooled goroutine per connection, requests and replies used again",
		Module:    "github.com/valyala/fasthttp",
		Protocols: []string{"http1", "ws"},
		Missing:   map[string]string{"frame": why, "push": why},
		Variants: append([]kit.Variant{{
			Name:  "router",
			Doc:   "requests find their handler by fasthttp/router, a route each for method and path",
			Flags: []string{"--router=fasthttp"},
		}}, kit.ObjectVariants()...),
		HalfClose: "answers every whole request that came before the end, then closes; a partial one is answered with 400",
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &routes, "router", "none (one handler looks at the path) or fasthttp (fasthttp/router)", "none", "fasthttp")
			objects.Flag(fs)
		},
		Start: func(env *kit.Env) (kit.Server, error) {
			h := &handler{env: env, objects: &objects, messages: messages.New(env)}
			switch {
			case env.Protocol == "ws":
				return h.start(h.upgrade)
			case routes == "fasthttp":
				return h.start(h.router().Handler)
			}
			return h.start(h.serve)
		},
	})
}

// handler answers requests as the contract says.
type handler struct {
	env      *kit.Env
	objects  *kit.Objects
	messages *messages.Server
}

// serve is called by a goroutine per connection.
func (h *handler) serve(ctx *fasthttp.RequestCtx) {
	route, work := kit.RouteOf(wire.MethodOf(ctx.Method()), ctx.Path())
	h.answer(ctx, route, work)
}

// answer does what the route says.
func (h *handler) answer(ctx *fasthttp.RequestCtx, route kit.Route, work bool) {
	defer kit.Crash()
	object := h.objects.Take(ctx.PostBody())
	failed := work && h.env.DoWork(ctx.PostBody()) != nil
	ctx.SetContentType(wire.ContentType)
	body, in := h.env.Body(), 0
	switch route {
	case kit.RouteEcho:
		body = ctx.PostBody()
		in = len(body)
	case kit.RouteNotFound:
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		body = kit.StatusBody(fasthttp.StatusNotFound)
	case kit.RouteNotAllowed:
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
		body = kit.StatusBody(fasthttp.StatusMethodNotAllowed)
	}
	if failed {
		ctx.SetStatusCode(kit.StatusFailed)
		body = kit.StatusBody(kit.StatusFailed)
	}
	ctx.SetBody(body)
	out := len(body)
	if ctx.IsHead() {
		out = 0
	}
	h.env.Count(1, in, out)
	h.objects.Release(object)
}
