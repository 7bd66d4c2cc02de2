package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

func TestOnlyLoopback(t *testing.T) {
	for _, host := range []string{"0.0.0.0", "::", "192.0.2.1", "localhost", "example.org", "::ffff:192.0.2.1"} {
		_, err := Start(t.Context(), Options{Listen: host, Spool: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "want a loopback address") {
			t.Errorf("listening on %s: %v", host, err)
		}
		line, _ := json.Marshal(protocol.Greeting{Protocol: protocol.Version, Role: protocol.RoleLoad, URL: "nats://" + bracket(host) + ":4222"})
		err = ServeAgent(t.Context(), AgentOptions{Role: protocol.RoleLoad, Stdin: strings.NewReader(string(line) + "\n")}, &fake{})
		if err == nil || !strings.Contains(err.Error(), "want a loopback address") {
			t.Errorf("an agent of %s: %v", host, err)
		}
	}
	c := fleetOf(t, Options{Listen: "::1"}, "agent")
	if !strings.HasPrefix(c.URL(), "nats://[::1]:") {
		t.Errorf("URL %s", c.URL())
	}
}

func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func TestCredentials(t *testing.T) {
	c := fleetOf(t, Options{}, "agent", protocol.RoleLoad)
	for _, user := range [][2]string{{"", ""}, {"coordinator", ""}, {"coordinator", "guess"}, {"load-1", "guess"}} {
		nc, err := nats.Connect(c.URL(), nats.UserInfo(user[0], user[1]), nats.NoReconnect())
		if !errors.Is(err, nats.ErrAuthorization) {
			nc.Close()
			t.Errorf("user %q with password %q: %v", user[0], user[1], err)
		}
	}
	password := c.bus.grants.add("load-9", agentPermissions("load-9"))
	refused := make(chan error, 1)
	nc, err := nats.Connect(c.URL(), nats.UserInfo("load-9", password), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if second, err := nats.Connect(c.URL(), nats.UserInfo("load-9", password), nats.NoReconnect()); !errors.Is(err, nats.ErrAuthorization) {
		second.Close()
		t.Errorf("a password used twice: %v", err)
	}
	for name, try := range map[string]func() error{
		"speak for another": func() error { return nc.Publish(protocol.Subject("load-1", protocol.VerbDone), nil) },
		"ask another":       func() error { return nc.Publish(protocol.Subject("load-1", protocol.VerbRead), nil) },
		"beat":              func() error { return nc.Publish(protocol.BeatSubject, nil) },
		"hear another":      func() error { _, err := nc.SubscribeSync(protocol.Subject("load-1", ">")); return err },
		"hear everything":   func() error { _, err := nc.SubscribeSync(">"); return err },
		"hear answers":      func() error { _, err := nc.SubscribeSync("_INBOX.>"); return err },
	} {
		if err := errors.Join(try(), nc.Flush()); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("an agent may %s: %v", name, err)
		}
	}
	for _, name := range []string{"cmdline", "environ"} {
		data, err := os.ReadFile(filepath.Join("/proc", itoa(pids(c)[0]), name))
		if err != nil || strings.Contains(string(data), "nats://") || strings.Contains(string(data), "password") {
			t.Errorf("%s of an agent: %q, %v", name, data, err)
		}
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Beat: time.Millisecond}, {Beat: time.Second, Lost: 2 * time.Second}, {Beat: time.Second, Lost: time.Minute, Lease: time.Second}} {
		if _, err := Start(t.Context(), o); err == nil {
			t.Errorf("%+v accepted", o)
		}
	}
}

