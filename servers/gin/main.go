// Command gin is gin-gonic/gin in release mode without middleware, on net/http.
package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/httpserver"
)

func main() {
	kit.Main(kit.Model{
		Name:      "gin",
		Doc:       "gin-gonic/gin in release mode without middleware: a radix tree of routes and pooled contexts on net/http",
		Module:    "github.com/gin-gonic/gin",
		Protocols: []string{"http1", "ws"},
		Missing:   httpserver.Missing("gin"),
		HalfClose: httpserver.HalfClose,
		Start: func(env *kit.Env) (kit.Server, error) {
			contract := httpserver.New(env, nil)
			return contract.Start(routes(contract, env.Protocol == "ws"))
		},
	})
}

// routes has a handler for each method and path of the contract.
func routes(contract *httpserver.Contract, ws bool) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.HandleMethodNotAllowed = true // the contract's 405
	if ws {
		g.GET("/", func(c *gin.Context) {
			defer kit.Crash()
			contract.Upgrade(c.Writer, c.Request)
		})
	} else {
		for path, work := range map[string]bool{"/": false, "/work": true} {
			g.GET(path, answer(contract, kit.RoutePayload, work))
			g.HEAD(path, answer(contract, kit.RoutePayload, work))
			g.POST(path, answer(contract, kit.RouteEcho, work))
		}
	}
	g.NoRoute(answer(contract, kit.RouteNotFound, false))
	g.NoMethod(answer(contract, kit.RouteNotAllowed, false))
	return g
}

// answer is a handler of one route.
func answer(contract *httpserver.Contract, route kit.Route, work bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer kit.Crash()
		reply, ok := contract.AnswerAt(c.Writer, c.Request, route, work)
		if !ok {
			return
		}
		c.Header("Content-Length", reply.Length)
		c.Data(reply.Status, wire.ContentType, reply.Body)
		contract.Done(&reply)
	}
}
