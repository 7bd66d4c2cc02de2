package sut

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/sut/foreign"
	"github.com/millrace/millrace/scenarios"
)

// program writes a script.
func program(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const nginxFile = "../../servers/foreign/nginx.yaml"

func nginx(t testing.TB) *foreign.Server {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skipf("no nginx here: %v", err)
	}
	f, err := foreign.Read(nginxFile, Models)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// alive are those of the processes that run; a zombie doesn't.
func alive(pids []int) []int {
	var left []int
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			left = append(left, pid)
		}
	}
	return left
}

func startNginx(t testing.TB, payload int) *Process {
	t.Helper()
	dir, err := foreignFolder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c, err := startForeign(nginx(t), dir, "http1", payload, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := startToy(t, c)
	reply, err := http.Get("http://" + p.Addr() + "/") // the master listens before it has workers
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	return p
}

func TestNginxConforms(t *testing.T) {
	f := nginx(t)
	tuned, err := foreign.Read(strings.TrimSuffix(nginxFile, ".yaml")+"-tuned.yaml", Models)
	if err != nil {
		t.Fatal(err)
	}
	if name, version, _ := strings.Cut(f.Framework, " "); name != "nginx" || version == "" || tuned.Framework != f.Framework {
		t.Errorf("framework %q and %q: want nginx and its version", f.Framework, tuned.Framework)
	}
	t.Run("tuned", func(t *testing.T) { nginxConforms(t, tuned, 0) })
	for _, payload := range []int{0, 1, 64 << 10} { // of the default, of the least and of scenario payload
		t.Run(strconv.Itoa(payload), func(t *testing.T) { nginxConforms(t, f, payload) })
	}
}

func nginxConforms(t *testing.T, f *foreign.Server, payload int) {
	report, err := ConformForeign(t.Context(), f, "http1", payload)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range report.Cases {
		if c.Skipped == "" {
			ran++
		}
	}
	for _, c := range report.Failed() {
		t.Errorf("%s: %s", c.Name, c.Err)
	}
	if ran < 20 {
		t.Errorf("%d of %d cases were run", ran, len(report.Cases))
	}
}

// nginx answers with the payload, is read from outside with its worker, and leaves nothing behind.
func TestNginxIsSampledAndEnds(t *testing.T) {
	p := startNginx(t, 5000)
	reply, err := http.Get("http://" + p.Addr() + "/work")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(reply.Body)
	reply.Body.Close()
	if err != nil || string(body) != string(wire.Payload(5000)) {
		t.Errorf("body of %d bytes %.40q, %v; want the payload", len(body), body, err)
	}
	servers := together(p)
	pids, err := servers.PIDs()
	if err != nil || len(pids) < 2 {
		t.Fatalf("processes %d, %v: want a master and its workers", pids, err)
	}
	s := NewSampler(servers, io.Discard, procfs.Monotonic(), []Edge{{Name: "connect"}})
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	if err := s.take(t.Context(), "connect", false); err != nil {
		t.Fatal(err)
	}
	// A process that is not known yet is found at the next edge, and told.
	s.usage[len(s.usage)-1].Close()
	s.pids, s.usage = s.pids[:len(s.pids)-1], s.usage[:len(s.usage)-1]
	final, err := s.Final(t.Context())
	if err != nil || final.RSSBytes == nil || *final.RSSBytes < 1<<20 || final.CPUNs() == nil || final.Handled != nil || final.Goroutines != nil {
		t.Errorf("%+v, %v", final, err)
	}
	if s.stats.Born != 1 || len(s.pids) != len(pids) || len(s.stats.Notes) != 1 || !strings.Contains(s.stats.Notes[0], "1 processes of the server were started") {
		t.Errorf("%d processes born, notes %q; want 1", s.stats.Born, s.stats.Notes)
	}
	if s.stats.Missing != 0 || s.stats.Late != 0 {
		t.Errorf("%+v: a foreign server owes no readings", s.stats)
	}
	if exit := p.Stop(t.Context()); !exit.Clean() {
		t.Errorf("%v", exit)
	}
	if left := alive(pids); len(left) > 0 {
		t.Errorf("processes %d outlive the server", left)
	}
}

// foreignEnv makes the test binary start nginx, say which processes that is, and wait to be killed.
const foreignEnv = "MILLRACE_TEST_STARTS_NGINX"

func TestStartsNginx(t *testing.T) {
	if os.Getenv(foreignEnv) == "" {
		t.Skip("only as a child of other tests")
	}
	p := startNginx(t, 13)
	pids, _ := together(p).PIDs()
	data, _ := json.Marshal(pids)
	fmt.Printf("pids %s\n", data)
	io.Copy(io.Discard, os.Stdin)
}

// Who kills the runner ends the server's children, too.
func TestNginxDiesWithItsRunner(t *testing.T) {
	nginx(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestStartsNginx$", "-test.v")
	cmd.Env = append(os.Environ(), foreignEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		_, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for in := bufio.NewScanner(out); pids == nil && in.Scan(); {
		if text, ok := strings.CutPrefix(in.Text(), "pids "); ok {
			err = json.Unmarshal([]byte(text), &pids)
		}
	}
	if err := errors.Join(err, cmd.Process.Signal(syscall.SIGKILL)); err != nil || len(pids) < 2 {
		t.Fatalf("processes %d, %v", pids, err)
	}
	cmd.Wait()
	until := time.Now().Add(5 * time.Second)
	for len(alive(pids)) > 0 {
		if time.Now().After(until) {
			for _, pid := range alive(pids) {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			t.Fatalf("processes %d outlive their runner", pids)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestForeignThatDoesNotListen(t *testing.T) {
	dir := t.TempDir()
	path := program(t, dir, "dead.sh", "#!/bin/sh\necho no licence >&2\nexit 3\n")
	file := program(t, dir, "dead.yaml", "name: dead\ndoc: ends at once\ncommand: ["+strconv.Quote(path)+"]\nprotocols: [http1]\n")
	f, err := foreign.Read(file, Models)
	if err != nil {
		t.Fatal(err)
	}
	c, err := startForeign(f, t.TempDir(), "http1", 13, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = StartProcess(t.Context(), c); err == nil || !strings.Contains(err.Error(), "it ended before it accepted connections at 127.0.0.1:") {
		t.Errorf("error %v", err)
	}
	if e := new(ServerError); !errors.As(err, &e) || strings.Join(e.Log, "") != "no licence" {
		t.Errorf("%#v has not its last words", err)
	}
}

// What nginx writes when it fails is in its log, and takes the trial's health.
func TestNginxFailuresAreTold(t *testing.T) {
	f := nginx(t)
	f.Files["nginx.conf"] = strings.Replace(f.Files["nginx.conf"], "worker_connections 20000", "worker_connections 8", 1)
	c, err := startForeign(f, t.TempDir(), "http1", 13, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	c.CPUs = nil
	p := startToy(t, c)
	for range 10 {
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET") // an idle one would be closed for the next
	}
	until := time.Now().Add(5 * time.Second)
	for p.Crashed() == "" && time.Now().Before(until) {
		<-time.After(5 * time.Millisecond)
	}
	if line := p.Crashed(); !strings.Contains(line, "worker_connections are not enough") {
		t.Errorf("the log tells of %q: %q", line, p.LogTail())
	}

	f.Files["nginx.conf"] = "no_such_directive;\n"
	if c, err = startForeign(f, t.TempDir(), "http1", 13, nil); err != nil {
		t.Fatal(err)
	}
	if _, err = StartProcess(t.Context(), c); err == nil || !strings.Contains(err.Error(), "unknown directive") {
		t.Errorf("error %v, want nginx's own words", err)
	}
	silent := &ServerError{Doing: "starting server", Name: "own", Reason: "it ended", Foreign: true}
	if text := silent.Error(); strings.Contains(text, "--control") {
		t.Errorf("%q names a flag that a foreign server does not have", text)
	}
}

func TestForeignCannotServe(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "workers", "#!/bin/sh\necho '{\"name\":\"workers\",\"protocols\":[\"http1\"]}'\n")
	cat, err := ReadCatalogue(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	file := program(t, dir, "own.yaml", "name: own\ndoc: a shell\ncommand: [sh]\nprotocols: [http1]\nmissing: {frame: it can't}\n")
	v, err := cat.Variant(file)
	if err != nil || v.Name != "own" || v.File != file || v.SHA256 == "" {
		t.Fatalf("%+v, %v", v, err)
	}
	check := func(want string, s scenarios.Scenario) {
		t.Helper()
		if got := cat.CannotServe(v, &s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check("", scenarios.Scenario{Protocol: "http1"})
	check("does not speak frame: it can't", scenarios.Scenario{Protocol: "frame"})
	check("a foreign server does no work of ours: work.kind sleep=1ms", scenarios.Scenario{Protocol: "http1", Work: scenarios.Work{Kind: "sleep=1ms"}})
	check("a foreign server that echoes no bodies: request.method POST", scenarios.Scenario{Protocol: "http1", Request: scenarios.Request{Method: "POST"}})
	check("a foreign server runs as one process group: replicas 2", scenarios.Scenario{Protocol: "http1", Replicas: "2"})
	check("", scenarios.Scenario{Protocol: "http1", Replicas: "1"})
	if got := cat.CannotServe(results.Variant{Model: "workers"}, &scenarios.Scenario{Protocol: "http1", Work: scenarios.Work{Kind: "sleep=1ms"}}); got != "" {
		t.Error(got)
	}
}
