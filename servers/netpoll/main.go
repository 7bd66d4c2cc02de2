// Command netpoll is cloudwego/netpoll with its defaults: pollers read into linked buffers, a pooled goroutine handles what
// has arrived and writes.
package main

import (
	"errors"
	"flag"
	"runtime"
	"strconv"

	"github.com/millrace/millrace/servers/kit"
)

// maxPollers is the most of --pollers: more than any host here has cores.
const maxPollers = 64

// settings are the model's flags.
type settings struct {
	runner  string
	pollers int // 0 is netpoll's default
}

func main() {
	var s settings
	kit.Main(kit.Model{
		Name:      "netpoll",
		Doc:       "cloudwego/netpoll: GOMAXPROCS/20+1 pollers read, goroutines of its gopool handle and write",
		Module:    "github.com/cloudwego/netpoll",
		Protocols: []string{"http1", "frame", "push", "ws"},
		Variants: []kit.Variant{
			{Name: "inline", Flags: []string{"--runner=inline"},
				Doc: "requests handled on the poller, replies that the socket doesn't take at once written by a goroutine"},
			{Name: "pollers-2", Flags: []string{"--pollers=2"}, Doc: "two pollers"},
			{Name: "tuned", Flags: []string{"--runner=go", "--pollers=cores"},
				Doc: "GOMAXPROCS pollers, and a new goroutine instead of gopool's: the guide's advice for much I/O and flat stacks"},
		},
		HalfClose: "answers every whole request that came before the end, then closes; may give up a small reply half written",
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &s.runner, "runner", "who handles requests: gopool (netpoll's default), go (a new goroutine) or inline (the poller)",
				"gopool", "go", "inline")
			fs.Func("pollers", "epoll loops, or cores for GOMAXPROCS; GOMAXPROCS/20+1 by default", func(v string) error {
				if s.pollers = runtime.GOMAXPROCS(0); v != "cores" {
					s.pollers, _ = strconv.Atoi(v)
				}
				if s.pollers < 1 || s.pollers > maxPollers {
					return errors.New("want 1 to 64, or cores")
				}
				return nil
			})
		},
		Start: func(env *kit.Env) (kit.Server, error) { return start(env, &s) },
	})
}
