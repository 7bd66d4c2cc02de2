package dispatch

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// configs is one of each kind and queue, with four workers.
func configs() map[string]Config {
	all := map[string]Config{}
	for _, kind := range Kinds {
		all[kind] = Config{Kind: kind, Workers: 4, Queue: "channel", Size: 8}
	}
	for _, q := range Queues {
		all["queue-"+q] = Config{Kind: "queue", Workers: 4, Queue: q, Size: 8}
	}
	all["unbounded"] = Config{Kind: "queue", Workers: 4, Queue: "mutex"}
	return all
}

// Every job runs once, and no more at a time than there are workers.
func TestJobsRun(t *testing.T) {
	const jobs = 5000
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			submit, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			most := map[string]int64{"queue1": 1, "spawn": jobs}[c.Kind]
			if most == 0 {
				most = int64(c.Workers)
			}
			var running, ran atomic.Int64
			var all sync.WaitGroup
			all.Add(jobs)
			for range jobs {
				submit(func() {
					defer all.Done()
					if n := running.Add(1); n > most {
						t.Errorf("%d jobs run at once, want at most %d", n, most)
					}
					ran.Add(1)
					running.Add(-1)
				})
			}
			all.Wait()
			if ran.Load() != jobs {
				t.Errorf("%d jobs ran, want %d", ran.Load(), jobs)
			}
		})
	}
}

// As many jobs as there are workers block at the same time: none waits behind another while a worker is free.
func TestAllWorkersWork(t *testing.T) {
	for name, c := range configs() {
		if c.Kind == "queue1" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			submit, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			for range 200 {
				var blocked, done sync.WaitGroup
				blocked.Add(c.Workers)
				done.Add(c.Workers)
				for range c.Workers {
					submit(func() {
						defer done.Done()
						blocked.Done()
						blocked.Wait()
					})
				}
				done.Wait()
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Kind: "ants", Size: 1}, "--pool-size 0"},
		{Config{Kind: "queue", Queue: "ring", Workers: 1}, "--queue-size 0"},
		{Config{Kind: "queue", Queue: "mutex", Workers: 1, Size: -1}, "--queue-size -1"},
		{Config{Kind: "chanchan", Workers: 1, Size: 1 << 30}, "--queue-size 1073741824"},
		{Config{Kind: "queue", Queue: "ring", Workers: 1, Size: 1, Spins: -1}, "--spins -1"},
	} {
		if err := c.config.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error with %q", c.config, err, c.want)
		}
	}
}
