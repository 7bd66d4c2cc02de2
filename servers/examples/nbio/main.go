// Command nbio is the echo server of nbio's README at v1.6.7, listening where it is told. It is what docs/FAIRNESS.md holds the
// model nbio against.
package main

import (
	"log"
	"os"

	"github.com/lesismal/nbio"
)

func main() {
	engine := nbio.NewEngine(nbio.Config{Network: "tcp", Addrs: []string{os.Args[1]}, MaxWriteBufferSize: 6 * 1024 * 1024})
	engine.OnData(func(c *nbio.Conn, data []byte) {
		c.Write(append([]byte{}, data...))
	})
	if err := engine.Start(); err != nil {
		log.Fatal(err)
	}
	select {}
}
