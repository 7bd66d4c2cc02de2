// Command goroutine is the server that Go's net package leads to: a goroutine per connection that reads, handles and
// writes, or two, where reading and writing are apart; and what programs do about the rest: several listeners, a limit, a
// goroutine per message, buffers and objects that are shared.
package main

import (
	"flag"
	"fmt"

	"github.com/millrace/millrace/servers/goroutine/conn"
	"github.com/millrace/millrace/servers/kit"
)

const (
	// defaultLimit is the limit of the limit variants, as flags have it: a tenth of what a burst's 10 000 connections need.
	defaultLimit = "1000"
	maxLimit     = 1 << 24
)

// settings are the model's flags.
type settings struct {
	duplex, spawn, reuseport bool
	limit                    int
	how                      string // of limit: wait or refuse
	buffers                  string
	objects                  kit.Objects
}

func main() {
	var s settings
	kit.Main(kit.Model{
		Name:      "goroutine",
		Doc:       "a goroutine per connection on Go's net package: reads, handles, writes",
		Protocols: []string{"http1", "frame", "push", "ws"},
		Variants:  append(variants, kit.ObjectVariants()...),
		HalfClose: "answers every whole request that came before the end, then closes; drops a partial one",
		Flags:     s.add,
		Start: func(env *kit.Env) (kit.Server, error) {
			if err := s.validate(); err != nil {
				return nil, err
			}
			env.UseObjects(&s.objects)
			return start(env, &s)
		},
	})
}

var variants = []kit.Variant{
	{Name: "duplex", Flags: []string{"--duplex"},
		Doc: "two goroutines per connection, a reader that handles and a writer, with a bounded channel between"},
	{Name: "reuseport", Flags: []string{"--reuseport"},
		Doc: "a listener with SO_REUSEPORT and its accept goroutine for each CPU, two at least"},
	{Name: "limit", Flags: []string{"--limit=" + defaultLimit},
		Doc: "netutil.LimitListener: beyond " + defaultLimit + " connections none is accepted, they wait in the backlog"},
	{Name: "limit-refuse", Flags: []string{"--limit=" + defaultLimit, "--limit-how=refuse"},
		Doc: "a connection beyond " + defaultLimit + " is closed at once"},
	{Name: "spawn", Flags: []string{"--spawn"},
		Doc: "a goroutine per connection that reads, and one for every request, with new buffers each time"},
	{Name: "buffers-pooled", Flags: []string{"--buffers=pooled"},
		Doc: "buffers from a sync.Pool while a connection has input; none while it waits for some"},
	{Name: "buffers-ondemand", Flags: []string{"--buffers=ondemand"},
		Doc: "new buffers whenever a connection has input; none while it waits for some"},
}

func (s *settings) add(fs *flag.FlagSet) {
	fs.BoolVar(&s.duplex, "duplex", false, "two goroutines per connection instead of one")
	fs.BoolVar(&s.spawn, "spawn", false, "a goroutine per request beside the one that reads")
	fs.BoolVar(&s.reuseport, "reuseport", false, "a listener with SO_REUSEPORT for each CPU, two at least, instead of one")
	fs.IntVar(&s.limit, "limit", 0, "connections at most, 0 for no limit")
	kit.Choice(fs, &s.how, "limit-how", "what becomes of a connection beyond --limit: wait (it is not accepted yet) or refuse (it is closed)",
		"wait", "refuse")
	kit.Choice(fs, &s.buffers, "buffers", "own (a connection keeps its own), pooled or ondemand (it has some only while it has input)",
		"own", "pooled", "ondemand")
	s.objects.Flag(fs)
}

func (s *settings) validate() error {
	switch {
	case s.limit < 0 || s.limit > maxLimit:
		return fmt.Errorf("--limit %d: want 1 to %d connections, or 0 for no limit", s.limit, maxLimit)
	case s.limit == 0 && s.how != "wait":
		return fmt.Errorf("--limit-how=%s without --limit: say how many connections, such as --limit=%s", s.how, defaultLimit)
	case s.limit > 0 && s.reuseport && s.how == "wait":
		return fmt.Errorf("--limit %d with --reuseport: LimitListener limits one listener: want --limit-how=refuse, or one of the two", s.limit)
	case s.duplex && s.spawn:
		return fmt.Errorf("--duplex with --spawn: with a goroutine per request there is no writer: want one of the two")
	case s.buffers != "own" && (s.duplex || s.spawn):
		return fmt.Errorf("--buffers=%s with --duplex or --spawn: want --buffers=own, or neither of the two", s.buffers)
	}
	return nil
}

// serve is how connections are served.
func (s *settings) serve() conn.Serve {
	switch {
	case s.duplex:
		return conn.Duplex
	case s.spawn:
		return conn.Spawn
	case s.buffers == "pooled":
		return conn.Pooled
	case s.buffers == "ondemand":
		return conn.OnDemand
	}
	return conn.Half
}
