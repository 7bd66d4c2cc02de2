// Command echo is labstack/echo with its defaults and no middleware, on net/http.
package main

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/kit/httpserver"
)

func main() {
	kit.Main(kit.Model{
		Name:      "echo",
		Doc:       "labstack/echo v4 without middleware: a radix tree of routes and pooled contexts on net/http",
		Module:    "github.com/labstack/echo/v4",
		Protocols: []string{"http1", "ws"},
		Missing:   httpserver.Missing("echo"),
		HalfClose: httpserver.HalfClose,
		Start: func(env *kit.Env) (kit.Server, error) {
			contract := httpserver.New(env, nil)
			return contract.Start(routes(contract, env.Protocol == "ws"))
		},
	})
}

// routes has a handler for each method and path of the contract.
func routes(contract *httpserver.Contract, ws bool) *echo.Echo {
	e := echo.New()
	if ws {
		e.GET("/", func(c echo.Context) error {
			defer kit.Crash()
			contract.Upgrade(c.Response(), c.Request())
			return nil
		})
	} else {
		for path, work := range map[string]bool{"/": false, "/work": true} {
			e.GET(path, answer(contract, kit.RoutePayload, work))
			e.HEAD(path, answer(contract, kit.RoutePayload, work))
			e.POST(path, answer(contract, kit.RouteEcho, work))
		}
	}
	notFound, notAllowed := answer(contract, kit.RouteNotFound, false), answer(contract, kit.RouteNotAllowed, false)
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if errors.Is(err, echo.ErrMethodNotAllowed) {
			_ = notAllowed(c)
		} else if !c.Response().Committed {
			_ = notFound(c)
		}
	}
	return e
}

// answer is a handler of one route.
func answer(contract *httpserver.Contract, route kit.Route, work bool) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer kit.Crash()
		reply, ok := contract.AnswerAt(c.Response(), c.Request(), route, work)
		if !ok {
			return nil
		}
		defer contract.Done(&reply)
		c.Response().Header().Set(echo.HeaderContentLength, reply.Length)
		if c.Request().Method == http.MethodHead {
			c.Response().Header().Set(echo.HeaderContentType, wire.ContentType)
			return c.NoContent(reply.Status)
		}
		_ = c.Blob(reply.Status, wire.ContentType, reply.Body) // an error means that the client is gone, and net/http closes
		return nil
	}
}
