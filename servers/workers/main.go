// Command workers is a fixed pool of workers fed by one epoll reader: the reader reads and parses, a worker does the work
// and writes the reply. No framework but the pool, and in variants not even that.
package main

import (
	"flag"
	"strings"

	"github.com/millrace/millrace/servers/kit"
	"github.com/millrace/millrace/servers/workers/dispatch"
)

const (
	// defaultWorkers is how many requests may be at work, and so be blocked, at once: many for one CPU, few beside
	// 10 000 connections, so that it is the pool that limits.
	defaultWorkers = 256
	// queuedJobs is how many jobs a queue holds before the reader waits.
	queuedJobs = 1024
)

var variants = []kit.Variant{
	{Name: "chanchan", Flags: []string{"--dispatch=chanchan"},
		Doc: "256 workers with a job channel each, handed out by a dispatcher through a channel of channels"},
	{Name: "spawn", Flags: []string{"--dispatch=spawn"},
		Doc: "a goroutine for every job, without a limit but that a connection has one job at a time"},
	{Name: "queue1", Flags: []string{"--dispatch=queue1"},
		Doc: "one worker behind a buffered channel of 1024 jobs"},
	{Name: "queue-channel", Flags: []string{"--dispatch=queue", "--queue=channel"},
		Doc: "256 workers behind a buffered channel of 1024 jobs"},
	{Name: "queue-mutex", Flags: []string{"--dispatch=queue", "--queue=mutex"},
		Doc: "256 workers behind a queue of 1024 jobs, a mutex and two conditions"},
	{Name: "queue-ring", Flags: []string{"--dispatch=queue", "--queue=ring"},
		Doc: "256 workers behind a lock-free ring of 1024 jobs; who finds it empty sleeps"},
	{Name: "queue-ring-spin", Flags: []string{"--dispatch=queue", "--queue=ring", "--spins=1000"},
		Doc: "queue-ring, whose idle workers look 1000 times more before they sleep"},
	{Name: "unbounded", Flags: []string{"--dispatch=queue", "--queue=mutex", "--queue-size=0"},
		Doc: "queue-mutex without a limit: the reader never waits"},
}

func main() {
	var c dispatch.Config
	kit.Main(kit.Model{
		Name:      "workers",
		Doc:       "a fixed pool of 256 workers on ants, fed by an epoll reader; when all are busy the reader waits",
		Module:    "github.com/panjf2000/ants/v2",
		Protocols: []string{"http1", "frame", "push", "ws"},
		Variants:  variants,
		HalfClose: "answers every whole request that came before the end, then closes; drops a partial one",
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &c.Kind, "dispatch", strings.Join(dispatch.Kinds, ", "), dispatch.Kinds...)
			kit.Choice(fs, &c.Queue, "queue", "with --dispatch=queue: "+strings.Join(dispatch.Queues, ", "), dispatch.Queues...)
			fs.IntVar(&c.Workers, "pool-size", defaultWorkers, "workers of ants, chanchan and queue")
			fs.IntVar(&c.Size, "queue-size", queuedJobs, "jobs that wait in the queue of chanchan, queue1 and queue before the reader does; 0 for no limit")
			fs.IntVar(&c.Spins, "spins", 0, "how often a goroutine looks again at a ring before it sleeps")
		},
		Start: func(env *kit.Env) (kit.Server, error) {
			submit, err := dispatch.New(c)
			if err != nil {
				return nil, err
			}
			return start(env, submit)
		},
	})
}
