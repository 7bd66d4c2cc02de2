// Command goroutine is the server that Go's net package leads to: a goroutine per connection that reads, handles and
// writes, or two, where reading and writing are apart.
package main

import (
	"flag"

	"github.com/millrace/millrace/servers/kit"
)

func main() {
	var duplex bool
	kit.Main(kit.Model{
		Name:      "goroutine",
		Doc:       "a goroutine per connection on Go's net package: reads, handles, writes",
		Protocols: []string{"http1", "frame"},
		Variants: []kit.Variant{{
			Name:  "duplex",
			Doc:   "two goroutines per connection, a reader that handles and a writer, with a bounded channel between",
			Flags: []string{"--duplex"},
		}},
		HalfClose: "answers every whole request that came before the end, then closes; drops a partial one",
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&duplex, "duplex", false, "two goroutines per connection instead of one")
		},
		Start: func(env *kit.Env) (kit.Server, error) { return start(env, duplex) },
	})
}
