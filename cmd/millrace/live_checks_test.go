package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
)

// These tests do to `millrace load` what its checks are there to notice, with real processes and sockets, and then leave it
// alone to see that they keep quiet.

// inNamespace puts the rest of the test, and what it starts, into a network namespace of its own, with counters and ports
// of its own and nothing but loopback. The test must not run subtests in it.
func inNamespace(t *testing.T) {
	t.Helper()
	// Never unlocked: the thread ends with the test, and the namespace with its last process.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		t.Skip("a network namespace needs root: unshare:", err)
	} else if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}

// onCPU lets this thread, and what it starts, run on one CPU only.
func onCPU(t *testing.T, cpu int) {
	t.Helper()
	runtime.LockOSThread()
	if err := procfs.SetAffinity([]int{cpu}); err != nil {
		t.Fatal(err)
	}
}

// loading is a `millrace load` under way.
type loading struct {
	cmd       *exec.Cmd
	out, errs bytes.Buffer
	file      string
}

// measured is one that is over.
type measured struct {
	clients.Report
	exit           int
	screen, errors string
}

func startLoad(t *testing.T, args ...string) *loading {
	t.Helper()
	l := &loading{file: filepath.Join(t.TempDir(), "report.json")}
	l.cmd = exec.Command(filepath.Join(binDir, "millrace"), append([]string{"load", "--json", l.file}, args...)...)
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.errs
	l.cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cacheHome(t))
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.cmd.Process.Kill() }) // if the test gave up
	return l
}

// first gives the load priority over what else runs on this host, where that is allowed.
func (l *loading) first() *loading {
	// Without the right to it, the tries of quietly must do. Threads that are there already, too, have a priority each.
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", l.cmd.Process.Pid))
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, -20)
		}
	}
	return l
}

// over waits for the end and checks what holds of every report: each outcome counted once, each figure with its unit, each
// fault with reason and remedy, on the screen too, and the exit status that the verdict asks for.
func (l *loading) over(t *testing.T) *measured {
	t.Helper()
	err := l.cmd.Wait()
	m := &measured{exit: l.cmd.ProcessState.ExitCode(), screen: l.out.String(), errors: l.errs.String()}
	data, bad := os.ReadFile(l.file)
	if bad == nil {
		bad = json.Unmarshal(data, &m.Report)
	}
	if bad != nil {
		t.Fatalf("%v, %v: %s", err, bad, m.errors)
	}
	sum := int64(0)
	for _, n := range m.Outcomes {
		sum += n
	}
	if sum != m.Planned {
		t.Errorf("%d planned, outcomes %v", m.Planned, m.Outcomes)
	}
	for _, c := range m.Checks {
		wrong := c.State == validity.Warn || c.State == validity.Fail || c.State == validity.Unknown
		if c.Name == "" || c.Unit == "" || wrong && (c.Reason == "" || c.Remedy == "") {
			t.Errorf("%+v: want name and unit, and reason and remedy where it is wrong", c)
		}
		if wrong && !strings.Contains(m.screen, c.Name+": "+c.Reason+" ("+c.Remedy+")") {
			t.Errorf("%+v: not on the screen", c)
		}
	}
	if want := map[bool]int{true: exitInvalid}[m.Verdict == validity.Invalid]; m.exit != want {
		t.Errorf("%s ends with status %d, want %d: %s", m.Verdict, m.exit, want, m.errors)
	}
	if !strings.Contains(m.screen, fmt.Sprintf("verdict    %s\n", m.Verdict)) {
		t.Errorf("verdict %s is not on the screen:\n%s", m.Verdict, m.screen)
	}
	return m
}

// check is a check by its name.
func (m *measured) check(t *testing.T, name string) validity.Check {
	t.Helper()
	for _, c := range m.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %s", name)
	return validity.Check{}
}

// expect checks the state of a check.
func (m *measured) expect(t *testing.T, name string, states ...validity.State) {
	t.Helper()
	c := m.check(t, name)
	for _, s := range states {
		if c.State == s {
			return
		}
	}
	t.Errorf("%+v, want %v", c, states)
}

// answering starts a server in this process.
func answering(t *testing.T, s reflect.Script) *reflect.Reflector {
	t.Helper()
	s.Protocol = "http1"
	r, err := reflect.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// quietly repeats a load that nothing disturbs on purpose, since other programs may: some of the tries must pass.
func quietly(t *testing.T, what string, try func() (fault string)) {
	t.Helper()
	var faults []string
	for range 4 {
		fault := try()
		if fault == "" {
			return
		}
		faults = append(faults, fault)
	}
	t.Errorf("%s, in four tries on what may be a busy host:\n%s", what, strings.Join(faults, "\n"))
}

// A spinning neighbour of higher priority on the client's only CPU makes it late.
func TestLoadStarvedOfCPU(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 4 s and a CPU")
	}
	cpus, err := procfs.Affinity()
	if err != nil {
		t.Fatal(err)
	}
	inNamespace(t)
	r := answering(t, reflect.Script{})
	onCPU(t, cpus[len(cpus)-1])
	run := func(disturb func(l *loading)) *measured {
		before := r.Handled.Load()
		// The reflector is on the same CPU: a client that spins would take it from there.
		l := startLoad(t, r.URL(), "-c", "10", "-d", "1500ms", "--rate", "2000", "--spin=false")
		eventually(t, "the load to be under way", func() bool { return r.Handled.Load() > before+100 })
		disturb(l)
		return l.over(t)
	}
	starved := run(func(*loading) {
		spinner := exec.Command("nice", "-n", "-20", "sh", "-c", "while :; do :; done")
		if err := spinner.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(700 * time.Millisecond)
		spinner.Process.Kill()
		spinner.Wait()
	})
	starved.expect(t, "generator CPU wait", validity.Fail)
	starved.expect(t, "generator lag", validity.Fail, validity.Warn)
	if mean := starved.ResponseNs.Mean; mean < 1e6 { // of the lag only the first requests of a stall tell: the others wait for a connection
		t.Errorf("a mean response of %v ns beside a spinning neighbour", mean)
	}
	quietly(t, "the load is called starved though it has priority", func() string {
		m := run(func(l *loading) { l.first() })
		if c := m.check(t, "generator CPU wait"); c.State != validity.OK {
			return fmt.Sprintf("%+v", c)
		}
		return ""
	})
}

