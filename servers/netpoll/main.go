// Command netpoll is cloudwego/netpoll with its defaults: pollers read into linked buffers, a pooled goroutine handles what
// has arrived and writes.
package main

import (
	"flag"

	"github.com/millrace/millrace/servers/kit"
)

func main() {
	var runner string
	kit.Main(kit.Model{
		Name:      "netpoll",
		Doc:       "cloudwego/netpoll: GOMAXPROCS/20+1 pollers read, goroutines of its gopool handle and write",
		Module:    "github.com/cloudwego/netpoll",
		Protocols: []string{"http1", "frame"},
		Variants: []kit.Variant{{
			Name:  "inline",
			Doc:   "requests handled on the poller, replies that the socket doesn't take at once written by a goroutine",
			Flags: []string{"--runner=inline"},
		}},
		HalfClose: "answers every whole request that came before the end, then closes; may give up a small reply half written",
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &runner, "runner", "gopool (netpoll's default) or inline (requests are handled on the poller)", "gopool", "inline")
		},
		Start: func(env *kit.Env) (kit.Server, error) { return start(env, runner == "inline") },
	})
}
