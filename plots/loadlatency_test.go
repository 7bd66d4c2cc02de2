package plots

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/golden"
)

// sweep is an M/M/1 queue of 10 000/s in twelve points, one of which is INVALID.
func sweep() LoadLatency {
	d := LoadLatency{Title: "load and latency of http://127.0.0.1:8080", CapacityRPS: 9900, KneeRPS: 5010, KneeFrom: 3900, KneeTo: 6100, Source: "the source"}
	ns := func(v float64) *int64 { n := int64(v * 1e9); return &n }
	for i := range 12 {
		rate := float64(1000 * (i + 1))
		p := LoadPoint{OfferedRPS: rate, AchievedRPS: min(rate, 10_000), P50: ns(0.0005 * rate), P99: ns(0.001 * rate)}
		if rate < 10_000 {
			p.P50, p.P99 = ns(0.693/(10_000-rate)), ns(4.6/(10_000-rate))
		}
		if i > 7 {
			p.P999 = ns(float64(*p.P99) / 1e9 * 1.5)
		}
		if i == 3 {
			p.Invalid = "generator lag: phase load: p99 of the generator lag 2 ms (give the client CPUs of its own)"
		}
		d.Points = append(d.Points, p)
	}
	return d
}

// TestLoadLatency keeps the words of the figure with a knee, and of one without.
func TestLoadLatency(t *testing.T) {
	bare := sweep()
	bare.Points, bare.CapacityRPS, bare.KneeRPS = bare.Points[:3], 0, 0
	bare.NoKnee = "no knee within the range: the power (rate ÷ mean response time) has not fallen at the last point, 3.00 k/s"
	for name, d := range map[string]LoadLatency{"knee": sweep(), "bare": bare} {
		f := Figure{Name: name, SVG: filepath.Join(t.TempDir(), name+".svg"), PNG: filepath.Join(t.TempDir(), name+".png")}
		for _, path := range []string{f.SVG, f.PNG} {
			if err := DrawLoadLatency(d, path); err != nil {
				t.Fatal(err)
			}
		}
		golden.Equal(t, "loadlatency-"+name+".txt", strings.Join(words(t, f), "\n")+"\n")
		page, err := os.ReadFile(f.SVG)
		if err != nil {
			t.Fatal(err)
		}
		// A struck-out mark is the only grey one: two in the left panel, one in the right, one in the legend.
		if got, want := strings.Count(string(page), "fill:#B0B0B0"), map[string]int{"knee": 4}[name]; got != want {
			t.Errorf("%s: %d struck-out marks, want %d", name, got, want)
		}
	}
}

// A line must not run past a point that says nothing: where one is struck out, it is in two parts.
func TestLinesBreakAtWhatIsStruckOut(t *testing.T) {
	lines := func(d LoadLatency) map[string]int {
		t.Helper()
		path := filepath.Join(t.TempDir(), "a.svg")
		if err := DrawLoadLatency(d, path); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, ink := range []string{"0072B2", "D55E00"} { // p50 and p99; the legend's sample among them
			count[ink] = strings.Count(string(page), "stroke:#"+ink)
		}
		return count
	}
	struck, whole := sweep(), sweep()
	whole.Points[3].Invalid = ""
	got, all := lines(struck), lines(whole)
	for ink, n := range all {
		if n == 0 || got[ink] != n+1 {
			t.Errorf("ink %s: %d strokes with a point struck out, %d without, want one more", ink, got[ink], n)
		}
	}
}

func TestStruckOutByCheck(t *testing.T) {
	d := sweep()
	d.Points[7].Invalid = "generator lag: phase load: p99 of the generator lag 5 ms (remedy)"
	d.Points[8].Invalid = "no phase was measured"
	got := strings.Join(d.struck(), "\n")
	if want := "struck out: 4.00 k/s, 8.00 k/s, INVALID: generator lag.\nstruck out: 9.00 k/s, INVALID: no phase was measured."; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestLoadLatencyRefuses(t *testing.T) {
	none := sweep()
	for i := range none.Points {
		p := &none.Points[i]
		p.P50, p.P99, p.P999 = nil, nil, nil
	}
	if err := DrawLoadLatency(none, filepath.Join(t.TempDir(), "a.svg")); err == nil || !strings.Contains(err.Error(), "none of 12 points has a percentile") {
		t.Error(err)
	}
	if err := DrawLoadLatency(sweep(), "a.jpg"); err == nil || !strings.Contains(err.Error(), "want .svg or .png") {
		t.Error(err)
	}
}
