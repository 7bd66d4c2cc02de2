package sut

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"golang.org/x/sys/unix"
)

// toyEnv makes the test binary behave as a server; its value says how that server misbehaves.
const toyEnv = "MILLRACE_TOY_SERVER"

// TestToyServer is no test but the program that the tests of this package start as a server.
func TestToyServer(t *testing.T) {
	mode := os.Getenv(toyEnv)
	if mode == "" {
		t.Skip("only as a child of other tests")
	}
	os.Exit(toyServer(mode))
}

func toyServer(mode string) int {
	switch mode {
	case "exit":
		for i := range 30 {
			fmt.Fprintln(os.Stderr, "complaint", i)
		}
		return 7
	case "rubbish":
		fmt.Println("hello, world")
	case "silent":
		fmt.Fprintln(os.Stderr, "thinking")
	case "recovering":
		fmt.Fprintln(os.Stderr, "2026/11/21 05:00:00 http: panic serving 127.0.0.1:4000: nil map")
		for i := range 2 * tailLines {
			fmt.Fprintln(os.Stderr, "stack", i)
		}
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	}
	if mode == "rubbish" || mode == "silent" {
		bufio.NewReader(os.Stdin).ReadString('\n')
		return 0
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer l.Close()
	if mode == "noisy" {
		line := strings.Repeat("x", 1<<16-1) + "\n"
		for range maxLogBytes/len(line) + 3 {
			os.Stderr.WriteString(line)
		}
	}
	terminated := make(chan os.Signal, 1)
	if mode != "deaf" {
		signal.Notify(terminated, syscall.SIGTERM)
	}
	fmt.Printf(`{"schema":1,"ready":true,"addr":%q,"pid":%d}`+"\n", l.Addr(), os.Getpid())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		toyControl(mode)
	}()
	select {
	case <-terminated:
	case <-ended:
	}
	return 0
}

// toyControl answers requests until standard input ends.
func toyControl(mode string) {
	in := bufio.NewScanner(os.Stdin)
	for handled := 1; in.Scan(); handled++ {
		var request struct {
			ID  int64  `json:"id"`
			Cmd string `json:"cmd"`
		}
		if err := json.Unmarshal(in.Bytes(), &request); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		switch {
		case request.Cmd == "cpus":
			cpus, _ := procfs.Affinity()
			text, _ := json.Marshal(cpus)
			fmt.Printf(`{"id":%d,"cpus":%s,"gomaxprocs":%d}`+"\n", request.ID, text, runtime.GOMAXPROCS(0))
		case request.Cmd == "grandchild":
			c := exec.Command("sleep", "600")
			if err := c.Start(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			fmt.Printf(`{"id":%d,"pid":%d}`+"\n", request.ID, c.Process.Pid)
		case request.Cmd == "die":
			fmt.Fprintln(os.Stderr, "panic: asked to die")
			os.Exit(2)
		case request.Cmd == "mute":
		default:
			if mode == "slow" {
				<-time.After(replyWithin * 5 / 2)
			}
			fmt.Printf(`{"id":%d,"goroutines":%d,"handled":%d}`+"\n", request.ID, runtime.NumGoroutine(), handled)
		}
	}
}

func toyCommand(mode string) Command {
	return Command{
		Name: "toy/" + mode, Path: os.Args[0], Args: []string{"-test.run=^TestToyServer$"},
		Env: append(os.Environ(), toyEnv+"="+mode),
	}
}

func startToy(t testing.TB, c Command) *Process {
	t.Helper()
	p, err := StartProcess(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(context.Background()) })
	return p
}

// ask sends a command and waits for the server's reply, or its end.
func ask(t testing.TB, p *Process, command string) (json.RawMessage, error) {
	t.Helper()
	replies, err := p.request(command)
	if err != nil {
		return nil, err
	}
	select {
	case reply := <-replies:
		return reply, nil
	case <-p.Done():
		return nil, p.Failure("ended before it answered to " + command)
	case <-time.After(10 * time.Second):
		return nil, fmt.Errorf("no reply to %s", command)
	}
}

// freeze stops a server with SIGSTOP and returns when all its threads stand.
func freeze(t testing.TB, p *Process) {
	t.Helper()
	if err := unix.Kill(p.PID(), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, p.PID(), nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
}

func TestProcessStartsAnswersAndStops(t *testing.T) {
	c := toyCommand("good")
	c.LogPath = filepath.Join(t.TempDir(), "server.log")
	p := startToy(t, c)
	if conn, err := net.Dial("tcp", p.Addr()); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	reply, err := ask(t, p, "readings")
	if err != nil || !strings.Contains(string(reply), `"handled":1`) {
		t.Errorf("readings: %s, %v", reply, err)
	}
	for range 2 {
		if exit := p.Stop(t.Context()); !exit.Clean() {
			t.Errorf("exit %v", exit)
		}
	}
	if _, err := ask(t, p, "readings"); err == nil {
		t.Error("a server that has ended answered")
	}
}

func TestProcessThatDoesNotGetReady(t *testing.T) {
	check := func(mode string, within time.Duration, reason string, lines int, last string) {
		t.Helper()
		c := toyCommand(mode)
		c.ReadyWithin = within
		p, err := StartProcess(t.Context(), c)
		if err == nil {
			p.Stop(t.Context())
			t.Errorf("%s: it started", mode)
			return
		}
		var failed *ServerError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: error %q, want %q in it", mode, err, reason)
			return
		}
		var details struct{ Log []string }
		if err := json.Unmarshal(failed.Details(), &details); err != nil || len(details.Log) != lines || details.Log[lines-1] != last {
			t.Errorf("%s: log %q (%v), want %d lines and %q last", mode, details.Log, err, lines, last)
		}
	}
	check("exit", 0, "ended without a ready line (exit status 7)", tailLines, "complaint 29")
	check("rubbish", 0, "no ready line", 1, "hello, world")
	check("silent", 500*time.Millisecond, "no ready line within 500ms", 1, "thinking")

	_, err := StartProcess(t.Context(), Command{Name: "nothing", Path: filepath.Join(t.TempDir(), "nothing")})
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("error %v, want the remedy", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartProcess(ctx, toyCommand("silent")); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("error %v, want that it was cancelled", err)
	}
}

