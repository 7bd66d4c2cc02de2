// Command netpoll is the echo server of netpoll's guide (cloudwego.io/docs/netpoll/getting-started), listening where it is told.
// It is what docs/FAIRNESS.md holds the model netpoll against.
package main

import (
	"context"
	"log"
	"os"

	"github.com/cloudwego/netpoll"
)

func main() {
	listener, err := netpoll.CreateListener("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	loop, err := netpoll.NewEventLoop(handle)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(loop.Serve(listener))
}

func handle(_ context.Context, connection netpoll.Connection) error {
	reader, writer := connection.Reader(), connection.Writer()
	defer reader.Release()
	msg, err := reader.ReadString(reader.Len())
	if err != nil {
		return err
	}
	writer.WriteString(msg)
	return writer.Flush()
}
