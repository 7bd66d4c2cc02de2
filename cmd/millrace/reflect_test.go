package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/servers/conform"
)

// readyLine is what a reflector prints for each process.
type readyLine struct {
	Schema int    `json:"schema"`
	Ready  bool   `json:"ready"`
	Addr   string `json:"addr"`
	PID    int    `json:"pid"`
}

// child is `millrace reflect` under test.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines []readyLine
}

// startReflect starts the program through a shell command, "$0" being millrace, and reads its ready lines.
func startReflect(t *testing.T, n int, shell string) *child {
	t.Helper()
	c := &child{cmd: exec.Command("sh", "-c", shell, filepath.Join(binDir, "millrace"))}
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	in := bufio.NewScanner(stdout)
	for len(c.lines) < n && in.Scan() {
		var line readyLine
		if err := json.Unmarshal(in.Bytes(), &line); err != nil || line.Schema != 1 || !line.Ready || line.PID == 0 {
			t.Fatalf("line %q: error %v, want a ready line", in.Bytes(), err)
		}
		c.lines = append(c.lines, line)
	}
	if len(c.lines) < n {
		t.Fatalf("%d ready lines, want %d", len(c.lines), n)
	}
	return c
}

func TestReflectConforms(t *testing.T) {
	for _, protocol := range []string{"http1", "frame"} {
		c := startReflect(t, 1, `exec "$0" reflect --threads 2 --protocol `+protocol)
		report, err := conform.RunAddr(t.Context(), c.lines[0].Addr, conform.Target{Protocol: protocol, Payload: 13}, conform.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := report.Err(); err != nil {
			t.Error(err)
		}
		if c.lines[0].PID != c.cmd.Process.Pid {
			t.Errorf("ready line %+v of process %d", c.lines[0], c.cmd.Process.Pid)
		}
		_ = c.stdin.Close()
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("%s: at the end of its input: %v", protocol, err)
		}
	}
}

// TestReflectProcesses: each has an address, all end with the input of the first, and with its death.
func TestReflectProcesses(t *testing.T) {
	for _, how := range []string{"end of input", "death"} {
		c := startReflect(t, 3, `exec "$0" reflect --processes 3`)
		var addrs []string
		var pids []int
		for _, line := range c.lines {
			addrs, pids = append(addrs, line.Addr), append(pids, line.PID)
			conn, err := net.Dial("tcp", line.Addr)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if text, err := bufio.NewReader(conn).ReadString('\n'); err != nil || text != "HTTP/1.1 200 OK\r\n" {
				t.Errorf("reply %q, error %v", text, err)
			}
			_ = conn.Close()
		}
		slices.Sort(addrs)
		if slices.Sort(pids); len(slices.Compact(addrs)) != 3 || len(slices.Compact(pids)) != 3 {
			t.Errorf("addresses %v of processes %v: want three of each", addrs, pids)
		}
		if how == "death" {
			_ = c.cmd.Process.Kill()
		} else {
			_ = c.stdin.Close()
		}
		if err := c.cmd.Wait(); (err != nil) != (how == "death") {
			t.Errorf("%s: %v", how, err)
		}
		eventually(t, how+" to end all", func() bool { return !slices.ContainsFunc(pids, alive) })
	}
}

// TestReflectOutOfFiles: who comes when no more files can be opened is served when others have gone.
func TestReflectOutOfFiles(t *testing.T) {
	c := startReflect(t, 1, `ulimit -n 40; exec "$0" reflect --protocol frame`)
	frame := "\x00\x00\x00\x08millrace"
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", c.lines[0].Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(frame)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	answered := func(conn net.Conn) {
		t.Helper()
		got := make([]byte, len(frame))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != frame {
			t.Fatalf("reply %q, error %v", got, err)
		}
	}
	first := dial()
	answered(first)
	var crowd []net.Conn
	for range 60 {
		crowd = append(crowd, dial())
	}
	for _, conn := range crowd { // each leaves when it has its reply, and so lets another one in
		answered(conn)
		_ = conn.Close()
	}
	if _, err := first.Write([]byte(frame)); err != nil {
		t.Fatal(err)
	}
	answered(first)
}

func TestReflectUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--protocol udp":           `--protocol "udp": want one of http1, frame, push`,
		"--protocol push --rate x": `rate "x"`,
		"--processes 0":            "--processes 0: want 1 to 1000",
		"--listen here":            "want HOST:PORT",
		"--payload -3":             "payload -3: want 0 to 1048576",
		"--threads 99 --payload 3": "threads 99: want 1 to 64",
	} {
		var out, errs strings.Builder
		if status := millrace(append([]string{"reflect"}, strings.Fields(args)...), &out, &errs); status != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("reflect %s: status %d, %q: want 2 and %q", args, status, errs.String(), want)
		}
	}
}

// TestReflectPushesToALoad is the way of a user: one program pushes, another one subscribes.
func TestReflectPushesToALoad(t *testing.T) {
	c := startReflect(t, 1, `exec "$0" reflect --protocol push --rate 500`)
	out, err := exec.Command(filepath.Join(binDir, "millrace"), "load", "push://"+c.lines[0].Addr+"/news", "-c", "2", "-d", "300ms").CombinedOutput()
	if !strings.Contains(string(out), "2 subscribers") || strings.Contains(string(out), " 0 received") {
		t.Errorf("%v\n%s", err, out) // the host may be too noisy for a verdict
	}
	_ = c.stdin.Close()
}
