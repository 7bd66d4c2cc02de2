package results

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func aSession(sitting, rounds, most int) *Session {
	return &Session{Schema: Schema, Sitting: sitting, Started: started, Rounds: rounds, Most: most, BootID: "b"}
}

func mustAppend(t testing.TB, d *Dir, s *Session) {
	t.Helper()
	if err := d.AppendSession(s); err != nil {
		t.Fatal(err)
	}
}

func TestSessionsRaiseTheRounds(t *testing.T) {
	d, _ := aDir(t)
	beyond := aTrial(5, "goroutine", 1e9)
	beyond.Sitting = 2
	if err := d.Append(beyond); err != nil {
		t.Fatal(err)
	}
	_, err := Load(d.Path())
	wantError(t, "a round that no sitting planned", err, "trials.jsonl:4", "round 5", "1 to 3")

	first, ended := aSession(1, 3, 3), started.Add(time.Minute)
	mustAppend(t, d, first)
	first.Ended, first.Reason = &ended, EndedInterrupted
	mustAppend(t, d, first) // the later line of a sitting counts
	mustAppend(t, d, aSession(2, 4, 1000))
	r := mustLoad(t, d.Path())
	if len(r.Sessions) != 2 || r.Sessions[0].Reason != EndedInterrupted || r.Sessions[1].Ended != nil {
		t.Errorf("sessions %+v", r.Sessions)
	}
	if r.Run.Rounds != 5 {
		t.Errorf("%d rounds: want 5, since round 5 was begun", r.Run.Rounds)
	}
	mustAppend(t, d, aSession(3, 20, 20))
	if r = mustLoad(t, d.Path()); r.Run.Rounds != 20 {
		t.Errorf("%d rounds, want the 20 of the last sitting", r.Run.Rounds)
	}
}

func TestSessionsOutOfOrder(t *testing.T) {
	d, _ := aDir(t)
	mustAppend(t, d, aSession(2, 3, 3))
	_, err := Load(d.Path())
	wantError(t, "the second sitting without the first", err, "sessions.jsonl:1", "sitting 2")
}

func TestATrialRunAgainCounts(t *testing.T) {
	d, _ := aDir(t)
	broken := aTrial(2, "goroutine", 1e9)
	broken.Status = StatusInterrupted
	again := aTrial(2, "goroutine", 2e9)
	again.Sitting = 2
	for _, trial := range []*Trial{broken, again} {
		if err := d.Append(trial); err != nil {
			t.Fatal(err)
		}
	}
	r := mustLoad(t, d.Path())
	got, err := r.Trial(again.ID)
	if err != nil || got.Status != StatusDone || len(r.Trials) != 4 {
		t.Errorf("trial %+v, %v of %d: want the later one, of 4", got, err, len(r.Trials))
	}
	warned := strings.Join(r.Warnings, "\n")
	for _, w := range []string{"line 4 of trials.jsonl", "line 5", "the later one counts", "round 2 was begun in sitting 1 and completed in sitting 2"} {
		if !strings.Contains(warned, w) {
			t.Errorf("warnings %q: want %q", warned, w)
		}
	}
	if err := d.Append(again); err != nil {
		t.Fatal(err)
	}
	_, err = Load(d.Path())
	wantError(t, "a finished trial twice", err, "trials.jsonl:6", "stands in line 5 already")
}

func TestOpenCutsATornLine(t *testing.T) {
	d, trials := aDir(t)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.Path(), trialsFile)
	edit(t, path, func(s string) string { return s + `{"schema":1,"id":"r02` })
	d, r, err := Open(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Trials) != len(trials) || !strings.Contains(strings.Join(r.Warnings, "\n"), "trials.jsonl.torn holds it") {
		t.Errorf("%d trials, warnings %q", len(r.Trials), r.Warnings)
	}
	if torn, err := os.ReadFile(path + ".torn"); err != nil || string(torn) != "{\"schema\":1,\"id\":\"r02\n" {
		t.Errorf("kept %q, %v", torn, err)
	}
	if err := d.Append(aTrial(2, "goroutine", 1e9)); err != nil {
		t.Fatal(err)
	}
	if r := mustLoad(t, d.Path()); len(r.Trials) != len(trials)+1 {
		t.Errorf("%d trials behind the cut, want %d", len(r.Trials), len(trials)+1)
	}
}

func TestOpenRefusesWhatIsNoRun(t *testing.T) {
	_, _, err := Open(t.TempDir())
	wantError(t, "an empty directory", err, "run.json", "want the directory of a run")
}

// lockHelper makes this test's program hold the lock of a run until its input ends.
const lockHelper = "MILLRACE_TEST_HOLD"

func TestASecondWriterIsRefused(t *testing.T) {
	if path := os.Getenv(lockHelper); path != "" {
		_, _, err := Open(path)
		fmt.Println("held", err)
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		return
	}
	d, _ := aDir(t)
	_, _, err := Open(d.Path())
	wantError(t, "the same process", err, fmt.Sprint("process ", os.Getpid(), " is writing to it"))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestASecondWriterIsRefused$")
	cmd.Env = append(os.Environ(), lockHelper+"="+d.Path())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held <nil>\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	_, _, err = Open(d.Path())
	wantError(t, "another process", err, fmt.Sprint("process ", cmd.Process.Pid, " is writing to it"), "wait until that has ended")
	if err := cmd.Process.Kill(); err != nil { // a lock ends with its holder, however that ends
		t.Fatal(err)
	}
	_ = in.Close()
	_ = cmd.Wait()
	d, _, err = Open(d.Path())
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestSetAside(t *testing.T) {
	d, _ := aDir(t)
	for i := range 2 {
		dir := d.TrialDir("r01-x")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := d.SetAside("r01-x"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(fmt.Sprint(dir, ".old", i+1)); err != nil {
			t.Error(err)
		}
	}
	if err := d.SetAside("r01-x"); err != nil {
		t.Errorf("nothing to set aside: %v", err)
	}
}
