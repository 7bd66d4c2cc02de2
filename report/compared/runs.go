// Package compared writes what runs say that are held against each other: two of the same variants, which is what millrace
// compare prints, and those of a server against itself, which is what millrace aa prints.
package compared

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// Runs writes what became of the variants from one run to another, for a terminal, with escape sequences for colour if asked
// for: a table a metric, with head ÷ base and what that supports.
func Runs(w io.Writer, c *compare.Runs, color bool) error {
	p := &sheet.Terminal{Color: color}
	p.Line(p.Bold(c.Head.Scenario.Name) + "  base " + c.Base.ID + "  head " + c.Head.ID)
	if c.Paired {
		p.Wrapped(fmt.Sprintf("Paired: the rounds of both were made in turns, %d pairs.", len(c.Pairs)), "")
	} else {
		p.Wrapped(fmt.Sprintf("Weaker: unpaired, since %s. Whatever changed on the host between the runs is in every ratio.", c.Why), "")
	}
	for _, d := range c.Differences {
		p.Wrapped("Different: "+d, "")
	}
	if len(c.Differences) == 0 {
		p.Wrapped("No difference of host, kernel, limits, versions or programs is recorded.", "")
	}
	for _, side := range []struct {
		where string
		names []string
	}{{"base", c.OnlyBase}, {"head", c.OnlyHead}} {
		if len(side.names) > 0 {
			p.Wrapped(fmt.Sprintf("Only in the %s: %s.", side.where, strings.Join(side.names, ", ")), "")
		}
	}
	measured, notes := 0, &sheet.Footnotes{}
	usual := usualOf(c)
	for rest := c.Changes; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(ch compare.Change) bool { return ch.Metric.Name != rest[0].Metric.Name || ch.Step != rest[0].Step })
		if n < 0 {
			n = len(rest)
		}
		if slices.ContainsFunc(rest[:n], func(ch compare.Change) bool { return len(ch.Base)+len(ch.Head) > 0 }) {
			p.Table(changeTable(rest[:n], c.Paired, usual, notes))
			measured++
		}
		rest = rest[n:]
	}
	p.Line("")
	for i, s := range notes.Texts() {
		p.Wrapped(sheet.Superscript(i+1)+" "+s, "  ")
	}
	if measured == 0 {
		p.Line("None of the metrics asked for was measured in either run.")
	}
	p.Wrapped(runsReading(c, usual), "")
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("writing comparison: %w", err)
	}
	return nil
}

// kind is what an interval is: how it was made, and the confidence that was asked of it.
type kind struct {
	method string
	asked  float64
}

// usualOf is the kind of most intervals, of several the first; the zero value where there are none. The others are marked.
func usualOf(c *compare.Runs) kind {
	count := map[kind]int{}
	var usual kind
	for _, ch := range c.Changes {
		if ch.Asked > 0 {
			count[kindOf(ch)]++
		}
	}
	for _, ch := range c.Changes {
		if ch.Asked > 0 && count[kindOf(ch)] > count[usual] {
			usual = kindOf(ch)
		}
	}
	return usual
}

func kindOf(ch compare.Change) kind { return kind{ch.Ratio.Method, ch.Asked} }

// marksOf are the footnotes of an interval that is not what the text below the tables says of most.
func marksOf(ch compare.Change, paired bool, usual kind, notes *sheet.Footnotes) (marks []int) {
	mark := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		marks = append(marks, notes.Mark(text, text))
	}
	if ch.Asked == 0 {
		return nil
	}
	switch {
	case ch.Ratio.Method == usual.method:
	case ch.Ratio.Method == inference.PairedTMethod:
		mark("%s: %s can't give an exact one of %s", methods[ch.Ratio.Method], roundsText(ch.Rounds, paired), confidenceText(ch.Asked))
	default:
		mark("%s", methods[ch.Ratio.Method])
	}
	if ch.Asked != usual.asked {
		mark("confidence %s%s, of %s", confidenceText(ch.Asked), togetherText(ch.Asked), roundsText(ch.Rounds, paired))
	}
	if ch.Ratio.Confidence < ch.Asked-1e-9 {
		mark("all rounds have the same ratio, which holds with %s", confidenceText(ch.Ratio.Confidence))
	}
	return marks
}

