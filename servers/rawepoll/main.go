// Command rawepoll is the least that a Go server can do: one locked thread for each core with an epoll of its own and raw system
// calls, three for a request that comes alone: wait, receive, send. No framework, no goroutine per anything, and work is done on
// the loop. It is the floor of the comparison, and no advice.
package main

import (
	"flag"

	"github.com/millrace/millrace/servers/kit"
)

func main() {
	var listeners string
	kit.Main(kit.Model{
		Name:      "rawepoll",
		Doc:       "an epoll loop on a locked thread for each core, raw system calls, requests handled on the loop; the floor",
		Protocols: []string{"http1", "frame", "push", "ws"},
		Variants: []kit.Variant{{Name: "shared", Flags: []string{"--listeners=shared"},
			Doc: "one listener that all loops wait for, with EPOLLEXCLUSIVE, instead of one each with SO_REUSEPORT"}},
		HalfClose: "answers every whole request that came before the end, then closes; drops a partial one",
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &listeners, "listeners", "own (each loop has one, with SO_REUSEPORT) or shared", "own", "shared")
		},
		Start: func(env *kit.Env) (kit.Server, error) { return start(env, listeners == "shared") },
	})
}
