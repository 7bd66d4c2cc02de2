package report

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/plots"
	"github.com/millrace/millrace/plots/synthetic"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

func load(t *testing.T, o synthetic.Options) *results.Result {
	t.Helper()
	path, err := synthetic.Write(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	res, err := results.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func text(t *testing.T, res *results.Result, color bool) string {
	t.Helper()
	var out strings.Builder
	if err := Text(&out, res, color); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), res.Path, "RUN")
}

// figures are those of a drawn run, without drawing.
func figures(res *results.Result) []plots.Figure {
	return []plots.Figure{
		{Name: "rss", Title: "resident memory", Caption: "How to read it.", SVG: filepath.Join(res.Path, "plots", "rss.svg")},
		{Name: "memory", Note: "no slope was measured"},
	}
}

var all = []string{"workers", "gnet", "goroutine", "netpoll", "fasthttp", "nethttp"}

var runs = []struct {
	name    string
	options synthetic.Options
}{
	{"burst-1", synthetic.Mixed(synthetic.Options{Scenario: "burst", Scale: []string{"connections.count 10000 → 8000: 20000 files may be open"}})},
	{"burst-3", synthetic.Mixed(synthetic.Options{Scenario: "burst", Rounds: 3})},
	{"burst-6", synthetic.Mixed(synthetic.Options{Scenario: "burst", Rounds: 6})},
	{"burst-no-trial", synthetic.Options{Scenario: "burst", Rounds: 3, Stop: -1}},
	{"mostly-idle-8", synthetic.Options{Scenario: "mostly-idle", Rounds: 8, Variants: three, Scatter: 0.02, Invalid: []string{"netpoll@2"}, NotApplicable: map[string]string{"fasthttp/frame": "fasthttp speaks http1 only"}}},
	{"transport-3", synthetic.Options{Scenario: "transport", Rounds: 3, Variants: three}},
	{"idle-1", synthetic.Mixed(synthetic.Options{Scenario: "idle"})},
	{"idle-3", synthetic.Mixed(synthetic.Options{Scenario: "idle", Rounds: 3, NotApplicable: map[string]string{"fasthttp/frame": "fasthttp speaks http1 only"}})},
	{"idle-interrupted", synthetic.Options{Scenario: "idle", Rounds: 3, Stop: 4}},
	{"churn-1", synthetic.Mixed(synthetic.Options{Scenario: "churn"})},
	{"churn-6", synthetic.Mixed(synthetic.Options{Scenario: "churn", Rounds: 6})},
	{"churn-all-invalid", synthetic.Options{Scenario: "churn", Invalid: all}},
	{"churn-one-variant", synthetic.Options{Scenario: "churn", Rounds: 3, Variants: []string{"gnet/ants"}}},
	{"churn-lossy", synthetic.Options{Scenario: "churn", Rounds: 3, Lossy: []string{"netpoll"}, Variants: []string{"gnet", "netpoll"}}},
	{"churn-8", synthetic.Options{Scenario: "churn", Rounds: 8, Scatter: 0.03, Variants: []string{"goroutine", "goroutine/duplex", "gnet", "gnet/ants"}}},
	{"burst-10", synthetic.Options{Scenario: "burst", Rounds: 10, Scatter: 0.03, Invalid: []string{"gnet@3"},
		Variants: []string{"goroutine", "goroutine/duplex", "gnet", "fasthttp", "netpoll", "workers"}}},
	{"churn-not-placed", synthetic.Options{Scenario: "churn", Rounds: 3, Invalid: []string{"gnet@1", "gnet@2"}, Variants: []string{"gnet", "netpoll"}}},
}

func TestGoldens(t *testing.T) {
	for _, c := range runs {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.options.Rounds > 3 {
				t.Skip("many rounds take seconds to make")
			}
			res := load(t, c.options)
			out := text(t, res, false)
			golden.Equal(t, c.name+".txt", out)
			for i, line := range strings.Split(out, "\n") {
				if n := utf8.RuneCountInString(line); n > sheet.Width {
					t.Errorf("line %d has %d columns, want at most %d: %s", i+1, n, sheet.Width, line)
				}
			}
			page, err := Markdown(res, figures(res))
			if err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, c.name+".md", bytes.ReplaceAll(page, []byte(res.Path), []byte("RUN")))
		})
	}
}

func TestColorChangesNothingButColor(t *testing.T) {
	res := load(t, synthetic.Mixed(synthetic.Options{Scenario: "churn"}))
	colored := text(t, res, true)
	if red, yellow := "\x1b[31m", "\x1b[33m"; !strings.Contains(colored, red) || !strings.Contains(colored, yellow) {
		t.Errorf("no colour for an INVALID and a SUSPECT trial:\n%s", colored)
	}
	colored = regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(colored, "")
	if colored != text(t, res, false) {
		t.Errorf("the text differs in more than colour:\n%s", colored)
	}
}

func TestWrite(t *testing.T) {
	dir, err := synthetic.Write(t.TempDir(), synthetic.Options{Scenario: "churn", Variants: []string{"gnet", "workers"}})
	if err != nil {
		t.Fatal(err)
	}
	path, err := Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"churn", "percentiles", "throughput", "rss", "goroutines"} {
		if !bytes.Contains(page, []byte("](plots/"+name+".svg)")) {
			t.Errorf("report.md has no link to figure %s", name)
		}
		if _, err := os.Stat(filepath.Join(dir, "plots", name+".svg")); err != nil {
			t.Error(err)
		}
	}
	if _, err := Write(dir); err != nil {
		t.Errorf("writing it again: %v", err)
	}
	if _, err := Write(t.TempDir()); err == nil {
		t.Error("a directory without a run was reported on")
	}
}

func TestQuote(t *testing.T) {
	check := func(in, want string) {
		t.Helper()
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
	check("connections.count=2000", "connections.count=2000")
	check("arrivals={burst: 1}", "'arrivals={burst: 1}'")
	check("it's", `'it'\''s'`)
}