func TestProcessHasItsCPUs(t *testing.T) {
	all, err := procfs.Affinity()
	if err != nil {
		t.Fatal(err)
	}
	c := toyCommand("good")
	c.CPUs = all[len(all)-1:]
	reply, err := ask(t, startToy(t, c), "cpus")
	var got struct {
		CPUs       []int
		GOMAXPROCS int
	}
	if err != nil || json.Unmarshal(reply, &got) != nil || !slices.Equal(got.CPUs, c.CPUs) || got.GOMAXPROCS != 1 {
		t.Errorf("server of CPUs %v: %s, %v", c.CPUs, reply, err)
	}
	if now, err := procfs.Affinity(); err != nil || !slices.Equal(now, all) {
		t.Errorf("the runner's CPUs are %v (%v), were %v", now, err, all)
	}
	c.CPUs = []int{1 << 20}
	if _, err := StartProcess(t.Context(), c); err == nil {
		t.Error("started on a CPU that does not exist")
	}
}

// A server that ignores SIGTERM, and one that is stopped, are killed; neither holds up the caller.
func TestProcessThatDoesNotStopIsKilled(t *testing.T) {
	for _, mode := range []string{"deaf", "good"} {
		p := startToy(t, toyCommand(mode))
		if mode == "good" {
			freeze(t, p)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if exit := p.Stop(ctx); !exit.Killed || exit.Clean() {
			t.Errorf("%s: exit %v", mode, exit)
		}
		cancel()
	}
}

func TestProcessTakesItsChildrenAlong(t *testing.T) {
	p := startToy(t, toyCommand("good"))
	reply, err := ask(t, p, "grandchild")
	var child struct{ PID int }
	if err != nil || json.Unmarshal(reply, &child) != nil {
		t.Fatalf("%s, %v", reply, err)
	}
	fd, err := unix.PidfdOpen(child.PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	p.Stop(t.Context())
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 5000); n != 1 {
		t.Errorf("process %d outlived its server: %v", child.PID, err)
	}
}

func TestProcessThatDies(t *testing.T) {
	p := startToy(t, toyCommand("good"))
	_, err := ask(t, p, "die")
	if err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(err.Error(), "panic: asked to die") {
		t.Errorf("error %v, want the exit status and the last line", err)
	}
	<-p.Done()
	if exit := p.Stop(t.Context()); exit.Clean() || exit.Code != 2 || exit.Killed {
		t.Errorf("exit %v", exit)
	}
}

func TestRequestsWithoutReplyAreBounded(t *testing.T) {
	p := startToy(t, toyCommand("good"))
	for range maxPending {
		if _, err := p.request("mute"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.request("mute"); err == nil {
		t.Error("one request too many was sent")
	}
}

func TestServerLogTellsCrashes(t *testing.T) {
	check := func(line string, want bool) {
		t.Helper()
		l := &serverLog{}
		l.write([]byte(line + "\n"))
		for range 2 * tailLines {
			l.write([]byte("goroutine 7 [running]:\n"))
		}
		l.write([]byte("panic: a second one\n"))
		first, head := l.crash(), l.tail()[0]
		if want != (first == line) || want != (head == line) {
			t.Errorf("%q: crash %q, head %q, want %v", line, first, head, want)
		}
	}
	check("panic: runtime error: index out of range [3] with length 3", true)
	check("fatal error: all goroutines are asleep - deadlock!", true)
	check("2026/11/21 05:00:00 http: panic serving 127.0.0.1:4000: nil map", true)
	check("2026/11/21 05:00:00 worker exits from panic: nil map", true)
	check("GOPOOL: panic in pool: gopool.DefaultPool: nil map", true)
	check("\t/usr/local/go/src/runtime/panic.go:115 +0x1d", false)
	check("panic({0x4a5e20?, 0xc000012345?})", false)
	check("don't panic", false)
	check("nonfatal error: none", false)
	check("", false)
}

func TestServerLogIsBounded(t *testing.T) {
	c := toyCommand("noisy")
	c.LogPath = filepath.Join(t.TempDir(), "server.log")
	exit := startToy(t, c).Stop(t.Context())
	data, err := os.ReadFile(c.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	note := strconv.FormatInt(exit.LogDropped, 10) + " more bytes were dropped"
	if exit.LogDropped < 2<<16 || len(data) > maxLogBytes+200 || !strings.Contains(string(data[len(data)-200:]), note) {
		t.Errorf("log of %d bytes, %d dropped", len(data), exit.LogDropped)
	}
}
