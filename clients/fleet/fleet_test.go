package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"golang.org/x/sys/unix"
)

// fleetOf starts a coordinator with one agent per role and ends it with the test.
func fleetOf(t *testing.T, o Options, act string, roles ...string) *Coordinator {
	t.Helper()
	if o.Spool == "" {
		o.Spool = t.TempDir()
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		all := c.members()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, m := range all {
			if err := unix.Kill(m.info.PID, 0); !errors.Is(err, unix.ESRCH) {
				t.Errorf("agent %s still there after Close: %v", m.info.ID, err)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(o.Spool, "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	for _, role := range roles {
		if err := c.Spawn(t.Context(), agentFor(role, act)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func agentFor(role, act string) Agent {
	return Agent{Role: role, Command: []string{os.Args[0], role}, Env: []string{actAs + "=" + act}}
}

// always makes the same plan for every load agent.
func always(p fakePlan) func(json.RawMessage, int, int) (json.RawMessage, error) {
	return func(json.RawMessage, int, int) (json.RawMessage, error) { return plan(p), nil }
}

func field(t *testing.T, result json.RawMessage, name string) any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(result, &m); err != nil {
		t.Fatalf("result %.80q: %v", result, err)
	}
	return m[name]
}

func TestWholeTrial(t *testing.T) {
	c := fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad, protocol.RoleLoad)
	dir := t.TempDir()
	files := map[string]int{"readings.jsonl": 100, "profiles/cpu.pprof": 5<<20 + 17, "empty": 0}
	var seen []string
	for _, id := range []string{"t1", "t2"} { // twice: nothing of a trial stays behind
		seen = nil
		out, err := c.Conduct(t.Context(), Trial{ID: id, Dir: filepath.Join(dir, id), SUT: plan(fakePlan{Files: files}),
			Load: func(sut json.RawMessage, agent, agents int) (json.RawMessage, error) {
				if addr := field(t, sut, "addr"); addr != "127.0.0.1:1" || agents != 2 {
					t.Errorf("Load got %s, %d, %d", sut, agent, agents)
				}
				return plan(fakePlan{RunFor: 30 * time.Millisecond, Progress: 3, ResultKB: 1500, Files: map[string]int{"lag.hlog": 10 + agent}}), nil
			},
			Progress: func(role string, p json.RawMessage) { seen = append(seen, role+string(p)) }})
		if err != nil {
			t.Fatal(err)
		}
		if field(t, out.SUTRun, "early") != true || string(out.SUTFinished) != `"finished"` {
			t.Errorf("sut: run %s, finish %s", out.SUTRun, out.SUTFinished)
		}
		for i, l := range out.Load {
			if field(t, l, "early") != false || int64(field(t, l, "t0").(float64)) != out.T0 {
				t.Errorf("load %d: %.80s, t0 %d", i, l, out.T0)
			}
			if n := len(field(t, l, "padding").(string)); n != 1500<<10 {
				t.Errorf("load %d: result of %d bytes", i, n)
			}
		}
		var ids []string
		for _, a := range out.Agents {
			ids = append(ids, a.ID)
			if a.ClockErrorNs <= 0 || a.ClockErrorNs > maxClockErrorNs || a.PID == 0 {
				t.Errorf("agent %+v", a)
			}
		}
		if want := []string{"sut-1", "load-2", "load-3"}; !reflect.DeepEqual(ids, want) || out.Lost != nil {
			t.Errorf("agents %v, want %v; lost %v", ids, want, out.Lost)
		}
		for name, n := range files {
			checkFile(t, filepath.Join(dir, id, name), content(name, n))
		}
		checkFile(t, filepath.Join(dir, id, "load-0/lag.hlog"), content("lag.hlog", 10))
		checkFile(t, filepath.Join(dir, id, "load-1/lag.hlog"), content("lag.hlog", 11))
		if len(seen) != 6 || out.ProgressDropped != 0 {
			t.Errorf("progress %v, %d dropped", seen, out.ProgressDropped)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.spool, "*", "*")); len(left) > 0 {
		t.Errorf("spools not deleted: %v", left)
	}
}

func checkFile(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, %v; want %d bytes", path, len(got), err, len(want))
	}
}

func TestLoadAlone(t *testing.T) {
	c := fleetOf(t, Options{}, "agent", protocol.RoleLoad)
	dir := t.TempDir()
	out, err := c.Conduct(t.Context(), Trial{ID: "alone", Dir: dir, Load: always(fakePlan{RunFor: time.Millisecond, Files: map[string]int{"a": 1}})})
	if err != nil || len(out.Load) != 1 || out.SUTRun != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	checkFile(t, filepath.Join(dir, "a"), content("a", 1))
}

func TestExecutorErrors(t *testing.T) {
	c := fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad)
	short := fakePlan{RunFor: time.Millisecond}
	for _, step := range []string{"prepare", "run", "finish"} {
		for _, role := range protocol.Roles {
			sut, load := fakePlan{Files: map[string]int{"server.log": 3}}, short
			if role == protocol.RoleSUT {
				sut.Fail = step
			} else {
				load.Fail = step
			}
			dir := t.TempDir()
			out, err := c.Conduct(t.Context(), Trial{ID: role + step, Dir: dir, SUT: plan(sut), Load: always(load)})
			var e *AgentError
			if !errors.As(err, &e) || e.Role != role || e.Step != step || e.Message != step+" went wrong" || string(e.Details) != `{"log":["one","two"]}` {
				t.Errorf("%s fails in %s: %v, %+v", role, step, err, e)
			}
			if len(out.Lost) > 0 {
				t.Errorf("%s fails in %s: lost %v", role, step, out.Lost)
			}
			checkFile(t, filepath.Join(dir, "server.log"), content("server.log", 3)) // collected all the same
		}
	}
	out, err := c.Conduct(t.Context(), Trial{ID: "part", SUT: plan(fakePlan{}), Load: always(fakePlan{Fail: "run", FailResult: true})})
	if string(out.Load[0]) != `"part"` || err == nil {
		t.Errorf("a result beside an error: %s, %v", out.Load[0], err)
	}
	if _, err := c.Conduct(t.Context(), Trial{ID: "good", SUT: plan(fakePlan{}), Load: always(short)}); err != nil {
		t.Errorf("the trial after: %v", err)
	}
	planning := errors.New("no such scenario")
	_, err = c.Conduct(t.Context(), Trial{ID: "unplanned", SUT: plan(fakePlan{}),
		Load: func(json.RawMessage, int, int) (json.RawMessage, error) { return nil, planning }})
	if !errors.Is(err, planning) {
		t.Errorf("an error of Load: %v", err)
	}
}

func TestAgentDies(t *testing.T) {
	c := fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad)
	for _, step := range []string{"prepare", "run", "finish"} {
		for _, role := range protocol.Roles {
			sut, load := fakePlan{}, fakePlan{RunFor: time.Minute}
			if step == "finish" {
				load.RunFor = time.Millisecond
			}
			if role == protocol.RoleSUT {
				sut.Die = step
			} else {
				load.Die = step
			}
			out, err := c.Conduct(t.Context(), Trial{ID: role + step, SUT: plan(sut), Load: always(load)})
			var e *LostError
			if !errors.As(err, &e) || e.Role != role || !strings.Contains(e.Reason, "exit status 3") || len(e.Log) == 0 || e.Log[len(e.Log)-1] != "panic: told to die" {
				t.Errorf("%s dies in %s: %v", role, step, err)
			}
			if len(out.Lost) != 1 || !strings.HasPrefix(out.Lost[0], role) {
				t.Errorf("%s dies in %s: lost %v", role, step, out.Lost)
			}
			if role == protocol.RoleSUT && step == "run" && field(t, out.Load[0], "early") != true {
				t.Errorf("load without sut: %s", out.Load[0])
			}
			if _, err := c.Conduct(t.Context(), Trial{ID: "without", SUT: plan(sut), Load: always(load)}); !errors.As(err, &e) {
				t.Errorf("a trial with a lost agent: %v", err)
			}
			if err := c.Respawn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := c.Conduct(t.Context(), Trial{ID: "good", SUT: plan(fakePlan{}), Load: always(fakePlan{RunFor: time.Millisecond})}); err != nil {
		t.Errorf("the trial after: %v", err)
	}
}

func TestCancel(t *testing.T) {
	c := fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad)
	t.Run("run", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		dir := t.TempDir()
		out, err := c.Conduct(ctx, Trial{ID: "cancelled", Dir: dir, SUT: plan(fakePlan{}),
			Load:     always(fakePlan{RunFor: time.Minute, Progress: 1, Files: map[string]int{"part": 9}}),
			Progress: func(string, json.RawMessage) { cancel() }})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if field(t, out.Load[0], "early") != true || out.SUTRun == nil || out.SUTFinished == nil {
			t.Errorf("outcome %+v", out)
		}
		checkFile(t, filepath.Join(dir, "part"), content("part", 9))
	})
	t.Run("prepare", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		out, err := c.Conduct(ctx, Trial{ID: "early", SUT: plan(fakePlan{}), Load: func(json.RawMessage, int, int) (json.RawMessage, error) {
			time.AfterFunc(20*time.Millisecond, cancel)
			return plan(fakePlan{Block: true}), nil
		}})
		if !errors.Is(err, context.Canceled) || out.T0 != 0 || out.SUTFinished == nil {
			t.Errorf("%+v, %v", out, err)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		out, err := c.Conduct(t.Context(), Trial{ID: "late", SUT: plan(fakePlan{}), Load: always(fakePlan{RunFor: time.Minute}), Timeout: 300 * time.Millisecond})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not over within 300ms") || field(t, out.Load[0], "early") != true {
			t.Errorf("%+v, %v", out, err)
		}
	})
	t.Run("close", func(t *testing.T) {
		own := fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad)
		closed := make(chan error, 1)
		_, err := own.Conduct(t.Context(), Trial{ID: "closed", SUT: plan(fakePlan{Server: true}), Load: always(fakePlan{RunFor: time.Minute, Progress: 1}),
			Progress: func(string, json.RawMessage) { go func() { closed <- own.Close() }() }})
		var e *LostError
		if !errors.As(err, &e) {
			t.Errorf("error %v", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestSilentAgentIsLost(t *testing.T) {
	c := fleetOf(t, Options{Beat: 20 * time.Millisecond, Lost: 300 * time.Millisecond, Lease: time.Minute}, "agent", protocol.RoleSUT, protocol.RoleLoad)
	out, err := c.Conduct(t.Context(), Trial{ID: "stopped", SUT: plan(fakePlan{}), Load: always(fakePlan{RunFor: time.Minute, Progress: 1}),
		Progress: func(string, json.RawMessage) {
			if err := unix.Kill(pids(c)[1], unix.SIGSTOP); err != nil {
				t.Error(err)
			}
		}})
	var e *LostError
	if !errors.As(err, &e) || !strings.Contains(e.Reason, "none of the last 15 heartbeats") || !reflect.DeepEqual(out.Lost, []string{"load-2"}) {
		t.Errorf("%v, lost %v", err, out.Lost)
	}
	if out.SUTRun == nil || out.SUTFinished == nil {
		t.Errorf("the sut was not wound up: %+v", out)
	}
}

func TestHostileFileNames(t *testing.T) {
	c := fleetOf(t, Options{}, "hostile", protocol.RoleLoad)
	top := t.TempDir()
	dir, outside := filepath.Join(top, "dir"), filepath.Join(top, "outside")
	for _, d := range []string{dir, outside} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	_, err := c.Conduct(t.Context(), Trial{ID: "hostile", Dir: dir, Load: always(fakePlan{RunFor: time.Millisecond})})
	for _, want := range []string{`"../escape"`, `"/tmp/escape"`, `"a/../../escape"`, "link", `"wrong-sum": checksum`, `"huge"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
	checkFile(t, filepath.Join(dir, "ok"), []byte("ok"))
	if all, _ := filepath.Glob(filepath.Join(top, "*", "*")); len(all) != 2 { // dir/link and dir/ok
		t.Errorf("written: %v", all)
	}
}

func TestSameFileTwice(t *testing.T) {
	c := fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad)
	same := map[string]int{"log": 1}
	_, err := c.Conduct(t.Context(), Trial{ID: "twice", Dir: t.TempDir(), SUT: plan(fakePlan{Files: same}), Load: always(fakePlan{Files: same, RunFor: 1})})
	if err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("error %v", err)
	}
}

func TestTwoCoordinators(t *testing.T) {
	fleets := []*Coordinator{fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad), fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad)}
	var other atomic.Pointer[Outcome]
	out, err := fleets[0].Conduct(t.Context(), Trial{ID: "outer", SUT: plan(fakePlan{}), Load: always(fakePlan{RunFor: 50 * time.Millisecond, Progress: 1}),
		Progress: func(string, json.RawMessage) {
			inner, err := fleets[1].Conduct(t.Context(), Trial{ID: "inner", SUT: plan(fakePlan{}), Load: always(fakePlan{RunFor: time.Millisecond})})
			if err != nil {
				t.Error(err)
			}
			other.Store(inner)
			if _, err := fleets[0].Conduct(t.Context(), Trial{ID: "second"}); err == nil || !strings.Contains(err.Error(), "under way") {
				t.Errorf("a second trial: %v", err)
			}
		}})
	if err != nil || out.Load[0] == nil || other.Load() == nil || other.Load().Load[0] == nil {
		t.Errorf("%v, %v", out, err)
	}
}

func TestAffinityAndPriority(t *testing.T) {
	var ours unix.CPUSet
	if err := unix.SchedGetaffinity(0, &ours); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !ours.IsSet(cpu) {
		cpu++
	}
	c := fleetOf(t, Options{}, "agent")
	a := agentFor(protocol.RoleLoad, "agent")
	a.CPUs, a.Nice = []int{cpu}, 5
	if err := c.Spawn(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	m := c.members()[0]
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(m.info.PID, &set); err != nil || set.Count() != 1 || !set.IsSet(cpu) {
		t.Errorf("affinity %v, %v", set, err)
	}
	prio, err := unix.Getpriority(unix.PRIO_PROCESS, m.info.PID)
	if err != nil || 20-prio != 5 || m.info.Nice != 5 {
		t.Errorf("nice %d, recorded %d, %v", 20-prio, m.info.Nice, err)
	}
	if group, err := unix.Getpgid(m.info.PID); err != nil || group != m.info.PID {
		t.Errorf("process group %d, %v", group, err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedGetaffinity(0, &set); err != nil || set != ours {
		t.Errorf("our own affinity changed to %v", set)
	}
}
