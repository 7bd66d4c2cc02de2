package conform

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/servers/conform/cases"
	"github.com/millrace/millrace/servers/conform/probe"
)

// faults lists what the toy server can do wrong, the cases that have to find it, and words of the cause they give.
var faults = []struct {
	fault    string
	protocol string
	cases    []string
	words    string
}{
	{"no-doc", "http1", []string{"describe"}, "lacks doc"},
	{"ready-pid", "http1", []string{"ready-line"}, "pid"},
	{"never-ready", "http1", []string{"ready-line", "echo"}, "no ready line in time"},
	{"port-message", "http1", []string{"usage/port-in-use"}, "does not name the address"},
	{"flag-status", "http1", []string{"usage/unknown-flag"}, "exit status 1, want 2"},
	{"no-stacks", "frame", []string{"control/readings"}, "lack stack_bytes"},
	{"silent-control", "http1", []string{"control/readings", "counters", "idle-1000"}, "none with id"},
	{"accepts-any-command", "http1", []string{"control/unknown-command"}, "without an error"},
	{"no-gc", "http1", []string{"control/gc"}, "gc_cycles"},
	{"profile-blocks", "http1", []string{"control/profile"}, "readings waited"},
	{"wrong-counters", "http1", []string{"counters"}, "handled is"},
	{"wrong-counters", "frame", []string{"counters"}, "handled is"},
	{"no-work", "http1", []string{"work/sleep", "work/cpu"}, "was answered after"},
	{"no-work", "frame", []string{"work/sleep"}, "was answered after"},
	{"wrong-body", "http1", []string{"echo", "pipeline", "http/pipeline-mixed", "slow-reader", "work/replies"}, "body differs at byte"},
	{"wrong-body", "frame", []string{"echo", "pipeline", "frame/ids", "frame/largest"}, "body differs at byte"},
	{"short-body", "http1", []string{"http/get", "keep-alive"}, "body of 12 bytes"},
	{"needs-whole-segments", "http1", []string{"split-offsets", "single-bytes"}, ""},
	{"needs-whole-segments", "frame", []string{"split-offsets", "single-bytes"}, ""},
	{"drops-rest-of-segment", "http1", []string{"one-segment", "pipeline", "http/pipeline-mixed"}, "neither a whole reply nor a close"},
	{"drops-rest-of-segment", "frame", []string{"one-segment", "pipeline"}, "neither a whole reply nor a close"},
	{"swaps-replies", "http1", []string{"pipeline", "one-segment", "http/pipeline-mixed"}, "reply "},
	{"extra-bytes", "http1", []string{"one-segment", "pipeline", "http/connection-close"}, "reply"},
	{"answers-twice", "http1", []string{"echo", "http/get", "http/connection-close"}, "reply"},
	{"answers-twice", "frame", []string{"echo", "pipeline", "half-close/after-request"}, "repl"},
	{"drops-work-bit", "frame", []string{"frame/ids", "keep-alive"}, "no longer asked for"},
	{"ignores-close", "http1", []string{"http/connection-close", "http/1.0"}, "neither a whole reply nor a close"},
	{"never-writes-big", "http1", []string{"slow-reader"}, "neither a whole reply nor a close"},
	{"serves-500", "http1", []string{"idle-1000"}, "neither a whole reply nor a close"},
	{"leaks-goroutines", "http1", []string{"idle-1000", "half-close/after-request", "hang-up/reset"}, "goroutines leak"},
	{"leaks-files", "frame", []string{"half-close/mid-request", "hang-up/reset"}, ""},
	{"leaks-at-reset", "http1", []string{"hang-up/reset", "hang-up/never-reads"}, "connections leak"},
	{"leaks-at-reset", "frame", []string{"hang-up/reset", "hang-up/never-reads"}, "connections leak"},
	{"hangs-at-half-close", "http1", []string{"half-close/after-request", "half-close/mid-request", "half-close/big-reply"}, ""},
	{"hangs-at-half-close", "frame", []string{"half-close/after-request", "half-close/mid-request"}, ""},
	{"cuts-at-half-close", "http1", []string{"half-close/after-request", "half-close/big-reply"}, "in the middle of a reply"},
	{"cuts-at-half-close", "frame", []string{"half-close/after-request", "half-close/big-reply"}, "in the middle of a reply"},
	{"accepts-malformed", "http1", malformedNames("http1"), "status 200, want 400"},
	{"accepts-malformed", "frame", malformedNames("frame"), ""},
	{"hangs-at-malformed", "http1", malformedNames("http1"), "neither a whole reply nor a close"},
	{"ignores-chunks", "http1", []string{"http/chunked"}, "want an echo of the chunks"},
	{"fails-at-unknown", "http1", []string{"http/unknown-path", "http/unknown-method"}, "status 500"},
	{"works-aside", "http1", []string{"work/replies"}, "reply 1 of 5"},
	{"answers-half-a-request", "http1", []string{"half-close/mid-request"}, "status 200, want 400"},
	{"answers-half-a-request", "frame", []string{"half-close/mid-request"}, "status 200, want 400"},
	{"cuts-while-draining", "http1", []string{"shutdown/under-load", "shutdown/finishes-work"}, "in the middle of a reply"},
	{"cuts-while-draining", "frame", []string{"shutdown/under-load", "shutdown/finishes-work"}, "in the middle of a reply"},
	{"panics", "http1", []string{"shutdown/finishes-work"}, ""},
	{"prefers-length", "http1", []string{"malformed/length-and-chunked"}, "body \"2\\r\\n\""},
	{"cuts-at-shutdown", "http1", []string{"shutdown/finishes-work"}, "closed without a reply"},
	{"ignores-sigterm", "http1", []string{"shutdown/under-load", "shutdown/finishes-work"}, "still running"},
	{"ignores-stdin", "http1", []string{"shutdown/stdin-end"}, "still running"},
	{"push-gap", "push", []string{"push/frames", "push/leaving"}, "behind frame"},
	{"push-gap", "ws", []string{"push/frames"}, "behind frame"},
	{"push-zero-clock", "push", []string{"push/frames"}, "not between the subscription"},
	{"push-wrong-payload", "push", []string{"push/frames", "push/many"}, "payload"},
	{"push-own-clocks", "push", []string{"push/same-to-all"}, "for one subscriber and"},
	{"needs-whole-segments", "push", []string{"push/pieces"}, "neither a whole reply nor a close"},
	{"push-answers-heartbeats", "push", []string{"push/heartbeat"}, "a body of 0 bytes"},
	{"push-to-all", "push", []string{"push/unasked"}, "did not subscribe"},
	{"push-forgets-leaving", "push", []string{"push/leaving", "push/counters"}, "subscribers"},
	{"push-cuts-at-half-close", "push", []string{"push/half-close"}, "in the middle of a reply"},
	{"leaks-at-reset", "push", []string{"push/hang-up"}, "connections leak"},
	{"serves-500", "push", []string{"push/many"}, "neither a whole reply nor a close"},
	{"push-miscounts", "push", []string{"push/counters"}, "delivered"},
	{"push-unbounded", "push", []string{"push/drop-oldest", "push/disconnect", "push/block"}, "does not"},
	{"push-unbounded", "ws", []string{"push/drop-oldest", "push/disconnect", "push/block"}, "does not"},
	{"push-cuts-at-shutdown", "push", []string{"shutdown/subscribers"}, "in the middle of a reply"},
	{"accepts-malformed", "push", []string{"malformed/no-subscription"}, "neither a whole reply nor a close"},
	{"ws-wrong-accept", "ws", []string{"ws/handshake", "echo"}, "does not answer the key"},
	{"ws-exact-values", "ws", []string{"ws/handshake"}, "keep-alive, Upgrade"},
	{"ws-handshake-in-one", "ws", []string{"ws/handshake-pieces"}, "handshake in pieces"},
	{"ws-accepts-any", "ws", namesBelow("ws", "ws/no-handshake/"), "status 101, want 4xx"},
	{"ws-mask-of-one-byte", "ws", []string{"ws/masks"}, "body differs"},
	{"ws-binary-only", "ws", []string{"ws/text", "ws/fragments"}, "opcode 2, want 1"},
	{"ws-drops-fragments", "ws", []string{"ws/fragments"}, "in fragments"},
	{"ws-no-pong", "ws", []string{"ws/ping"}, "neither a whole reply nor a close"},
	{"ws-no-echo-to-subscribers", "ws", []string{"ws/push-and-echo"}, ""},
	{"ws-silent-close", "ws", namesBelow("ws", "ws/close-"), "want a close frame"},
	{"ws-lenient", "ws", namesBelow("ws", "ws/refuses/"), ""},
	{"wrong-counters", "ws", []string{"counters"}, "handled is"},
	{"answers-twice", "ws", []string{"echo", "pipeline"}, "repl"},
	{"exit-status", "frame", []string{"shutdown/under-load", "shutdown/stdin-end"}, "exit status 1"},
}

