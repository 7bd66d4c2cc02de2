// Command echo is the server of echo's README at v4.16.0 without its two middlewares, which log each request and catch panics,
// listening where it is told. It is what docs/FAIRNESS.md holds the model echo against.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/labstack/echo/v4"
)

func main() {
	e := echo.New()
	e.HideBanner = true
	e.GET("/", func(c echo.Context) error {
		return c.String(http.StatusOK, "Hello, World!")
	})
	log.Fatal(e.Start(os.Args[1]))
}
