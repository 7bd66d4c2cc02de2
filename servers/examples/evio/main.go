// Command evio is examples/echo-server of evio v1.0.8 with its defaults, listening where it is told. It is what
// docs/FAIRNESS.md holds the model evio against.
package main

import (
	"log"
	"os"

	"github.com/tidwall/evio"
)

func main() {
	var events evio.Events
	events.Data = func(_ evio.Conn, in []byte) (out []byte, action evio.Action) {
		out = in
		return
	}
	log.Fatal(evio.Serve(events, "tcp://"+os.Args[1]+"?reuseport=false"))
}
