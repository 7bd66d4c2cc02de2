package results

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"

	"github.com/millrace/millrace/internal/golden"
)

func TestMetricsTable(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Metrics {
		if seen[m.Name] || m.Title == "" || m.Unit == "" || m.Name == m.Title {
			t.Errorf("metric %+v: stands twice or lacks something", m)
		}
		seen[m.Name] = true
		if !slices.Contains([]string{BetterLower, BetterHigher, BetterNone}, m.Better) {
			t.Errorf("metric %s: better %q", m.Name, m.Better)
		}
		if strings.HasSuffix(m.Name, "-ns") != (m.Unit == "ns") || strings.ContainsAny(m.Name, " /:") {
			t.Errorf("metric %s: unit %s: want the unit last, and no slash", m.Name, m.Unit)
		}
	}
	if m, ok := Metric("drain-time-ns"); !ok || !m.In("burst") || m.In("idle") {
		t.Errorf("metric drain-time-ns: %+v, %v", m, ok)
	}
	if m, ok := Metric("p99-latency-ns"); !ok || !m.In("churn") {
		t.Errorf("metric p99-latency-ns: %+v, %v", m, ok)
	}
	if _, ok := Metric("qps"); ok {
		t.Error("qps is a metric")
	}
}

func TestBenchIsReadByBenchfmt(t *testing.T) {
	d, trials := aDir(t)
	r := mustLoad(t, d.Path())
	odd := aTrial(3, "goroutine", 1)
	odd.Variant = "workers/pool-64"
	r.Trials = append(r.Trials, odd)
	failed := aTrial(3, "gnet/ants", 1)
	failed.Status, failed.Failure = StatusFailed, &Failure{Reason: "server: exit status 2"}
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
	d, _ := aDir(t)
	for round := 2; round <= 3; round++ {
		if err := d.Append(aTrial(round, "goroutine", 1.5e9)); err != nil {
			t.Fatal(err)
		}
	}
	path, err := ExportBench(mustLoad(t, d.Path()))
	if err != nil {
		t.Fatal(err)
	}
	out := benchstat(t, "-col", "/variant", path)
	for _, want := range []string{`goroutine +│ +gnet\+ants`, `drain-time-sec`, `1\.500 +± ∞`, `1\.250 +± ∞`, `117\.7Mi`, `scenario: burst`, `commit: 0123abc\+dirty`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("benchstat doesn't print %q:\n%s", want, out)
		}
	}

	head := mustLoad(t, d.Path())
	head.Run.ID, head.Run.Env.Commit, head.Path = "20261122T031500Z-burst-abcd", "4567def", t.TempDir()
	other, err := ExportBench(head)
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
