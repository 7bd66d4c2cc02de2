// Command gnet is the echo server of gnet's documentation (pkg.go.dev/github.com/panjf2000/gnet/v2, "a simple echo server"),
// listening where it is told. It is what docs/FAIRNESS.md holds the model gnet against.
package main

import (
	"log"
	"os"

	"github.com/panjf2000/gnet/v2"
)

type echoServer struct{ gnet.BuiltinEventEngine }

func (es *echoServer) OnTraffic(c gnet.Conn) gnet.Action {
	buf, _ := c.Next(-1)
	c.Write(buf)
	return gnet.None
}

func main() {
	log.Fatal(gnet.Run(&echoServer{}, "tcp://"+os.Args[1], gnet.WithMulticore(true)))
}
