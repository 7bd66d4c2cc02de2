// The transport is the same for every model, and evio listens by itself.
//
//go:debug multipathtcp=0

// Command evio is tidwall/evio, the event loop that gnet began with: a loop per core reads, handles and writes, and all of them
// accept.
package main

import (
	"flag"

	"github.com/millrace/millrace/servers/kit"
)

func main() {
	var single, reuse bool
	kit.Main(kit.Model{
		Name:      "evio",
		Doc:       "tidwall/evio, an epoll loop per core: requests handled on the loop, replies written when it comes round again",
		Module:    "github.com/tidwall/evio",
		Protocols: []string{"http1", "frame"},
		Missing: map[string]string{
			"push": "Wake, its only way in from outside a loop, overwrites output that is not yet written, and nothing tells when it is",
			"ws":   "a ws server must be able to push, see push; echo over ws would do",
		},
		Variants: []kit.Variant{
			{Name: "single", Flags: []string{"--single"}, Doc: "one loop, as evio does unless it is told otherwise"},
			{Name: "reuse-input", Flags: []string{"--reuse-input"}, Doc: "input is handled where the loop has read it, not in a copy"},
		},
		HalfClose: "answers what came before the end and waits until the replies are taken, then closes; drops a partial request",
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&single, "single", false, "one loop for all cores instead of one for each")
			fs.BoolVar(&reuse, "reuse-input", false, "handle input in the loop's buffer instead of a copy")
		},
		Start: func(env *kit.Env) (kit.Server, error) { return start(env, single, reuse) },
	})
}
