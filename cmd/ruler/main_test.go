package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"bench --pairs 0", "--pairs 0: want 1 to 100"},
		{"bench --only speed", "want one of throughput, lag, short, burst, memory, million, constant"},
		{"bench --server apache", "want one of nginx, reflect, nethttp, gnet"},
		{"bench now", "takes no arguments"},
		{"crosscheck --only nginx", "want one of nginx-closed, nginx-rate, nethttp-closed, nethttp-rate"},
		{"crosscheck --fast", "unknown flag: --fast"},
		{"fairness --only nobody", "want one of goroutine, gnet"},
		{"wait --period 0s", "--period 0s: want 1µs to 1s"},
		{"wait --for 1us", "--for 1µs: want the period, 100µs, to 10m0s"},
		{"wait here", "takes no arguments"},
		{"measure", `unknown command "measure"`},
	} {
		var out, errs bytes.Buffer
		if status := ruler(strings.Fields(c.args), &out, &errs); status != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("ruler %s: status %d, %q, want 2 and %q", c.args, status, errs.String(), c.want)
		}
	}
}

// Only a whole run may replace what the documents say.
func TestWrites(t *testing.T) {
	for _, c := range []struct {
		f    flags
		want bool
	}{
		{flags{pairs: 5, doc: "x"}, true},
		{flags{pairs: 4, doc: "x"}, false},
		{flags{pairs: 5}, false},
		{flags{pairs: 5, doc: "x", only: "lag"}, false},
		{flags{pairs: 5, doc: "x", quick: true}, false},
	} {
		if got := c.f.writes(); got != c.want {
			t.Errorf("%+v: %v, want %v", c.f, got, c.want)
		}
	}
}

func TestReplace(t *testing.T) {
	begin, end := markers("x")
	got, err := replace("head\n"+begin+"\nold\n"+end+"\ntail\n", "x", "new\n")
	if want := "head\n" + begin + "\n\nnew\n\n" + end + "\ntail\n"; err != nil || got != want {
		t.Errorf("= %q, %v, want %q", got, err, want)
	}
	for _, text := range []string{"no marker", begin + " but no end"} {
		if _, err := replace(text, "x", "new"); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

// The documents that the commands write have the markers.
func TestDocumentsHaveMarkers(t *testing.T) {
	for name, doc := range map[string]string{"bench-ruler": "RULER.md", "crosscheck": "METHOD.md", "fairness": "FAIRNESS.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", doc))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := replace(string(text), name, ""); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

func TestSpread(t *testing.T) {
	nan := math.NaN()
	if got, want := spreadOf([]float64{3, nan, 1, 2, 4}), (spread{2.5, 1, 4, 4}); got != want {
		t.Errorf("= %v, want %v", got, want)
	}
	if s := spreadOf([]float64{nan}); s.N != 0 || s.show(asRatio) != "–" {
		t.Errorf("of nothing: %v, shown as %s", s, s.show(asRatio))
	}
	if got := spreadOf(ratios([]float64{2, 9}, []float64{1, 3})).show(asRatio); got != "2.50 (2.00–3.00)" {
		t.Errorf("shown as %s", got)
	}
}

// Each pair has every arm once, and not always in the same order.
func TestAlternate(t *testing.T) {
	orders := map[string]bool{}
	var pair []int
	err := alternate(20, 3, 1, func(p, a int) error {
		if pair = append(pair, a); len(pair) == 3 {
			sorted := slices.Sorted(slices.Values(pair))
			if !slices.Equal(sorted, []int{0, 1, 2}) {
				t.Errorf("pair %d ran %v", p, pair)
			}
			orders[fmt.Sprint(pair)] = true
			pair = nil
		}
		return nil
	})
	if err != nil || len(orders) < 4 {
		t.Errorf("%d orders in 20 pairs, %v; want most of the six", len(orders), err)
	}
}

// What a process uses is what wait4 says, and its memory is seen while it lives.
func TestClient(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a process for half a second")
	}
	dd := []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=8M", "count=300"}
	p, err := client(t.Context(), dd, 0, true)
	if err != nil {
		t.Skip(err) // fewer than two CPUs, or no dd
	}
	if p.status != 0 || p.cpu <= 0 || p.cpu > 2*p.wall {
		t.Errorf("status %d, %v of CPU in %v: %s", p.status, p.cpu, p.wall, p.stderr)
	}
	if p, err = client(t.Context(), []string{"sleep", "0.6"}, 0, true); err != nil || p.rssAnon <= 0 || p.rssAnon > 16<<20 {
		t.Errorf("sleep has %v bytes, %v; want some", p.rssAnon, err)
	}
	if p, err = client(t.Context(), []string{"false"}, 0, false); err != nil || p.status != 1 {
		t.Errorf("false: status %d, %v; want 1 and no error", p.status, err)
	}
	if _, err = client(t.Context(), []string{"/no/such/program"}, 0, false); err == nil {
		t.Error("a program that is not there: no error")
	}
}
