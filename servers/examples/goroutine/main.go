// Command goroutine is the example of package net (ExampleListener of Go 1.26), listening where it is told: it echoes, and so
// answers protocol frame. It is what docs/FAIRNESS.md holds the model goroutine against.
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func main() {
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	for {
		conn, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func(c net.Conn) {
			io.Copy(c, c)
			c.Close()
		}(conn)
	}
}