// A client that is stopped for 300 ms sends late what was due, and its figures are void.
func TestLoadStoppedForAWhile(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const pause = 300 * time.Millisecond
	r := answering(t, reflect.Script{Delay: 20 * time.Millisecond}) // so that a busy host's lag of some ms is little
	loop := []string{"--rate", "1000"}
	run := func(disturb func(l *loading)) *measured {
		before := r.Handled.Load()
		l := startLoad(t, append([]string{r.URL(), "-c", "50", "-d", "1500ms"}, loop...)...)
		eventually(t, "the load to be under way", func() bool { return r.Handled.Load() > before+100 })
		disturb(l)
		return l.over(t)
	}
	stop := func(l *loading) {
		pid := l.cmd.Process.Pid
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		<-time.After(pause)
		if err := unix.Kill(pid, unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	stopped := run(stop)
	stopped.expect(t, "generator lag", validity.Fail)
	if longest := stopped.LagNs.Max; longest == nil || *longest < int64(pause*9/10) {
		t.Errorf("the lag is %+v: want the pause in it", stopped.LagNs)
	}
	quietly(t, "the generator lag is INVALID though nothing stops it", func() string {
		if c := run(func(l *loading) { l.first() }).check(t, "generator lag"); c.State == validity.Fail {
			return fmt.Sprintf("%+v", c)
		}
		return ""
	})
	// In a closed loop the latencies hardly feel it, but the throughput lacks a fifth.
	loop = nil
	run(stop).expect(t, "generator lag", validity.Fail)
	quietly(t, "the closed loop's stalls are INVALID though nothing stops it", func() string {
		if c := run(func(l *loading) { l.first() }).check(t, "generator lag"); c.State == validity.Fail {
			return fmt.Sprintf("%+v", c)
		}
		return ""
	})
}

// A listener whose queue is full drops SYNs: connections time out, and the kernel's counters say why.
func TestLoadAgainstAFullListenQueue(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	inNamespace(t)
	deaf, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(deaf)
	if err := errors.Join(unix.Bind(deaf, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(deaf, 1)); err != nil {
		t.Fatal(err)
	}
	addr, err := unix.Getsockname(deaf)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-c", "20", "-d", "2s", "--rate", "100", "--requests", "1", "--timeout", "1500ms", "--source", "127.0.0.1"}
	drops := []string{"kernel drops, listen overflows", "kernel drops, listen drops", "kernel drops, SYN retransmits"}
	m := startLoad(t, append(args, fmt.Sprintf("http://127.0.0.1:%d/", addr.(*unix.SockaddrInet4).Port))...).over(t)
	if m.Outcomes["connect_timeout"] == 0 || m.Outcomes["ok"] != 0 {
		t.Errorf("outcomes %v, want connections that time out", m.Outcomes)
	}
	for _, name := range drops {
		m.expect(t, name, validity.Warn)
	}
	m.expect(t, "good replies", validity.Fail)
	if m.Verdict != validity.Invalid {
		t.Errorf("%s, want INVALID", m.Verdict)
	}

	m = startLoad(t, append(args, answering(t, reflect.Script{}).URL())...).over(t)
	for _, name := range append(drops, "good replies", "outcome identity") {
		m.expect(t, name, validity.OK)
	}
}

// With sixteen ports and connections that leave theirs in TIME_WAIT, most requests find none.
func TestLoadWithoutPortsLeft(t *testing.T) {
	inNamespace(t)
	r := answering(t, reflect.Script{})
	load := func() *measured {
		return startLoad(t, r.URL(), "-c", "1", "-d", "1s", "--rate", "400", "--requests", "1", "--close", "fin-client", "--source", "127.0.0.1").over(t)
	}
	m := load()
	m.expect(t, "kernel drops, ports", validity.OK)
	m.expect(t, "good replies", validity.OK)

	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("20000 20015"), 0o644); err != nil {
		t.Fatal(err)
	}
	m = load()
	if m.Outcomes["no_port"] < m.Planned/2 || m.Outcomes["ok"] == 0 {
		t.Errorf("outcomes %v of %d, want some ok and most without a port", m.Outcomes, m.Planned)
	}
	m.expect(t, "kernel drops, ports", validity.Warn)
	m.expect(t, "good replies", validity.Warn, validity.Fail)
	m.expect(t, "outcome identity", validity.OK)
	if m.Verdict == validity.Valid {
		t.Error("the verdict is VALID")
	}
}
