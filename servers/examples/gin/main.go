// Command gin is the server of gin's README at v1.12.0 with gin.New in place of gin.Default, whose middlewares log each request
// and catch panics, in release mode, listening where it is told. It is what docs/FAIRNESS.md holds the model gin against.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/", func(c *gin.Context) {
		c.String(http.StatusOK, "Hello, World!")
	})
	log.Fatal(r.Run(os.Args[1]))
}
