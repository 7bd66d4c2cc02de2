package conform

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/servers/conform/cases"
	"github.com/millrace/millrace/servers/conform/probe"
)

// toyTarget is the test binary as a server with the fault.
func toyTarget(t *testing.T, fault, protocol string) Target {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env, err := exec.LookPath("env")
	if err != nil {
		t.Skip("no env to set a variable for the toy server")
	}
	return Target{Command: []string{env, toyFault + "=" + fault, self}, Protocol: protocol}
}

func mustRun(t *testing.T, target Target, opts Options) *Report {
	t.Helper()
	report, err := Run(t.Context(), target, opts)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestServers(t *testing.T) {
	for name, program := range buildServers(t) {
		d, err := probe.Describe(t.Context(), []string{program})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		variants := append([]probe.Variant{{}}, d.Variants...)
		if testing.Short() {
			variants = variants[:1]
		}
		for _, v := range variants {
			for protocol := range probe.Protocols {
				if !slices.Contains(d.Protocols, protocol) {
					continue
				}
				t.Run(strings.TrimSuffix(name+"/"+v.Name, "/")+"/"+protocol, func(t *testing.T) {
					t.Parallel()
					report := mustRun(t, Target{Command: []string{program}, Protocol: protocol, Args: v.Flags}, Options{})
					for _, c := range report.Failed() {
						t.Errorf("%s: %s", c.Name, c.Err)
					}
					t.Logf("%d cases in %.2f s", len(report.Cases), report.Seconds)
				})
			}
		}
	}
}

// buildServers builds every program of the folder above that serves, and returns their paths by name.
func buildServers(t *testing.T) map[string]string {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to build the servers with")
	}
	out, err := exec.CommandContext(t.Context(), goTool, "list", "-e", "-f", `{{if eq .Name "main"}}{{.Dir}}{{end}}`, "../...").Output()
	if err != nil {
		t.Fatalf("listing servers: %v", err)
	}
	built, dir := make(map[string]string), t.TempDir()
	for _, source := range strings.Fields(string(out)) {
		name := filepath.Base(source)
		if name == "downstream" {
			continue // a dependency of servers, under no protocol of theirs
		}
		built[name] = filepath.Join(dir, name)
		if text, err := exec.CommandContext(t.Context(), goTool, "build", "-o", built[name], source).CombinedOutput(); err != nil {
			t.Errorf("building %s: %v\n%s", name, err, text)
			delete(built, name)
		}
	}
	return built
}

func TestSoundToyPasses(t *testing.T) {
	for protocol := range probe.Protocols {
		t.Run(protocol, func(t *testing.T) {
			report := mustRun(t, toyTarget(t, "", protocol), Options{})
			if !report.Passed || report.Err() != nil {
				t.Errorf("a sound server did not pass: %v", report.Err())
			}
			for _, c := range report.Failed() {
				t.Errorf("%s: %s", c.Name, c.Err)
			}
			if len(report.Cases) != len(cases.List(protocol)) {
				t.Errorf("%d results for %d cases", len(report.Cases), len(cases.List(protocol)))
			}
			t.Logf("%d cases in %.2f s", len(report.Cases), report.Seconds)
		})
	}
}

