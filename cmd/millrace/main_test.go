package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/sut"
)

// binDir holds millrace and the servers, built once for all tests.
var binDir string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "millrace-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binDir = dir
	args := []string{"build", "-buildvcs=false", "-o", filepath.Join(dir, "servers") + "/"}
	for _, model := range sut.Models {
		args = append(args, "../../servers/"+model)
	}
	helper := []string{"build", "-buildvcs=false", "-o", filepath.Join(dir, "downstream"), "../../servers/downstream"}
	for _, a := range [][]string{helper, {"build", "-buildvcs=false", "-o", filepath.Join(dir, "millrace"), "."}, args} {
		if out, err := exec.Command("go", a...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(a, " "), err, out)
			return 1
		}
	}
	return m.Run()
}

// TestScripts runs the stories in testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: scriptCommands,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", binDir+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("BIN", binDir)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CACHE_HOME", cacheHome(t))
			return nil
		},
	})
}

// cacheHome is shared by the tests of one run, so that a program is conformed once.
func cacheHome(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(binDir, "cache")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// small are flags of a run that takes two seconds a trial.
var small = []string{"--set", "connections.count=50", "--set", "phases.warmup.for=100ms", "--set", "phases.baseline.for=300ms",
	"--set", "phases.burst.arrivals.burst=2000", "--set", "phases.recovery.for=500ms", "--set", "phases.baseline.arrivals.constant=1000/s",
	"--set", "phases.warmup.arrivals.constant=1000/s", "--set", "phases.recovery.arrivals.constant=1000/s"}

// session is a run of the command under test.
type session struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	errs bytes.Buffer
	root string
}

// start starts `millrace run burst` with the programs in bin; it is killed when the test ends.
func start(t *testing.T, bin string, args ...string) *session {
	t.Helper()
	s := &session{root: t.TempDir()}
	all := append([]string{"run", "burst", "--results", s.root, "--rounds", "1", "--quiet-wait", "0"}, append(small, args...)...)
	s.cmd = exec.Command(filepath.Join(bin, "millrace"), all...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.errs
	s.cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cacheHome(t))
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	return s
}

// exit waits for the end and returns the exit status.
func (s *session) exit(t *testing.T) int {
	t.Helper()
	var status *exec.ExitError
	if err := s.cmd.Wait(); err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode()
}

// load reads what the run has left.
func (s *session) load(t *testing.T) *results.Result {
	t.Helper()
	dir, err := results.Latest(s.root)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.errs.String())
	}
	res, err := results.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// eventually waits until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited 30 s: %s", what)
		}
	}
}

// descendants lists the living processes below pid, by /proc.
func descendants(pid int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		rest := string(data[bytes.LastIndexByte(data, ')')+1:])
		fields := strings.Fields(rest) // state, ppid, …
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		if fields[0] != "Z" {
			children[parent] = append(children[parent], child)
		}
	}
	var all []int
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		all = append(all, children[todo[0]]...)
		todo = append(todo, children[todo[0]]...)
	}
	return all
}

// server returns the pid of the server that a run has started, or 0.
func server(run int) int {
	for _, pid := range descendants(run) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if args := strings.Split(string(line), "\x00"); err == nil && len(args) > 1 && args[1] == "serve" && strings.Contains(args[0], "/servers/") {
			// The conformance suite starts servers too, but names work only where it wants some.
			if slices.Contains(args, "none") {
				return pid
			}
		}
	}
	return 0
}

func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(data, []byte(") Z "))
}

