// Package cases holds what the conformance suite asks of a server, case by case. A case gets a server and a time limit,
// and returns nil or what the server did wrong.
package cases

import (
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/servers/conform/probe"
)

// Case is one case of the suite. A case with neither Own nor Self shares its process with others that run at the same
// time. Against a foreign server only cases without Contract are run, all with the one server.
type Case struct {
	Name string
	// Own gives the case a fresh process, started with Args, because it counts, leaks or ends.
	Own  bool
	Args []string
	// Self: the case starts what it needs.
	Self bool
	// Echo: the server must answer with what it was sent.
	Echo bool
	// Pushing: the server must send on its own.
	Pushing bool
	// Contract: more is needed than the server's sockets.
	Contract bool
	// Ends: the case waits for the end of the server, which may take probe.ExitLimit.
	Ends bool
	Run  func(*probe.Attempt) error
}

// List returns the cases of a protocol in the order of reports.
func List(protocol string) []Case {
	switch protocol {
	case "http1":
		return slices.Concat(contractCases(), exchangeCases(), http1Cases())
	case "push":
		return slices.Concat(contractCases(), pushCases(), rawPushCases())
	case "ws":
		return slices.Concat(contractCases(), exchangeCases(), wsCases(), pushCases())
	}
	return slices.Concat(contractCases(), exchangeCases(), frameCases())
}

// contractCases ask for what every program does, whatever it speaks.
func contractCases() []Case {
	return []Case{
		{Name: "describe", Self: true, Contract: true, Run: describe},
		{Name: "ready-line", Own: true, Contract: true, Run: readiness},
		{Name: "usage/port-in-use", Self: true, Contract: true, Ends: true, Run: portInUse},
		{Name: "usage/unknown-flag", Self: true, Contract: true, Ends: true, Run: unknownFlag},
		{Name: "control/readings", Own: true, Contract: true, Run: readings},
		{Name: "control/unknown-command", Own: true, Contract: true, Run: unknownCommand},
		{Name: "control/gc", Own: true, Contract: true, Run: collect},
		{Name: "control/profile", Own: true, Contract: true, Run: profile},
		{Name: "shutdown/stdin-end", Own: true, Contract: true, Ends: true, Run: stdinEnd},
	}
}

// exchangeCases are those of protocols in which a request has a reply.
func exchangeCases() []Case {
	return []Case{
		{Name: "counters", Own: true, Contract: true, Run: counters},
		{Name: "work/sleep", Own: true, Contract: true, Args: work("sleep=20ms"), Run: workTakes(20*time.Millisecond, 3)},
		// Spins are calibrated to within 10 %, and the clock of a core may rise afterwards.
		{Name: "work/cpu", Own: true, Contract: true, Args: work("cpu=2ms"), Run: workTakes(1600*time.Microsecond, 15)},
		{Name: "work/replies", Own: true, Contract: true, Args: work("sleep=5ms"), Run: workReplies},
		{Name: "echo", Echo: true, Run: echoes},
		{Name: "keep-alive", Run: keepAlive},
		{Name: "split-offsets", Run: splitOffsets},
		{Name: "single-bytes", Run: singleBytes},
		{Name: "one-segment", Run: oneSegment},
		{Name: "pipeline", Run: pipeline},
		{Name: "slow-reader", Own: true, Echo: true, Run: slowReader},
		{Name: "idle-1000", Own: true, Run: idle},
		{Name: "half-close/after-request", Own: true, Args: work("sleep=2ms"), Run: halfCloseAfter},
		{Name: "half-close/big-reply", Own: true, Run: halfCloseBig},
		{Name: "half-close/mid-request", Own: true, Run: halfCloseMid},
		{Name: "hang-up/never-reads", Own: true, Run: neverReads},
		{Name: "hang-up/reset", Own: true, Run: resets},
		{Name: "shutdown/under-load", Own: true, Contract: true, Ends: true, Args: work("sleep=" + loadedWork.String()), Run: shutdownLoaded},
		{Name: "shutdown/finishes-work", Own: true, Contract: true, Ends: true, Args: work("sleep=150ms"), Run: shutdownWorking},
	}
}

func work(spec string) []string { return []string{"--work", spec} }

// numbered is n echoes with bodies of the size that no other request of the connection has. Size is at least 8.
func numbered(p probe.Protocol, n, size int) []probe.Request {
	requests := make([]probe.Request, n)
	for i := range requests {
		requests[i] = p.Echo(uint64(i+1), numberedBody(uint64(i+1), size))
	}
	return requests
}

// numberedBody is size bytes that begin and end with the number and depend on it between.
func numberedBody(id uint64, size int) []byte {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(uint64(i)*7 + id)
	}
	mark := fmt.Appendf(nil, "%08d", id%1e8)
	copy(body, mark)
	copy(body[max(0, size-len(mark)):], mark)
	return body
}