// TestFaults puts a server with one fault to the cases that have to find it: each must fail, and say why in these words.
func TestFaults(t *testing.T) {
	tests := []struct {
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
		{"needs-whole-segments", "http1", []string{"split-offsets", "single-bytes"}, "repl"},
		{"needs-whole-segments", "frame", []string{"split-offsets", "single-bytes"}, "neither a whole reply nor a close"},
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
		{"exit-status", "frame", []string{"shutdown/under-load", "shutdown/stdin-end"}, "exit status 1"},
	}
	found := make(map[string]bool)
	for _, test := range tests {
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
	// Most of them wait for a limit, so more run at once than there are CPUs.
	reports, errs := make([]*Report, len(tests)), make([]error, len(tests))
	free := make(chan struct{}, 10)
	var wg sync.WaitGroup
	for i, test := range tests {
		target := toyTarget(t, test.fault, test.protocol)
		free <- struct{}{}
		wg.Go(func() {
			reports[i], errs[i] = Run(t.Context(), target, Options{Only: test.cases, Patience: 2 * time.Second})
			<-free
		})
	}
	wg.Wait()
	for i, test := range tests {
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

func TestForeign(t *testing.T) {
	s := &toy{protocol: "http1", payload: []byte("hello"), work: func() {}, conns: make(map[*toyConn]bool)}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	go s.accept()
	defer func() {
		_ = s.listener.Close()
		s.wg.Wait()
	}()
	addr := s.listener.Addr().String()
	report, err := RunAddr(t.Context(), addr, Target{Protocol: "http1", Payload: -1}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var skipped int
	for _, c := range report.Cases {
		if c.Skipped != "" {
			skipped++
		}
	}
	if !report.Passed || skipped == 0 || skipped > len(report.Cases)/2 || report.Program != addr {
		t.Errorf("%s: %v, %d of %d cases skipped", report.Program, report.Err(), skipped, len(report.Cases))
	}
	report, err = RunAddr(t.Context(), addr, Target{Protocol: "http1", Payload: 6}, Options{Only: []string{"http/get"}})
	if err != nil || report.Passed {
		t.Errorf("a payload of the wrong size passed: %v", err)
	}
}

func TestForeignCommand(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	target := toyTarget(t, "", "frame")
	target.Command = append(target.Command, "serve", "--listen", addr, "--protocol", "frame")
	target.Foreign, target.Addr = true, addr
	only := Options{Only: []string{"describe", "echo", "half-close/"}}
	if report := mustRun(t, target, only); !report.Passed || report.SHA256 == "" || report.Cases[0].Skipped == "" {
		t.Errorf("got %+v, %v", report, report.Err())
	}
	target.Args = []string{"--no-such-flag"}
	if report := mustRun(t, target, only); report.Passed || !strings.Contains(report.Err().Error(), "exit status 2") {
		t.Errorf("a server that ends at once: %v", report.Err())
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	report, err := RunAddr(t.Context(), addr, Target{Protocol: "frame"}, Options{Patience: 200 * time.Millisecond})
	if err != nil || report.Passed || !strings.Contains(report.Err().Error(), addr) {
		t.Errorf("got %+v, %v", report, err)
	}
}

func TestMisuse(t *testing.T) {
	check := func(name string, target Target, opts Options, words string) {
		t.Helper()
		if _, err := Run(t.Context(), target, opts); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: error %v, want %q in it", name, err, words)
		}
	}
	check("protocol", Target{Command: []string{"x"}, Protocol: "gopher"}, Options{}, "want http1 or frame")
	check("command", Target{Protocol: "http1"}, Options{}, "no command")
	check("address", Target{Protocol: "http1", Foreign: true}, Options{}, "no address")
	check("program", Target{Command: []string{"./no-such-program"}, Protocol: "http1"}, Options{}, "no-such-program")
	check("case", toyTarget(t, "", "http1"), Options{Only: []string{"no-such-case"}}, "want one of describe, ready-line")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, toyTarget(t, "", "http1"), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestCached(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cache")
	run := func(target Target) *Report {
		t.Helper()
		report, err := Cached(t.Context(), folder, target)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	files := func() int {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return len(entries)
	}
	broken := toyTarget(t, "no-doc", "frame")
	if run(broken).Passed || files() != 0 {
		t.Errorf("a report that failed was kept: %d files", files())
	}
	sound := toyTarget(t, "", "frame")
	first := run(sound)
	if !first.Passed || files() != 1 {
		t.Fatalf("%v, %d files", first.Err(), files())
	}
	if again := run(sound); again.Seconds != first.Seconds || len(again.Cases) != len(first.Cases) {
		t.Error("the suite ran again for the same checksum")
	}
	keys := map[string]string{}
	for name, change := range map[string]func(*Target){
		"args":     func(t *Target) { t.Args = []string{"-x"} },
		"protocol": func(t *Target) { t.Protocol = "http1" },
		"payload":  func(t *Target) { t.Payload = 14 },
		"command":  func(t *Target) { t.Command = append(slices.Clone(t.Command), "y") },
		"nothing":  func(*Target) {},
	} {
		other := sound
		change(&other)
		key := cacheKey(other, first.SHA256)
		if keys[key] != "" {
			t.Errorf("%s and %s share a key", name, keys[key])
		}
		keys[key] = name
	}
	path := filepath.Join(folder, cacheKey(Target{Command: sound.Command, Protocol: "frame", Payload: 13}, first.SHA256)+".json")
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again := run(sound); !again.Passed || again.Seconds == first.Seconds {
		t.Error("a damaged report was not made again")
	}
}