func TestKilledRunnerLeavesNoProcess(t *testing.T) {
	s := start(t, binDir, "--servers", "goroutine", "--set", "phases.recovery.for=60s")
	eventually(t, "a server to be started", func() bool { return server(s.cmd.Process.Pid) != 0 })
	pids := descendants(s.cmd.Process.Pid)
	if len(pids) < 3 {
		t.Fatalf("%d processes, want two agents and a server", len(pids))
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	eventually(t, fmt.Sprintf("processes %v to end", pids), func() bool { return !slices.ContainsFunc(pids, alive) })
}

func TestInterruptWritesWhatWasMeasured(t *testing.T) {
	s := start(t, binDir, "--servers", "goroutine", "--set", "phases.recovery.for=60s")
	eventually(t, "a server to be started", func() bool { return server(s.cmd.Process.Pid) != 0 })
	pids := descendants(s.cmd.Process.Pid)
	spool := func() bool { // the load is under way when the server has handled something: its readings grow
		found, _ := filepath.Glob(filepath.Join(s.root, "*", "run.json"))
		return len(found) == 1
	}
	eventually(t, "run.json", spool)
	timer := time.NewTimer(3 * time.Second) // into the trial's phases
	defer timer.Stop()
	<-timer.C
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := s.exit(t); got != 130 {
		t.Errorf("exit status %d, want 130\n%s", got, s.errs.String())
	}
	eventually(t, "all processes to end", func() bool { return !slices.ContainsFunc(pids, alive) })
	res := s.load(t)
	if len(res.Trials) != 1 || res.Trials[0].Status != results.StatusInterrupted || res.Trials[0].Planned == 0 {
		t.Errorf("trials %+v, want one that was interrupted and has requests", res.Trials)
	}
	if !strings.Contains(s.out.String(), "report: ") {
		t.Errorf("no report:\n%s\n%s", s.out.String(), s.errs.String())
	}
}

func TestServerThatDiesFailsItsTrialOnly(t *testing.T) {
	s := start(t, binDir, "--servers", "goroutine,nethttp", "--set", "phases.recovery.for=5s")
	eventually(t, "a server", func() bool { return server(s.cmd.Process.Pid) != 0 })
	first := server(s.cmd.Process.Pid)
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	<-timer.C
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := s.exit(t); got != 1 {
		t.Errorf("exit status %d, want 1\n%s", got, s.errs.String())
	}
	res := s.load(t)
	if len(res.Trials) != 2 || res.Trials[0].Status != results.StatusFailed || res.Trials[1].Status != results.StatusDone {
		t.Fatalf("want a failed and a done trial, got %s", s.errs.String())
	}
	if f := res.Trials[0].Failure; f == nil || !strings.Contains(f.Reason, "signal") {
		t.Errorf("failure %+v does not say that a signal ended the server", f)
	}
}

func TestServerThatStallsFailsItsTrial(t *testing.T) {
	s := start(t, binDir, "--servers", "goroutine", "--set", "timeout=1s")
	eventually(t, "a server", func() bool { return server(s.cmd.Process.Pid) != 0 })
	if err := syscall.Kill(server(s.cmd.Process.Pid), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if got := s.exit(t); got != 1 {
		t.Errorf("exit status %d, want 1\n%s", got, s.errs.String())
	}
	if res := s.load(t); len(res.Trials) != 1 || res.Trials[0].Status != results.StatusFailed {
		t.Errorf("trials %+v", res.Trials)
	}
}

// A program in place of a server that never gets ready, and one that dies with a last word.
func TestServerThatNeverGetsReady(t *testing.T) {
	bin := t.TempDir()
	for name, script := range map[string]string{
		"servers/goroutine": "#!/bin/sh\n[ \"$1\" = describe ] && exec " + binDir + "/servers/goroutine describe\necho last words >&2\nexit 7\n",
	} {
		path := filepath.Join(bin, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(binDir, "millrace"), filepath.Join(bin, "millrace")); err != nil {
		t.Fatal(err)
	}
	s := start(t, bin, "--servers", "goroutine")
	if got := s.exit(t); got != 1 {
		t.Errorf("exit status %d, want 1\n%s", got, s.errs.String())
	}
	res := s.load(t)
	if len(res.Trials) != 1 || res.Trials[0].Failure == nil || !strings.Contains(res.Trials[0].Failure.Reason, "last words") {
		t.Errorf("failure %+v does not hold the last words", res.Trials[0].Failure)
	}
}

// TestLoadAgainstNetHTTP puts `millrace load` to a server that is not ours.
func TestLoadAgainstNetHTTP(t *testing.T) {
	for _, engine := range clients.Engines {
		foreign := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/missing" {
				http.NotFound(w, r)
				return
			}
			fmt.Fprint(w, "hello")
		}))
		var more []string
		if engine == "tls" {
			foreign.StartTLS()
			more = []string{"--insecure"}
		} else {
			foreign.Start()
		}
		defer foreign.Close()
		for path, outcome := range map[string]string{"/": "ok", "/missing": "http_error"} {
			var out, errs bytes.Buffer
			args := append([]string{"load", foreign.URL + path, "-c", "10", "-d", "1s", "--rate", "500", "--engine", engine, "--json", "-"}, more...)
			cmd := exec.Command(filepath.Join(binDir, "millrace"), args...)
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != exitInvalid {
				t.Fatalf("%s: %v\n%s", engine, err, errs.String())
			}
			var r clients.Report
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatalf("%s: %v\n%s", engine, err, out.String())
			}
			sum := int64(0)
			for _, n := range r.Outcomes {
				sum += n
			}
			if r.Planned != 500 || sum != 500 || r.Outcomes[outcome] < 400 {
				t.Errorf("%s %s: planned %d, outcomes %v", engine, path, r.Planned, r.Outcomes)
			}
		}
	}
}
