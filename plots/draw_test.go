package plots

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/plots/synthetic"
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

func mustDraw(t *testing.T, res *results.Result) []Figure {
	t.Helper()
	figures, err := Draw(res, filepath.Join(t.TempDir(), "plots"))
	if err != nil {
		t.Fatal(err)
	}
	return figures
}

var textElement = regexp.MustCompile(`(?s)<text[^>]*>([^<]*)</text>`)

// words are the texts of a figure in the order in which they were drawn, and it is whole XML with whole pixels.
func words(t *testing.T, f Figure) []string {
	t.Helper()
	page, err := os.ReadFile(f.SVG)
	if err != nil {
		t.Fatal(err)
	}
	dec := xml.NewDecoder(bytes.NewReader(page))
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", f.SVG, err)
		}
	}
	if bytes.Contains(page, []byte("NaN")) || bytes.Contains(page, []byte("Inf")) {
		t.Errorf("%s has a place that is not a number", f.Name)
	}
	file, err := os.Open(f.PNG)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	size, err := png.DecodeConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if size.Width != 1800 || size.Height != 1040 {
		t.Errorf("%s.png is %d × %d, want 1800 × 1040", f.Name, size.Width, size.Height)
	}
	var list []string
	for _, m := range textElement.FindAllSubmatch(page, -1) {
		list = append(list, string(m[1]))
	}
	return list
}

// TestFigures keeps the words of every figure: titles, axes, ticks, phases, legend, notes and source.
func TestFigures(t *testing.T) {
	for _, c := range []struct {
		name    string
		options synthetic.Options
	}{
		{"burst-1", synthetic.Mixed(synthetic.Options{Scenario: "burst", Scale: []string{"connections.count 10000 → 8000: 20000 files may be open"}})},
		{"burst-3", synthetic.Mixed(synthetic.Options{Scenario: "burst", Rounds: 3})},
		{"idle-3", synthetic.Mixed(synthetic.Options{Scenario: "idle", Rounds: 3})},
		{"churn-6", synthetic.Mixed(synthetic.Options{Scenario: "churn", Rounds: 6})},
		{"mostly-idle-3", synthetic.Options{Scenario: "mostly-idle", Rounds: 3, Variants: []string{"goroutine", "gnet", "netpoll"}, Invalid: []string{"netpoll@2"}}},
		{"transport-1", synthetic.Options{Scenario: "transport", Variants: []string{"goroutine", "gnet", "netpoll"}}},
		{"churn-one-variant", synthetic.Options{Scenario: "churn", Variants: []string{"gnet/ants"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.options.Rounds > 1 {
				t.Skip("drawing many rounds takes seconds")
			}
			var out strings.Builder
			for _, f := range mustDraw(t, load(t, c.options)) {
				out.WriteString("== " + f.Name + " ==\n")
				if f.Note != "" {
					out.WriteString("note: " + f.Note + "\n")
					continue
				}
				out.WriteString(strings.Join(words(t, f), "\n") + "\n")
			}
			golden.Equal(t, c.name+".txt", out.String())
		})
	}
}

func TestTheSameRunGivesTheSameBytes(t *testing.T) {
	res := load(t, synthetic.Options{Scenario: "churn", Rounds: compare.IntervalRounds, Variants: []string{"gnet", "workers"}})
	first, second := mustDraw(t, res), mustDraw(t, res)
	for i := range first {
		for _, pair := range [][2]string{{first[i].SVG, second[i].SVG}, {first[i].PNG, second[i].PNG}} {
			a, errA := os.ReadFile(pair[0])
			b, errB := os.ReadFile(pair[1])
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("%s differs when drawn again (%v, %v)", filepath.Base(pair[0]), errA, errB)
			}
		}
	}
}

func TestNothingToDraw(t *testing.T) {
	check := func(name string, o synthetic.Options) {
		t.Helper()
		for _, f := range mustDraw(t, load(t, o)) {
			if f.SVG != "" || f.Note == "" {
				t.Errorf("%s: %s: want a note and no file, got %+v", name, f.Name, f)
			}
		}
	}
	check("all INVALID", synthetic.Options{Scenario: "idle", Invalid: synthetic.Models})
	check("no trial", synthetic.Options{Scenario: "burst", Stop: -1})
	check("valid in a third", synthetic.Options{Scenario: "churn", Rounds: 3, Variants: []string{"gnet"}, Invalid: []string{"gnet@1", "gnet@3"}})
}

func TestMissingFilesAreNoted(t *testing.T) {
	res := load(t, synthetic.Options{Scenario: "churn", Variants: []string{"gnet", "workers"}})
	for _, name := range []string{"readings.jsonl", "response.hlog"} {
		if err := os.Remove(filepath.Join(res.Path, "trials", "r01-churn-gnet", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range mustDraw(t, res) {
		if f.Name != "rss" && f.Name != "percentiles" {
			continue
		}
		if text := strings.Join(words(t, f), " "); !strings.Contains(text, "incomplete: gnet round 1") {
			t.Errorf("%s does not say that gnet's files are missing: %s", f.Name, text)
		}
	}
}

func TestMedians(t *testing.T) {
	nan := math.NaN()
	line := medians([]plotter.XYs{{{X: 0, Y: 1}, {X: 1, Y: nan}, {X: 2, Y: nan}}, {{X: 0, Y: 3}, {X: 1, Y: 5}, {X: 2, Y: nan}}, {{X: 0, Y: 9}, {X: 1, Y: 7}, {X: 2, Y: 4}}})
	if line[0].Y != 3 || line[1].Y != 6 || !math.IsNaN(line[2].Y) {
		t.Errorf("got %v, want 3, 6 and nothing (one round of three)", line)
	}
}
