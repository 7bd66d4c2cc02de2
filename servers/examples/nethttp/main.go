// Command nethttp is the example of package net/http (ExampleListenAndServe of Go 1.26), listening where it is told. It is what
// docs/FAIRNESS.md holds the model nethttp against.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "Hello, World!")
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
