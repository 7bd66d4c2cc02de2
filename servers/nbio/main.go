// Command nbio is lesismal/nbio with its defaults: Go's net accepts, a poller for every four cores reads and handles, and
// writes what the sockets take.
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
	pollers int // 0 is nbio's default
	edge    bool
}

func main() {
	var s settings
	kit.Main(kit.Model{
		Name:      "nbio",
		Doc:       "lesismal/nbio, plain TCP: NumCPU/4 pollers, at least one, read and handle requests",
		Module:    "github.com/lesismal/nbio",
		Protocols: []string{"http1", "frame", "push", "ws"},
		Variants: []kit.Variant{
			{Name: "cores", Flags: []string{"--pollers=cores"}, Doc: "a poller for each core"},
			{Name: "edge", Flags: []string{"--edge"}, Doc: "edge-triggered epoll"},
		},
		HalfClose: "answers every whole request that came before the end, then closes; what a socket didn't take, a goroutine writes",
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&s.edge, "edge", false, "edge-triggered epoll instead of level-triggered")
			fs.Func("pollers", "epoll loops, or cores; nbio's default is a quarter of the cores", func(v string) error {
				if s.pollers = runtime.NumCPU(); v != "cores" {
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
