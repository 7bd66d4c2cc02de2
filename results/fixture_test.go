package results

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

var started = time.Date(2026, 11, 21, 3, 15, 0, 0, time.UTC)

// aRun is a run of two variants and three rounds.
func aRun(t testing.TB) *Run {
	t.Helper()
	given, err := scenarios.Named("burst")
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := given.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return &Run{
		Schema: Schema, ID: "20261121T031500Z-burst-k3f9", Method: 1, Started: started, Given: *given, Scenario: *resolved,
		Variants: []Variant{{Name: "goroutine", Model: "goroutine"}, {Name: "gnet/ants", Model: "gnet"}},
		Rounds:   3, Seed: 7, Order: [][]string{{"goroutine", "gnet/ants"}, {"gnet/ants", "goroutine"}, {"goroutine", "gnet/ants"}},
		Engine: "epoll", Split: CPUSplit{Server: []int{0}, Client: []int{1}},
		Env: Env{Host: "c0ffee", CPU: "AMD  EPYC\n7B13", Commit: "0123abc", Dirty: true, GOOS: "linux", GOARCH: "amd64"},
	}
}

// aTrial is a good trial; change what the test is about.
func aTrial(round int, variant string, drainNs float64) *Trial {
	return &Trial{
		Schema: Schema, ID: TrialID(round, "burst", variant, 0), Round: round, Position: 1, Scenario: "burst", Variant: variant,
		Started: started, Seconds: 30, Status: StatusDone, Verdict: validity.Valid,
		Planned: 10, Outcomes: map[string]int64{"ok": 10},
		Metrics: map[string]float64{"drain-time-ns": drainNs, "goodput-rps": 1e15 / drainNs, "peak-RSS-bytes": 123456789, "lag-p99-ns": 9000},
		Slopes:  map[string]Slope{"user-bytes-per-conn": {PerConn: 1, Lo: 0.5, Hi: 2, Confidence: 0.95, N: 4, Points: [][2]float64{{1, 2}}}},
	}
}

// aDir is the directory of aRun with three trials.
func aDir(t testing.TB) (*Dir, []*Trial) {
	t.Helper()
	d, err := Create(t.TempDir(), aRun(t))
	if err != nil {
		t.Fatal(err)
	}
	bad := aTrial(2, "gnet/ants", 3e9)
	bad.Verdict = validity.Invalid
	bad.Checks = []validity.Check{{Name: "generator lag", State: validity.Fail, Reason: "p99 is 9 ms:\nlimit 50 µs", Remedy: "lower the rate"}}
	trials := []*Trial{aTrial(1, "goroutine", 1.5e9), aTrial(1, "gnet/ants", 1.25e9), bad}
	for _, trial := range trials {
		if err := d.Append(trial); err != nil {
			t.Fatal(err)
		}
	}
	return d, trials
}

func mustLoad(t testing.TB, path string) *Result {
	t.Helper()
	r, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// edit changes a file of the run's directory by text.
func edit(t testing.TB, path string, change func(string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(change(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantError checks that err names all that it should.
func wantError(t testing.TB, name string, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %v: want %q in it", name, err, w)
		}
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// writeHlog gives a trial a log of two phases: i values of 1000 ns in phase i.
func writeHlog(t testing.TB, d *Dir, id, kind string) {
	t.Helper()
	if err := os.MkdirAll(d.TrialDir(id), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(d.TrialDir(id), kind+".hlog"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := hist.NewLogWriter(f, started)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(4) {
		h := hist.New()
		h.RecordN(1000, i+1)
		if err := w.Write(fmt.Sprintf("phase%d", i/2), i*1e9, 1e9, h); err != nil {
			t.Fatal(err)
		}
	}
}
