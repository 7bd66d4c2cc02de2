// Package dispatch holds the ways in which jobs get from the reader to goroutines that run them.
package dispatch

import (
	"fmt"

	"github.com/panjf2000/ants/v2"

	"github.com/millrace/millrace/servers/workers/queue"
)

// Submit hands a job on. Where all workers are busy, and the queue is full if there is one, it waits. It is for one goroutine
// or many.
type Submit func(job func())

// Config says how jobs are dispatched.
type Config struct {
	// Kind is one of Kinds.
	Kind string
	// Workers of ants, chanchan and queue, from 1 on.
	Workers int
	// Queue is one of Queues, of queue; queue1 has a channel.
	Queue string
	// Size is how many jobs wait at most in the queue of chanchan, queue1 and queue. 0 is no limit, for queue mutex only.
	Size int
	// Spins is how often a goroutine looks again at a ring before it sleeps.
	Spins int
}

// Kinds are the ways, the default first: ants' pool; workers with a channel each, handed out by a dispatcher; a goroutine for
// every job, without a limit; one worker behind a buffered channel; a fixed number of workers behind one queue.
var Kinds = []string{"ants", "chanchan", "spawn", "queue1", "queue"}

// Queues are what a fixed number of workers can take from.
var Queues = []string{"channel", "mutex", "ring"}

const (
	maxWorkers = 1 << 16
	maxSize    = 1 << 20 // jobs
	maxSpins   = 1 << 20
)

// Validate names the flag that is out of range.
func (c *Config) Validate() error {
	least := 1
	if c.Kind == "queue" && c.Queue == "mutex" {
		least = 0
	}
	switch {
	case c.Workers < 1 || c.Workers > maxWorkers:
		return fmt.Errorf("--pool-size %d: want 1 to %d", c.Workers, maxWorkers)
	case c.Size < least && c.Size == 0:
		return fmt.Errorf("--queue-size 0 (no limit): want --dispatch=queue --queue=mutex, or 1 to %d jobs", maxSize)
	case c.Size < least || c.Size > maxSize:
		return fmt.Errorf("--queue-size %d: want %d to %d jobs", c.Size, least, maxSize)
	case c.Spins < 0 || c.Spins > maxSpins:
		return fmt.Errorf("--spins %d: want 0 to %d", c.Spins, maxSpins)
	}
	return nil
}

// New starts the workers, which end with the process. It validates c.
func New(c Config) (Submit, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch c.Kind {
	case "chanchan":
		return chanchan(c.Workers, c.Size), nil
	case "spawn":
		return func(job func()) { go job() }, nil
	case "queue1":
		return pool(1, make(queue.Channel[func()], c.Size)), nil
	case "queue":
		switch c.Queue {
		case "mutex":
			return pool(c.Workers, queue.NewDeque[func()](c.Size)), nil
		case "ring":
			return pool(c.Workers, queue.NewRing[func()](c.Size, c.Spins)), nil
		}
		return pool(c.Workers, make(queue.Channel[func()], c.Size)), nil
	}
	p, err := ants.NewPool(c.Workers, ants.WithDisablePurge(true))
	if err != nil {
		return nil, fmt.Errorf("making the pool: %w", err)
	}
	return func(job func()) { p.Submit(job) }, nil // waits while all are busy; fails only when closed
}

// pool starts workers that take from one queue.
func pool(workers int, q queue.Queue[func()]) Submit {
	for range workers {
		go func() {
			for {
				q.Take()()
			}
		}()
	}
	return q.Put
}

// chanchan starts workers and a dispatcher that hands each job to the channel of a free worker. The well-known form of
// this pattern starts a goroutine for every job that waits; here the queue is bounded and the reader waits instead.
func chanchan(workers, size int) Submit {
	jobs, free := make(chan func(), size), make(chan chan func(), workers)
	for range workers {
		own := make(chan func())
		go func() {
			for {
				free <- own
				(<-own)()
			}
		}()
	}
	go func() {
		for job := range jobs {
			(<-free) <- job
		}
	}()
	return func(job func()) { jobs <- job }
}
