package export

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/perf/benchfmt"

	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

var started = time.Date(2026, 11, 21, 3, 15, 0, 0, time.UTC)

// aTrial is a good trial; change what the test is about.
func aTrial(round int, variant string, drainNs float64) *results.Trial {
	return &results.Trial{
		Schema: results.Schema, ID: results.TrialID(round, "burst", variant, 0), Round: round, Position: 1, Scenario: "burst", Variant: variant,
		Started: started, Seconds: 30, Status: results.StatusDone, Verdict: validity.Valid,
		Metrics: map[string]float64{"drain-time-ns": drainNs, "goodput-rps": 1e15 / drainNs, "peak-RSS-bytes": 123456789, "lag-p99-ns": 9000},
	}
}

// aResult is a run of two variants with three trials, the last of which does not count.
func aResult(t testing.TB) *results.Result {
	bad := aTrial(2, "gnet/ants", 3e9)
	bad.Verdict = validity.Invalid
	bad.Checks = []validity.Check{{Name: "generator lag", State: validity.Fail, Reason: "p99 is 9 ms:\nlimit 50 µs", Remedy: "lower the rate"}}
	return &results.Result{
		Path: t.TempDir(),
		Run: &results.Run{
			Schema: results.Schema, ID: "20261121T031500Z-burst-k3f9", Method: 1, Started: started, Scenario: scenarios.Scenario{Name: "burst"},
			Env: results.Env{Host: "c0ffee", CPU: "AMD  EPYC\n7B13", Commit: "0123abc", Dirty: true, GOOS: "linux", GOARCH: "amd64"},
		},
		Trials: []*results.Trial{aTrial(1, "goroutine", 1.5e9), aTrial(1, "gnet/ants", 1.25e9), bad},
	}
}

func TestBenchIsReadByBenchfmt(t *testing.T) {
	r := aResult(t)
	trials := r.Trials
	odd := aTrial(3, "goroutine", 1)
	odd.Variant = "workers/pool-64"
	r.Trials = append(r.Trials, odd)
	failed := aTrial(3, "gnet/ants", 1)
	failed.Status, failed.Failure = results.StatusFailed, &results.Failure{Reason: "server: exit status 2"}
	r.Trials = append(r.Trials, failed)
	var b bytes.Buffer
	if err := WriteBench(&b, r); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "bench.txt", b.String())

	in := benchfmt.NewReader(&b, "bench.txt")
	var names []string
	for in.Scan() {
		switch rec := in.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(rec)
		case *benchfmt.Result:
			names = append(names, rec.Name.String())
			if got := rec.GetConfig("cpu"); got != "AMD EPYC 7B13" {
				t.Errorf("cpu %q", got)
			}
			if v, ok := rec.Value("drain-time-sec"); len(names) == 1 && (!ok || v != trials[0].Metrics["drain-time-ns"]/1e9) {
				t.Errorf("drain time %v s, %v", v, ok)
			}
			base, parts := rec.Name.Parts()
			if string(base) != "Burst" || len(parts) != 1 {
				t.Errorf("name %s: want Burst and the variant alone", rec.Name)
			}
		}
	}
	if want := []string{"Burst/variant=goroutine", "Burst/variant=gnet+ants", "Burst/variant=workers+pool_64"}; !slices.Equal(names, want) {
		t.Errorf("benchmarks %q, want %q", names, want)
	}
	for unit, want := range map[string]int{"drain-time-sec": -1, "goodput-rps": 1, "lag-p99-sec": 0} {
		if got := in.Units().GetBetter(unit); got != want {
			t.Errorf("better of %s is %d, want %d", unit, got, want)
		}
	}
}

// TestBenchstat runs the command that the documentation shows.
func TestBenchstat(t *testing.T) {
	if testing.Short() {
		t.Skip("builds benchstat")
	}
	r := aResult(t)
	for round := 2; round <= 3; round++ {
		r.Trials = append(r.Trials, aTrial(round, "goroutine", 1.5e9))
	}
	path, err := Bench(r)
	if err != nil {
		t.Fatal(err)
	}
	out := benchstat(t, "-col", "/variant", path)
	for _, want := range []string{`goroutine +│ +gnet\+ants`, `drain-time-sec`, `1\.500 +± ∞`, `1\.250 +± ∞`, `117\.7Mi`, `scenario: burst`, `commit: 0123abc\+dirty`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("benchstat doesn't print %q:\n%s", want, out)
		}
	}

	head := aResult(t)
	head.Trials = r.Trials
	head.Run.ID, head.Run.Env.Commit = "20261122T031500Z-burst-abcd", "4567def"
	other, err := Bench(head)
	if err != nil {
		t.Fatal(err)
	}
	if out := benchstat(t, "-ignore", "run,commit", path, other); strings.Count(out, "drain-time-sec") != 2 {
		t.Errorf("benchstat doesn't put two runs side by side:\n%s", out)
	}
}

func benchstat(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"tool", "benchstat"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("benchstat: %v: %s", err, out)
	}
	return string(out)
}

func TestBenchNamesOfSteps(t *testing.T) {
	x := aTrial(1, "gnet/ants", 1)
	x.Step = "pool-64"
	if got, want := string(benchName(x)), "Burst/variant=gnet+ants/step=pool_64"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