// TestEveryCaseCanFail wants a fault for every case.
func TestEveryCaseCanFail(t *testing.T) {
	found := make(map[string]bool)
	for _, test := range faults {
		for _, name := range test.cases {
			found[name] = true
		}
	}
	for protocol := range probe.Protocols {
		for _, c := range cases.List(protocol) {
			if !found[c.Name] {
				t.Errorf("no fault is known that %s finds: a check that can't fail is none", c.Name)
			}
		}
	}
}

// TestFaults puts a server with one fault to the cases that have to find it: each must fail, and say why in these words.
func TestFaults(t *testing.T) {
	t.Parallel()
	// Most of them wait for a limit, so more run at once than there are CPUs.
	reports, errs := make([]*Report, len(faults)), make([]error, len(faults))
	free := make(chan struct{}, 10/slow)
	var wg sync.WaitGroup
	for i, test := range faults {
		target := toyTarget(t, test.fault, test.protocol)
		free <- struct{}{}
		wg.Go(func() {
			reports[i], errs[i] = Run(t.Context(), target, Options{Only: test.cases, Patience: 2 * time.Second * slow})
			<-free
		})
	}
	wg.Wait()
	for i, test := range faults {
		t.Run(test.fault+"/"+test.protocol, func(t *testing.T) {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			if reports[i].Passed || reports[i].Err() == nil {
				t.Error("the report passed")
			}
			for _, c := range reports[i].Cases {
				if c.Passed || c.Skipped != "" {
					t.Errorf("%s did not find the fault", c.Name)
				} else if !strings.Contains(c.Err, test.words) {
					t.Errorf("%s: %s: want a cause with %q", c.Name, c.Err, test.words)
				}
			}
		})
	}
}

// namesBelow are the cases of a protocol whose names begin so.
func namesBelow(protocol, prefix string) (names []string) {
	for _, c := range cases.List(protocol) {
		if strings.HasPrefix(c.Name, prefix) {
			names = append(names, c.Name)
		}
	}
	return names
}

// malformedNames are the cases of malformed input that the toy's accepting it must fail. What can be read as well as it
// can be refused is apart, and a length that is right by accident.
func malformedNames(protocol string) []string {
	var names []string
	for _, c := range cases.List(protocol) {
		if strings.HasPrefix(c.Name, "malformed/") && c.Name != "malformed/length-and-chunked" {
			names = append(names, c.Name)
		}
	}
	return names
}
