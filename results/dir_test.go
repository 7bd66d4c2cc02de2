package results

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestIDs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	zone := time.FixedZone("east", 3600)
	id := NewID(time.Date(2026, 11, 21, 4, 15, 0, 0, zone), "burst", rnd)
	if !regexp.MustCompile(`^20261121T031500Z-burst-[0-9a-z]{4}$`).MatchString(id) {
		t.Errorf("run id %q", id)
	}
	if other := NewID(started, "burst", rnd); other == id {
		t.Errorf("two runs of one second are both %q", id)
	}
	for _, c := range []struct {
		round         int
		variant, want string
	}{
		{3, "gnet/ants", "r03-burst-gnet+ants"},
		{12, "goroutine/GOGC=400", "r12-burst-goroutine+GOGC=400"},
		{100, "my server", "r100-burst-my_server"},
	} {
		if got := TrialID(c.round, "burst", c.variant, 0); got != c.want || checkTrialID(got) != nil {
			t.Errorf("trial id %q, want %q", got, c.want)
		}
	}
	if got, want := TrialID(3, "burst", "gnet/ants", 2), "r03-burst-gnet+ants-s02"; got != want {
		t.Errorf("trial id of the second step %q, want %q", got, want)
	}
	for _, id := range []string{"", ".", "..", "../x", "a/b", "/etc"} {
		if checkTrialID(id) == nil {
			t.Errorf("trial id %q is taken", id)
		}
	}
}

func TestCreateWritesTheRunFirst(t *testing.T) {
	root, run := filepath.Join(t.TempDir(), "results", "runs"), aRun(t)
	d, err := Create(root, run)
	if err != nil {
		t.Fatal(err)
	}
	if d.Path() != filepath.Join(root, run.ID) || d.TrialDir("x") != filepath.Join(root, run.ID, "trials", "x") {
		t.Errorf("paths %s, %s", d.Path(), d.TrialDir("x"))
	}
	r := mustLoad(t, d.Path())
	if r.Path != d.Path() || asJSON(t, r.Run) != asJSON(t, run) {
		t.Errorf("loaded %+v: want what was created", r.Run)
	}
	if len(r.Trials) != 0 || len(r.Warnings) != 1 {
		t.Errorf("a new run has %d trials and warnings %q", len(r.Trials), r.Warnings)
	}
	_, err = Create(root, run)
	wantError(t, "twice", err, run.ID, "file exists")
	run.ID = "../outside"
	_, err = Create(root, run)
	wantError(t, "bad id", err, `"../outside"`)
}

func TestLatest(t *testing.T) {
	root := t.TempDir()
	_, err := Latest(filepath.Join(root, "missing"))
	wantError(t, "no root", err, "no run in", "millrace run")
	run := aRun(t)
	for _, id := range []string{"20261121T031500Z-idle-zzzz", "20261121T031501Z-burst-aaaa", "20261120T235959Z-churn-zzzz"} {
		run.ID = id
		if _, err := Create(root, run); err != nil {
			t.Fatal(err)
		}
	}
	explain := aRun(t)
	explain.ID, explain.Purpose, explain.Explains = "20261121T040000Z-burst-bbbb", PurposeExplain, "20261121T031501Z-burst-aaaa"
	if _, err := Create(root, explain); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "zz-no-run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Latest(root); err != nil || filepath.Base(got) != "20261121T031501Z-burst-aaaa" {
		t.Errorf("latest %s, error %v", got, err)
	}
}

// TestAppendOnFullDisk lets /dev/full be the file.
func TestAppendOnFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	d, _ := aDir(t)
	path := filepath.Join(d.Path(), trialsFile)
	if err := errors.Join(os.Remove(path), os.Symlink("/dev/full", path)); err != nil {
		t.Fatal(err)
	}
	wantError(t, "full", d.Append(aTrial(3, "goroutine", 1)), path, "r03-burst-goroutine", "no space left", "free space on")
}

// TestFullFileSystem fills a real one, of 64 KiB, and goes on when there is room again.
func TestFullFileSystem(t *testing.T) {
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d, err := Create(root, aRun(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Append(aTrial(1, "goroutine", 1)); err != nil {
		t.Fatal(err)
	}
	big := aTrial(2, "goroutine", 1)
	big.Notes = []string{strings.Repeat("x", 60_000)}
	err = d.Append(big)
	wantError(t, "full", err, trialsFile, "free space on the file system of "+d.Path())
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v: want ENOSPC", err)
	}
	if err := d.Append(aTrial(2, "goroutine", 2)); err != nil {
		t.Errorf("appending a small trial afterwards: %v", err)
	}
	if r := mustLoad(t, d.Path()); len(r.Trials) != 2 || len(r.Warnings) != 0 {
		t.Errorf("%d trials, warnings %q: want 2 and none", len(r.Trials), r.Warnings)
	}
	if err := os.WriteFile(filepath.Join(root, "fill"), make([]byte, 1<<20), 0o644); err == nil {
		t.Fatal("the file system holds a megabyte")
	}
	run := aRun(t)
	run.ID += "2"
	_, err = Create(root, run)
	wantError(t, "creating when full", err, run.ID, "free space on")
	if _, err := os.Stat(filepath.Join(root, run.ID)); err == nil {
		t.Error("a run without run.json is left behind")
	}
}

func TestAppendRefuses(t *testing.T) {
	d, trials := aDir(t)
	wantError(t, "two of which one is bad", d.Append(aTrial(3, "goroutine", 1), &Trial{ID: ".."}), `trial id ".."`)
	if r := mustLoad(t, d.Path()); len(r.Trials) != len(trials) {
		t.Errorf("%d trials: want none of the two", len(r.Trials))
	}
	bad := aTrial(3, "goroutine", 1)
	bad.ID = "../r03"
	bad.Metrics["qps"] = 1
	wantError(t, "id and metric", d.Append(bad), `"../r03"`, `metric "qps"`, trialsFile)
	nan := aTrial(3, "goroutine", 1)
	nan.Metrics["gc-share"] = math.NaN()
	wantError(t, "not a number", d.Append(nan), "r03-burst-goroutine", "NaN")
}
