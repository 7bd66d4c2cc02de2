package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/crew"
	"github.com/millrace/millrace/clients/fleet"
	"github.com/millrace/millrace/clients/push"
	"github.com/millrace/millrace/clients/reactor"
	"github.com/millrace/millrace/clients/vegeta"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/runner/sut"
)

func agentCommand() *cobra.Command {
	var role string
	c := &cobra.Command{
		Use:    "agent --role load|sut",
		Short:  "Be an agent of a run (started by run; reads its credentials on standard input)",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			exec, err := executor(role)
			if err != nil {
				return usage(err)
			}
			return fleet.ServeAgent(cmd.Context(), fleet.AgentOptions{Role: role, Stdin: cmd.InOrStdin()}, exec)
		},
	}
	c.Flags().StringVar(&role, "role", "", "what this agent does: load or sut")
	return c
}

func executor(role string) (fleet.Executor, error) {
	switch role {
	case "load":
		return &loader{}, nil
	case "sut":
		dir, err := serversDir()
		return sut.New(dir), err
	}
	return nil, fmt.Errorf("role %q: want load or sut", role)
}

// loader is the executor of the role "load".
type loader struct {
	engine clients.Engine
}

var _ fleet.Executor = (*loader)(nil)

// progressEvery is how often a load agent tells how it goes; each message costs its host a wake-up.
const progressEvery = 500 * time.Millisecond

func (l *loader) Prepare(_ context.Context, data json.RawMessage, spool string) (json.RawMessage, error) {
	var plan clients.Plan
	if err := json.Unmarshal(data, &plan); err != nil {
		return nil, fmt.Errorf("reading plan: %w", err)
	}
	plan.LogDir = spool
	tuneForLoad()
	var err error
	if plan.Processes > 1 {
		l.engine, err = newCrew(&plan)
	} else {
		l.engine, err = newEngine(&plan)
	}
	return json.RawMessage(`{}`), err
}

func (l *loader) Run(ctx context.Context, t0 int64, progress func(any)) (json.RawMessage, error) {
	engine := l.engine // Finish takes it away
	ended := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				progress(engine.Progress())
			case <-ended:
				return
			}
		}
	})
	report, err := engine.Run(ctx, t0)
	close(ended)
	telling.Wait()
	if report == nil {
		return nil, err
	}
	data, bad := json.Marshal(report)
	return data, errors.Join(err, bad)
}

func (l *loader) Finish(context.Context) (json.RawMessage, error) {
	if crew, ok := l.engine.(*crew.Crew); ok {
		crew.Close()
	}
	l.engine = nil
	runtime.GC() // between trials, so that none is needed within one
	return json.RawMessage(`{}`), nil
}

// newCrew makes a load of several processes.
func newCrew(plan *clients.Plan) (clients.Engine, error) {
	command, err := memberCommand()
	if err != nil {
		return nil, err
	}
	if !crewEngine(plan.Engine) {
		return nil, fmt.Errorf("a load of %d processes with engine %s: want engine epoll, uring or tls", plan.Processes, plan.Engine)
	}
	plan.Threads = 1
	if cpus, err := procfs.Affinity(); err == nil {
		plan.Threads = max(len(cpus)/plan.Processes, 1)
	}
	c, err := crew.New(crew.Config{
		Command: command, Members: plan.Processes, Stderr: os.Stderr,
		Env: []string{"GOMAXPROCS=" + strconv.Itoa(plan.Threads+1)},
	}, plan)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// newEngine makes the load engine that a plan names.
func newEngine(plan *clients.Plan) (clients.Engine, error) {
	e, err := bareEngine(plan)
	if err != nil {
		return nil, err
	}
	return verified{e, plan.Engine}, nil
}

func bareEngine(plan *clients.Plan) (clients.Engine, error) {
	switch plan.Engine {
	case "epoll", "uring", "tls":
		if plan.Scenario.Pushes() {
			return push.New(plan)
		}
		return reactor.New(plan)
	case "vegeta":
		return vegeta.New(plan)
	}
	return nil, fmt.Errorf("unknown engine %q: want one of %s", plan.Engine, strings.Join(clients.Engines, ", "))
}

// loadMemoryLimit is when the collector of a load process, which is off, starts after all.
const loadMemoryLimit = 2 << 30

// tuneForLoad sizes the runtime for the engine: a thread for each shard, one more for the rest, and no garbage
// collection in the middle of a measurement, since the engine allocates nothing for a request.
func tuneForLoad() {
	runtime.GOMAXPROCS(min(runtime.NumCPU(), reactor.MaxShards) + 1)
	debug.FreeOSMemory() // what starting the program left
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(loadMemoryLimit)
}

// knownEngine checks an engine's name.
func knownEngine(name string) error {
	if slices.Contains(clients.Engines, name) {
		return nil
	}
	return usage(fmt.Errorf("unknown engine %q: want one of %s", name, strings.Join(clients.Engines, ", ")))
}
