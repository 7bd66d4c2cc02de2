package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/hist"
)

// severalProcesses is a load of three processes under test.
type severalProcesses struct {
	cmd       *exec.Cmd
	out, errs bytes.Buffer
}

func startProcesses(t *testing.T, args ...string) *severalProcesses {
	t.Helper()
	l := &severalProcesses{cmd: exec.Command(filepath.Join(binDir, "millrace"), append([]string{"load", "--processes", "3", "--json", "-"}, args...)...)}
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.errs
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if l.cmd.ProcessState == nil {
			_ = l.cmd.Process.Kill()
			_ = l.cmd.Wait()
		}
	})
	return l
}

// children are the pids of its processes.
func (l *severalProcesses) children() []string {
	var pids []string
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", l.cmd.Process.Pid)) // the pattern is right
	for _, list := range lists {
		text, _ := os.ReadFile(list) // of a thread that has ended there is nothing
		pids = append(pids, strings.Fields(string(text))...)
	}
	return pids
}

// end waits for the end and returns the report and the exit status; no child may be left.
func (l *severalProcesses) end(t *testing.T, pids []string) (*clients.Report, int) {
	t.Helper()
	_ = l.cmd.Wait() // its status is returned
	for _, pid := range pids {
		if state, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && strings.Contains(string(state), "millrace-member") {
			t.Errorf("process %s lives on", pid)
		}
	}
	r := new(clients.Report)
	if err := json.Unmarshal(l.out.Bytes(), r); err != nil {
		t.Fatalf("report %.200q: %v\n%s", l.out.String(), err, l.errs.String())
	}
	return r, l.cmd.ProcessState.ExitCode()
}

// busy waits until the load is under way, and returns the pids of its processes.
func (l *severalProcesses) busy(t *testing.T, dir string) []string {
	t.Helper()
	// Their logs get lines a second after the phases' start.
	eventually(t, "logs of the processes", func() bool {
		logs, _ := filepath.Glob(filepath.Join(dir, "millrace-load-*", "*", "response.hlog")) // the pattern is right
		n := 0
		for _, log := range logs {
			if text, err := os.ReadFile(log); err == nil && strings.Contains(string(text), "Tag=load") {
				n++
			}
		}
		return n == 3
	})
	return l.children()
}

func TestLoadWithProcesses(t *testing.T) {
	c := startReflect(t, 2, `exec "$0" reflect --processes 2`)
	logs := t.TempDir()
	l := startProcesses(t, "http://"+c.lines[0].Addr+"/", "http://"+c.lines[1].Addr+"/", "-c", "100", "-d", "2s", "--rate", "2000", "--logs", logs)
	r, status := l.end(t, nil)
	var sum int64
	for _, n := range r.Outcomes {
		sum += n
	}
	if r.Planned != 4000 || sum != 4000 || r.ConnectionsOpened != 100 || len(r.Agents) != 3 || r.Requests != 2 || status != 0 && status != exitInvalid {
		t.Errorf("status %d: planned %d, outcomes %v, %d connections, processes %+v", status, r.Planned, r.Outcomes, r.ConnectionsOpened, r.Agents)
	}
	for _, x := range r.Checks {
		if x.Name == "agents" && x.State != "ok" || x.Name == "outcome identity" && x.State != "ok" {
			t.Errorf("%+v", x)
		}
	}
	f, err := os.Open(filepath.Join(logs, "response.hlog"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entries, err := hist.ReadLog(f)
	var logged int64
	for _, e := range entries {
		logged += e.Histogram.Count()
	}
	if err != nil || logged != r.Outcomes["ok"] {
		t.Errorf("%d latencies in the log, error %v: want %d", logged, err, r.Outcomes["ok"])
	}
	var text bytes.Buffer
	printAgents(&text, r)
	if !strings.HasPrefix(text.String(), "agents     3 processes") {
		t.Errorf("%q", text.String())
	}
	_ = c.stdin.Close()
}

func TestAKilledProcessVoidsALoad(t *testing.T) {
	c := startReflect(t, 1, `exec "$0" reflect`)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	l := startProcesses(t, "http://"+c.lines[0].Addr+"/", "-c", "30", "-d", "60s", "--rate", "2000")
	pids := l.busy(t, dir)
	pid, err := strconv.Atoi(pids[0])
	if err != nil || len(pids) != 3 {
		t.Fatalf("processes %v, %v", pids, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r, status := l.end(t, pids)
	reasons := strings.Join(r.Reasons, "; ")
	if status != exitInvalid || len(r.Agents) != 2 || !strings.Contains(reasons, "1 of 3 agents were lost") || !strings.Contains(reasons, "signal: killed") ||
		!strings.Contains(l.errs.String(), "agents") {
		t.Errorf("status %d, %d processes told, %s, %s: want INVALID for the killed one", status, len(r.Agents), reasons, l.errs.String())
	}
	_ = c.stdin.Close()
}

func TestCtrlCEndsAllProcesses(t *testing.T) {
	c := startReflect(t, 1, `exec "$0" reflect`)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	l := startProcesses(t, "http://"+c.lines[0].Addr+"/", "-c", "30", "-d", "60s", "--rate", "2000")
	pids := l.busy(t, dir)
	if err := l.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	r, status := l.end(t, pids)
	if status != exitInterrupted || !r.Interrupted || len(r.Agents) != 3 || r.Outcomes["ok"] == 0 {
		t.Errorf("status %d, interrupted %t, %d processes: want all three and what they measured", status, r.Interrupted, len(r.Agents))
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "millrace-load-*")); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
	_ = c.stdin.Close()
}
