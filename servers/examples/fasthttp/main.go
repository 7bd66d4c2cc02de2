// Command fasthttp is the server of fasthttp's README at v1.74.0 with this project's 13 bytes as its answer, listening where it
// is told. It is what docs/FAIRNESS.md holds the model fasthttp against.
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/valyala/fasthttp"
)

func main() {
	log.Fatal(fasthttp.ListenAndServe(os.Args[1], func(ctx *fasthttp.RequestCtx) {
		fmt.Fprintf(ctx, "Hello, World!")
	}))
}
