// Command workers is a fixed pool of workers fed by one epoll reader: the reader reads and parses, a worker does the work
// and writes the reply. No framework but the pool.
package main

import (
	"flag"
	"fmt"

	"github.com/panjf2000/ants/v2"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// defaultWorkers is how many requests may be at work, and so be blocked, at once: many for one CPU, few beside
	// 10 000 connections, so that it is the pool that limits.
	defaultWorkers = 256
	// queuedJobs is how many jobs chanchan's queue holds before the reader waits.
	queuedJobs = 1024
)

func main() {
	var dispatch string
	var size int
	kit.Main(kit.Model{
		Name:      "workers",
		Doc:       "a fixed pool of 256 workers on ants, fed by an epoll reader; when all are busy the reader waits",
		Module:    "github.com/panjf2000/ants/v2",
		Protocols: []string{"http1", "frame"},
		Variants: []kit.Variant{{
			Name:  "chanchan",
			Doc:   "256 workers with a job channel each, handed out by a dispatcher through a channel of channels",
			Flags: []string{"--dispatch=chanchan"},
		}},
		HalfClose: "answers every whole request that came before the end, then closes; drops a partial one",
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &dispatch, "dispatch", "ants or chanchan", "ants", "chanchan")
			fs.IntVar(&size, "pool-size", defaultWorkers, "workers")
		},
		Start: func(env *kit.Env) (kit.Server, error) {
			if size < 1 || size > 1<<16 {
				return nil, fmt.Errorf("--pool-size %d: want 1 to %d", size, 1<<16)
			}
			if dispatch == "chanchan" {
				return start(env, chanchan(size))
			}
			pool, err := ants.NewPool(size, ants.WithDisablePurge(true))
			if err != nil {
				return nil, fmt.Errorf("making the pool: %w", err)
			}
			return start(env, func(c *conn) { pool.Submit(c.task) }) // waits while all are busy; fails only when closed
		},
	})
}

// chanchan starts workers and a dispatcher that hands each job to the channel of a free worker. The well-known form of
// this pattern starts a goroutine for every job that waits; here the queue is bounded and the reader waits instead.
func chanchan(size int) (submit func(*conn)) {
	jobs, free := make(chan *conn, queuedJobs), make(chan chan *conn, size)
	for range size {
		own := make(chan *conn)
		go func() {
			for {
				free <- own
				(<-own).run()
			}
		}()
	}
	go func() {
		for c := range jobs {
			(<-free) <- c
		}
	}()
	return func(c *conn) { jobs <- c }
}