// methods are the intervals in words.
var methods = map[string]string{
	inference.SignedRankMethod:  "Hodges–Lehmann estimate of the paired ratios with the exact signed-rank interval",
	inference.PairedTMethod:     "geometric mean of the paired ratios with the paired t interval",
	inference.MannWhitneyMethod: "Hodges–Lehmann shift with the Mann–Whitney interval",
}

func confidenceText(c float64) string { return fmt.Sprintf("%.4g %%", 100*c) }

// togetherText says what a confidence is for.
func togetherText(asked float64) string {
	if asked > 1-compare.Alpha+1e-9 {
		return fmt.Sprintf(", so that those of a metric hold together with %s", confidenceText(1-compare.Alpha))
	}
	return ", each by itself"
}

func roundsText(n int, paired bool) string {
	if paired {
		return fmt.Sprintf("%d %s of rounds", n, sheet.Plural(n, "pair"))
	}
	return fmt.Sprintf("%d %s", n, sheet.Plural(n, "round"))
}

func changeTable(changes []compare.Change, paired bool, usual kind, notes *sheet.Footnotes) sheet.Table {
	info := changes[0].Metric
	unit := quantity.UnitOf(info.Unit)
	t := sheet.Table{Title: titleOf(info, changes[0].Step), Head: []string{"variant", "base", "head", "head ÷ base", "sees", "says"}}
	for _, ch := range changes {
		row := []sheet.Cell{{Text: ch.Variant}, sample(ch.Base, unit), sample(ch.Head, unit)}
		if ch.Off != "" {
			t.Rows = append(t.Rows, append(row, sheet.Cell{Text: "–", Mood: sheet.Absent}, sheet.Cell{Text: "–", Mood: sheet.Absent}, sheet.Cell{Text: ch.Off, Mood: sheet.Absent}))
			continue
		}
		text, m := says(ch, paired)
		ratio := sheet.Cell{Text: ratioText(ch.Ratio.Value, ch.Ratio.Lo, ch.Ratio.Hi), Marks: marksOf(ch, paired, usual, notes)}
		t.Rows = append(t.Rows, append(row, ratio, sheet.Cell{Text: percent(ch.Smallest)}, sheet.Cell{Text: text, Mood: m}))
	}
	return t
}

// titleOf is the title of a metric's table, at a step of a sweep.
func titleOf(info results.Info, step string) string {
	if step == "" {
		return info.Name + ": " + info.Title
	}
	return info.Name + " at " + step + ": " + info.Title
}

func sample(values []float64, unit quantity.Unit) sheet.Cell {
	if len(values) == 0 {
		return sheet.Cell{Text: "–", Mood: sheet.Absent}
	}
	return sheet.Cell{Text: sheet.Spread(values, unit)}
}

// says is what the rounds support of a change, in words.
func says(ch compare.Change, paired bool) (string, sheet.Mood) {
	e := ch.Ratio
	worse := ch.Metric.Better == results.BetterLower
	direction := func(up bool) string {
		switch {
		case ch.Metric.Better == results.BetterNone && up:
			return "more"
		case ch.Metric.Better == results.BetterNone:
			return "less"
		case up == worse:
			return "worse"
		}
		return "better"
	}
	switch {
	case math.IsNaN(e.Lo):
		return fmt.Sprintf("points: %s, an interval needs %d", roundsText(ch.Rounds, paired), compare.IntervalRounds), sheet.Absent
	case compare.Alike(e):
		return "alike within ±5 %", sheet.Good
	case compare.Beyond(e):
		return direction(e.Lo > 1) + " by more than 5 %", sheet.Suspect
	case e.Lo > 1, e.Hi < 1:
		return direction(e.Lo > 1) + ", perhaps by less than 5 %", sheet.Suspect
	}
	return "no difference supported", sheet.Good
}

func runsReading(c *compare.Runs, usual kind) string {
	text := "Base and head: median (smallest–largest) over the rounds that count. head ÷ base: "
	switch {
	case usual.asked > 0:
		text += methods[usual.method] + fmt.Sprintf(" (confidence %s%s)", confidenceText(usual.asked), togetherText(usual.asked))
	case c.Paired:
		text += "Hodges–Lehmann estimate of the paired ratios"
	default:
		text += "Hodges–Lehmann shift"
	}
	return text + ". sees: the smallest difference that would have been found, with a power of 80 %."
}
