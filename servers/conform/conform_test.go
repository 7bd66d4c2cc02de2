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

// TestServers puts every server of this project to the whole suite.
//
// Variants are put to their first protocol only, unless MILLRACE_CONFORM_ALL is set: a run conforms each once before it
// measures it, and `make conform` does all.
func TestServers(t *testing.T) {
	for name, program := range buildServers(t) {
		d, err := probe.Describe(t.Context(), []string{program})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		variants := append([]probe.Variant{{}, {Name: "inject", Flags: []string{"--inject", "20us"}}}, d.Variants...)
		if testing.Short() {
			variants = variants[:1]
		}
		for _, v := range variants {
			for protocol := range probe.Protocols {
				if !slices.Contains(d.Protocols, protocol) {
					continue
				}
				if v.Name != "" && protocol != d.Protocols[0] && os.Getenv(allEnv) == "" {
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

// allEnv asks for every variant in every protocol, which takes ten minutes.
const allEnv = "MILLRACE_CONFORM_ALL"

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
		if name == "downstream" || filepath.Base(filepath.Dir(source)) == "examples" {
			continue // a dependency of servers, and what others wrote: under no contract of ours
		}
		built[name] = filepath.Join(dir, name)
		if text, err := exec.CommandContext(t.Context(), goTool, "build", "-buildvcs=false", "-o", built[name], source).CombinedOutput(); err != nil {
			t.Errorf("building %s: %v\n%s", name, err, text)
			delete(built, name)
		}
	}
	return built
}

func TestSoundToyPasses(t *testing.T) {
	t.Parallel()
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

func TestForeign(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// TestForeignWithoutEcho: that a server does not echo bodies is a matter of http1, and a server of ws is not asked to push, since
// nobody told it to.
func TestForeignWithoutEcho(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"push", "ws", "frame"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := l.Addr().String()
			_ = l.Close()
			target := toyTarget(t, "", protocol)
			target.Command = append(target.Command, "serve", "--listen", addr, "--protocol", protocol)
			target.Foreign, target.Addr, target.NoEcho = true, addr, true
			report := mustRun(t, target, Options{})
			if err := report.Err(); err != nil {
				t.Error(err)
			}
			for _, c := range report.Cases {
				switch c.Name {
				case "push/frames":
					if asked := c.Skipped == ""; asked != (protocol == "push") {
						t.Errorf("%s: skipped %q", c.Name, c.Skipped)
					}
				case "echo", "keep-alive", "malformed/no-subscription":
					if !c.Passed {
						t.Errorf("%+v", c)
					}
				}
			}
		})
	}
}

// TestVariantWithEnvironment: the program is started with the variant's own variables, here the one that makes it a toy.
func TestVariantWithEnvironment(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	target := Target{Command: []string{self}, Env: []string{toyFault + "="}, Protocol: "frame"}
	report := mustRun(t, target, Options{Only: []string{"echo", "counters"}})
	if !report.Passed || len(report.Env) != 1 {
		t.Errorf("%v, env %q", report.Err(), report.Env)
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
	check("protocol", Target{Command: []string{"x"}, Protocol: "gopher"}, Options{}, "want http1, frame, push or ws")
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
	t.Parallel()
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
		"env":      func(t *Target) { t.Env = []string{"GOMAXPROCS=1"} },
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
