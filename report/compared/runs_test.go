package compared

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

var nan = math.NaN()

// change is a ratio with its interval of a variant by CPU time, over so many rounds, as asked for.
func change(variant, method string, rounds int, asked, value, lo, hi float64) compare.Change {
	info, _ := results.Metric("cpu-per-req-ns")
	base, head := []float64{9000, 9100, 9400}, []float64{9300, 9500, 9900}
	e := inference.Estimate{Value: value, Lo: lo, Hi: hi, Confidence: asked, P: 0.01, N: rounds, Method: method}
	smallest := 0.07
	if asked == 0 {
		e.Confidence, smallest = nan, nan
	}
	return compare.Change{Metric: info, Variant: variant, Base: base, Head: head, Ratio: e, Rounds: rounds, Asked: asked, Smallest: smallest}
}

func twoRuns(paired bool, changes ...compare.Change) *compare.Runs {
	run := func(id string) *results.Run {
		return &results.Run{ID: "20261121T0" + id + "1500Z-burst-k3f9", Scenario: scenarios.Scenario{Name: "burst"}}
	}
	c := &compare.Runs{Base: run("3"), Head: run("4"), Paired: paired, Changes: changes}
	if paired {
		c.Pairs = make([][2]int, 8)
	} else {
		c.Why = "their rounds were not made in turns"
	}
	return c
}

func written(t *testing.T, c *compare.Runs) string {
	t.Helper()
	var b strings.Builder
	if err := Runs(&b, c, false); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if utf8.RuneCountInString(line) > sheet.Width+1 {
			t.Errorf("line of more than %d columns: %s", sheet.Width, line)
		}
	}
	return b.String()
}

func TestRuns(t *testing.T) {
	const exact, pairedT, unpaired = inference.SignedRankMethod, inference.PairedTMethod, inference.MannWhitneyMethod
	const six, seven = 1 - 0.05/6, 1 - 0.05/7
	off := change("gone", exact, 0, 0, nan, nan, nan)
	off.Off = "not placed in the base"
	same := change("same", exact, 8, seven, 1.2, 1.2, 1.2)
	same.Ratio.Confidence, same.Smallest = 1-1.0/128, 0
	few := change("few", unpaired, 5, 0, 1.03, nan, nan)
	few.Ratio.N = 13
	rss, _ := results.Metric("peak-RSS-bytes")
	memory := change("gnet", pairedT, 8, seven, 1.001, 0.99, 1.01)
	memory.Metric = rss
	for name, c := range map[string]*compare.Runs{
		// Eight pairs: six comparisons can have exact intervals; one variant has seven pairs in common, another five.
		"paired": twoRuns(true, change("goroutine", exact, 8, six, 1.04, 1.01, 1.07), change("gnet", exact, 8, six, 0.80, 0.77, 0.84),
			change("netpoll", exact, 8, six, 1.0, 0.98, 1.03), change("workers", exact, 7, 0.95, 1.1, 0.9, 1.3), change("nethttp", exact, 5, 0, 1.03, nan, nan), off),
		// Seven can't: they are the paired t's, but for one without any scatter.
		"paired-t": twoRuns(true, change("goroutine", pairedT, 8, seven, 1.08, 1.06, 1.11), change("gnet", pairedT, 8, seven, 1.1, 0.9, 1.3), same, memory),
		"unpaired": twoRuns(false, change("goroutine", unpaired, 8, 0.975, 1.04, 0.9, 1.2), few),
		"points":   twoRuns(true, change("goroutine", exact, 2, 0, 1.04, nan, nan)),
	} {
		t.Run(name, func(t *testing.T) { golden.Equal(t, "runs-"+name+".txt", written(t, c)) })
	}
}

// The words of a row go by its own rounds.
func TestRowsSayTheirOwnRoundsMethodAndConfidence(t *testing.T) {
	c := twoRuns(true, change("a", inference.SignedRankMethod, 8, 0.975, 1.04, 1.01, 1.07), change("b", inference.SignedRankMethod, 8, 0.975, 1, 0.9, 1.1),
		change("c", inference.SignedRankMethod, 5, 0, 1.03, nan, nan), change("d", inference.PairedTMethod, 7, 0.95, 1.1, 0.9, 1.3))
	text := strings.Join(strings.Fields(written(t, c)), " ")
	for _, want := range []string{
		"points: 5 pairs of rounds, an interval needs 6", // of as many rounds in both runs
		"exact signed-rank interval (confidence 97.5 %, so that those of a metric hold together with 95 %)",
		"×1.100 [0.900–1.300]¹,²", "paired t interval", "² confidence 95 %, each by itself, of 7 pairs of rounds", "no difference supported",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
