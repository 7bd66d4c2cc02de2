// Package member is the program of a crew's member: package crew with the engines that can wait for those of other processes.
package member

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/crew"
	"github.com/millrace/millrace/clients/reactor"
)

// Name is that of the program which is nothing but Main: a small one, because what a program initializes takes memory in every
// member. Where it is not at hand, millrace with this name as its only argument does the same.
const Name = "millrace-member"

// Engines are those that members can make load with.
var Engines = []string{"epoll", "uring", "tls"}

const (
	// memoryLimit is when the collector, which is off, starts after all.
	memoryLimit = 1 << 30
	// tlsMemory is room for the sessions' garbage, and tlsConnection for each session.
	tlsMemory     = 64 << 20
	tlsConnection = 128 << 10
)

// Main serves on standard input and output, and returns the exit status.
func Main() int {
	// Nothing is allocated for a request, and a collection would cost more memory than it frees.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
	if err := crew.Serve(context.Background(), os.Stdin, os.Stdout, prepare); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Name, err)
		return 1
	}
	return 0
}

func prepare(plan *clients.Plan) (crew.Engine, error) {
	if !slices.Contains(Engines, plan.Engine) {
		return nil, fmt.Errorf("engine %q: want one of %v", plan.Engine, Engines)
	}
	threads := max(plan.Threads, 1)
	if plan.TLS != nil { // handshakes run beside the threads that send, and leave garbage
		debug.SetMemoryLimit(tlsMemory + int64(clients.Share(plan.Scenario.Connections.Count, plan.Agent, plan.Agents))*tlsConnection)
		threads *= 2
	}
	runtime.GOMAXPROCS(threads + 1)
	return reactor.New(plan)
}
