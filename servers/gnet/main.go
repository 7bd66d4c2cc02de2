// Command gnet is panjf2000/gnet v2 with its multi-core defaults: one loop accepts, one per core reads, handles and
// writes, or leaves the handling to a pool of goroutines.
package main

import (
	"flag"

	"github.com/millrace/millrace/servers/kit"
)

func main() {
	var pool string
	kit.Main(kit.Model{
		Name:      "gnet",
		Doc:       "panjf2000/gnet v2, multi-core: an epoll loop per core, requests handled on the loop",
		Module:    "github.com/panjf2000/gnet/v2",
		Protocols: []string{"http1", "frame"},
		Variants: []kit.Variant{{
			Name:  "ants",
			Doc:   "requests handled in gnet's ants pool of up to 262144 goroutines, replies handed back to the loop",
			Flags: []string{"--pool=ants"},
		}},
		HalfClose: "closes at the end of input, drops what the pool works on; holds the loop up to 1 s for the rest of a reply",
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &pool, "pool", "none (requests are handled on the loop) or ants", "none", "ants")
		},
		Start: func(env *kit.Env) (kit.Server, error) { return start(env, pool == "ants") },
	})
}
