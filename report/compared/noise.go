package compared

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/noise"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/report/sheet"
)

// noiseTimes are the lengths of time whose smallest difference is told.
var noiseTimes = []time.Duration{10 * time.Minute, 20 * time.Minute}

// Noise writes what runs of a server against itself say of this host, a table a study.
func Noise(w io.Writer, studies []*noise.Study, color bool) error {
	p := &sheet.Terminal{Color: color}
	for i, s := range studies {
		if i > 0 {
			p.Line("")
		}
		p.Line(p.Bold(noiseTitle(s)))
		for _, line := range noisePreface(s) {
			p.Wrapped(line, "")
		}
		p.Table(noiseTable(s))
	}
	if len(studies) > 0 {
		p.Line("")
		p.Wrapped(noiseReading(studies), "")
	}
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("writing the size of the noise: %w", err)
	}
	return nil
}

// NoiseMarkdown writes the same as tables for docs/METHOD.md.
func NoiseMarkdown(w io.Writer, studies []*noise.Study) error {
	var b strings.Builder
	for _, s := range studies {
		fmt.Fprintf(&b, "%s: %s\n\n", noiseTitle(s), strings.Join(noisePreface(s), " "))
		t := noiseTable(s)
		row := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
		row(t.Head)
		b.WriteString("|---|" + strings.Repeat("---:|", len(t.Head)-1) + "\n")
		for _, cells := range t.Rows {
			var text []string
			for _, c := range cells {
				text = append(text, c.Text)
			}
			row(text)
		}
		b.WriteString("\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the size of the noise: %w", err)
	}
	return nil
}

func noiseTitle(s *noise.Study) string {
	title := fmt.Sprintf("%s as A and B, scenario %s, %s", s.Server, s.Scenario, s.Design)
	if s.Injected > 0 {
		title += fmt.Sprintf(", B slower by %s of A's CPU time a request", quantity.Share(s.Injected))
	}
	return title
}

func noisePreface(s *noise.Study) []string {
	text := fmt.Sprintf("%d whole %s in %s", s.Rounds, sheet.Plural(s.Rounds, "round"), shortly(s.Took))
	if n := len(s.Runs); n > 1 {
		text += fmt.Sprintf(" from %d runs", n)
	}
	text += fmt.Sprintf("; a verdict rests on %d rounds of a run in a row.", noise.VerdictRounds)
	lines := []string{text}
	if s.Left > 0 {
		lines = append(lines, fmt.Sprintf("%d %s left out: a trial of them failed, was INVALID or was broken off.", s.Left, sheet.Plural(s.Left, "round")))
	}
	if len(s.Off) > 0 {
		lines = append(lines, "No ratios, since a value is zero or negative: "+strings.Join(s.Off, ", ")+".")
	}
	return lines
}

func noiseTable(s *noise.Study) sheet.Table {
	t := sheet.Table{Head: []string{"metric", "rounds", "scatter", "unpaired", "B ÷ A", "interval holds 1", "beyond ±5 %"}}
	if s.Injected > 0 {
		t.Head[5] = "found"
	}
	for _, d := range noiseTimes {
		t.Head = append(t.Head, "sees in "+shortly(d))
	}
	t.Head = append(t.Head, "5 % takes")
	for i := range s.Metrics {
		m := &s.Metrics[i]
		row := []sheet.Cell{{Text: m.Info.Name}, {Text: fmt.Sprint(m.Rounds)}, {Text: percent(m.Scatter)}, {Text: percent(m.Unpaired)},
			{Text: ratioText(m.Ratio.Value, m.Ratio.Lo, m.Ratio.Hi)}}
		if s.Injected > 0 {
			row = append(row, sheet.Cell{Text: foundText(m, m.Seen)}, sheet.Cell{Text: foundText(m, m.Beyond)})
		} else {
			row = append(row, sheet.Cell{Text: falseText(m, m.Verdicts-m.Seen, "")}, sheet.Cell{Text: falseText(m, m.Beyond, fmt.Sprintf(" (≤ %s)", percent(m.AtMost(m.Beyond))))})
		}
		for _, d := range noiseTimes {
			row = append(row, sheet.Cell{Text: percent(s.Smallest(m, d))})
		}
		takes := "–"
		if d := s.Takes(m, compare.Tau); d > 0 {
			takes = shortly(d)
		}
		t.Rows = append(t.Rows, append(row, sheet.Cell{Text: takes}))
	}
	return t
}

// noiseReading says how to read the columns.
func noiseReading(studies []*noise.Study) string {
	text := fmt.Sprintf("scatter: standard deviation of ln(B ÷ A) over rounds; unpaired: what it would be without pairing. B ÷ A: estimate over all "+
		"rounds, from %d on with its 95 %% interval. beyond ±5 %%: verdicts whose interval lies wholly beyond. sees in: the smallest difference found in that "+
		"time with a power of 80 %%.", noise.VerdictRounds)
	plain, spun := false, false
	for _, s := range studies {
		plain, spun = plain || s.Injected == 0, spun || s.Injected > 0
	}
	if plain {
		text += " Both servers are the same program, so every verdict beyond ±5 % is false; in brackets the largest rate that their number allows (95 %)."
	}
	if spun {
		text += " With a spin in B: found: verdicts whose interval does not hold 1; in brackets the smallest rate that their number allows (95 %). What a spin takes " +
			"depends on the host, so B ÷ A of CPU time a request says how much it was."
	}
	return text
}

func percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	return quantity.Share(share)
}

// ratioText writes ×1.02 [0.98–1.06], without the interval where there is none.
func ratioText(value, lo, hi float64) string {
	if math.IsNaN(value) {
		return "–"
	}
	text := "×" + significant(value)
	if !math.IsNaN(lo) && !math.IsNaN(hi) {
		text += " [" + significant(lo) + "–" + significant(hi) + "]"
	}
	return text
}

// significant writes a ratio with three digits, and two behind the point at least.
func significant(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// falseText counts verdicts of a server against itself.
func falseText(m *noise.Metric, verdicts int, bound string) string {
	if m.Verdicts == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d%s", verdicts, m.Verdicts, bound)
}

// foundText counts verdicts that found a spin, with the least power that their number allows.
func foundText(m *noise.Metric, verdicts int) string {
	if m.Verdicts == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d (≥ %s)", verdicts, m.Verdicts, percent(m.AtLeast(verdicts)))
}

// shortly writes a length of time in its two largest units.
func shortly(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute && d%time.Minute < time.Second:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
