// Command gnet is panjf2000/gnet v2 with its multi-core defaults: one loop accepts, one per core reads, handles and
// writes, or leaves the handling to a pool of goroutines.
package main

import (
	"flag"

	"github.com/panjf2000/gnet/v2"

	"github.com/millrace/millrace/servers/kit"
)

func main() {
	var pool string
	var options gnet.Options
	kit.Main(kit.Model{
		Name:      "gnet",
		Doc:       "panjf2000/gnet v2, multi-core: an epoll loop per core, requests handled on the loop",
		Module:    "github.com/panjf2000/gnet/v2",
		Protocols: []string{"http1", "frame", "push", "ws"},
		Variants: []kit.Variant{
			{Name: "ants", Flags: []string{"--pool=ants"},
				Doc: "requests handled in gnet's ants pool of up to 262144 goroutines, replies handed back to the loop"},
			{Name: "reuseport", Flags: []string{"--reuseport"},
				Doc: "a listener with SO_REUSEPORT for each loop, which accepts its own connections; no loop that only accepts"},
			{Name: "edge", Flags: []string{"--edge"}, Doc: "edge-triggered epoll, reads and writes of up to 1 MiB at once"},
			{Name: "tuned", Flags: []string{"--lock-threads"},
				Doc: "every loop on an OS thread of its own, as in the authors' benchmark"},
		},
		HalfClose: "closes at the end of input, drops what the pool works on; holds the loop up to 1 s for the rest of a reply",
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &pool, "pool", "none (requests are handled on the loop) or ants", "none", "ants")
			fs.BoolVar(&options.ReusePort, "reuseport", false, "a listener for each loop instead of one loop that accepts")
			fs.BoolVar(&options.EdgeTriggeredIO, "edge", false, "edge-triggered epoll instead of level-triggered")
			fs.BoolVar(&options.LockOSThread, "lock-threads", false, "lock every loop to an OS thread")
		},
		Start: func(env *kit.Env) (kit.Server, error) { return start(env, pool == "ants", options) },
	})
}