func TestSpawnErrors(t *testing.T) {
	c := fleetOf(t, Options{}, "agent", protocol.RoleSUT)
	for name, test := range map[string]struct {
		agent Agent
		want  string
	}{
		"role":      {Agent{Role: "spare", Command: []string{"x"}}, `role "spare": want one of sut, load`},
		"no path":   {Agent{Role: protocol.RoleLoad}, "want a path"},
		"missing":   {Agent{Role: protocol.RoleLoad, Command: []string{"/no/such/program"}}, "no such file"},
		"nice":      {Agent{Role: protocol.RoleLoad, Command: []string{"x"}, Nice: 20}, "want -20 to 19"},
		"cpu":       {Agent{Role: protocol.RoleLoad, Command: []string{"x"}, CPUs: []int{1023}}, "affinity"},
		"second":    {agentFor(protocol.RoleSUT, "agent"), "agent sut-1 is alive"},
		"ends":      {agentFor(protocol.RoleLoad, "mute"), "exit status 7; its last line: last words"},
		"otherwise": {Agent{Role: protocol.RoleLoad, Command: []string{os.Args[0], protocol.RoleSUT}, Env: []string{actAs + "=agent"}}, `role "load"`},
	} {
		if err := c.Spawn(t.Context(), test.agent); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Spawn(ctx, agentFor(protocol.RoleLoad, "server")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an agent that says nothing: %v", err)
	}
	if _, err := c.Conduct(t.Context(), Trial{ID: "x", SUT: plan(fakePlan{}), Load: always(fakePlan{})}); err == nil || !strings.Contains(err.Error(), "spawn a load agent") {
		t.Errorf("a trial without load: %v", err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if err := c.Spawn(t.Context(), agentFor(protocol.RoleLoad, "agent")); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("spawning after Close: %v", err)
	}
}

func TestGreeting(t *testing.T) {
	for _, line := range []string{"", "hello\n", "{}\n", `{"protocol":1,"role":"sut"}` + "\n", strings.Repeat("x", protocol.MaxGreetingBytes+1)} {
		err := ServeAgent(t.Context(), AgentOptions{Role: protocol.RoleLoad, Stdin: strings.NewReader(line)}, &fake{})
		if err == nil || !strings.Contains(err.Error(), "coordinator's line") {
			t.Errorf("%.20q: %v", line, err)
		}
	}
}

// TestKilledCoordinator kills a coordinator in the middle of a trial: its agents and the server that one of them
// started must end at once.
func TestKilledCoordinator(t *testing.T) {
	cmd, family := coordinatorProcess(t)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	expectGone(t, family, 2*time.Second)
}

// TestStoppedCoordinator stops a coordinator, as Ctrl-Z does: the agents' lease runs out.
func TestStoppedCoordinator(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the whole lease")
	}
	cmd, family := coordinatorProcess(t)
	if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	expectGone(t, family, 3*defaultLease)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

// coordinatorProcess starts one in the middle of a trial and returns the descriptors of the processes below it by name.
func coordinatorProcess(t *testing.T) (*exec.Cmd, map[string]int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), actAs+"=coordinator", "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	lines := bufio.NewScanner(out)
	var said struct {
		Agents []int          `json:"agents"`
		SUT    map[string]int `json:"sut"`
	}
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &said) != nil || !lines.Scan() || lines.Text() != "running" || len(said.Agents) != 2 {
		t.Fatalf("the coordinator said %q", lines.Text())
	}
	family := map[string]int{}
	for name, pid := range map[string]int{"sut": said.Agents[0], "load": said.Agents[1], "server": said.SUT["server"]} {
		if family[name], err = unix.PidfdOpen(pid, 0); err != nil {
			t.Fatalf("%s %d: %v", name, pid, err)
		}
		t.Cleanup(func() { unix.Close(family[name]) })
	}
	return cmd, family
}

func expectGone(t *testing.T, family map[string]int, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for name, fd := range family {
		n, err := 0, error(unix.EINTR)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(deadline).Milliseconds())))
		}
		if err != nil || n != 1 {
			t.Errorf("%s is still there after %v: %v", name, within, err)
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
	}
}

func TestClockProbe(t *testing.T) {
	for name, test := range map[string]struct {
		p           probe
		offset, err int64
	}{
		"same clock, even ways":   {probe{100, 150, 160, 210}, 0, 50},
		"same clock, slow answer": {probe{100, 110, 120, 230}, -50, 60},
		"ahead by 1000":           {probe{100, 1150, 1160, 210}, 1000, 50},
	} {
		if o, e := test.p.offsetNs(), test.p.errorNs(); o != test.offset || e != test.err {
			t.Errorf("%s: offset %d ± %d, want %d ± %d", name, o, e, test.offset, test.err)
		}
	}
}

// BenchmarkTrial measures all that is around a run: from Prepare to the collected files, the lead apart.
func BenchmarkTrial(b *testing.B) {
	c, err := Start(b.Context(), Options{Spool: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for _, role := range protocol.Roles {
		if err := c.Spawn(b.Context(), agentFor(role, "agent")); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	const lead = 10 * time.Millisecond
	for b.Loop() {
		if _, err := c.Conduct(b.Context(), Trial{ID: "b", Dir: dir, Lead: lead, SUT: plan(fakePlan{}), Load: always(fakePlan{RunFor: 1})}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/1e6-lead.Seconds()*1e3, "overhead-ms/op")
}
