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
	measured := 0
	for rest := c.Changes; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(ch compare.Change) bool { return ch.Metric.Name != rest[0].Metric.Name })
		if n < 0 {
			n = len(rest)
		}
		if slices.ContainsFunc(rest[:n], func(ch compare.Change) bool { return len(ch.Base)+len(ch.Head) > 0 }) {
			p.Table(changeTable(rest[:n]))
			measured++
		}
		rest = rest[n:]
	}
	p.Line("")
	if measured == 0 {
		p.Line("None of the metrics asked for was measured in either run.")
	}
	p.Wrapped(runsReading(c), "")
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("writing comparison: %w", err)
	}
	return nil
}

func changeTable(changes []compare.Change) sheet.Table {
	info := changes[0].Metric
	unit := unitOf(info)
	t := sheet.Table{Title: info.Name + ": " + info.Title, Head: []string{"variant", "base", "head", "head ÷ base", "sees", "says"}}
	for _, ch := range changes {
		row := []sheet.Cell{{Text: ch.Variant}, sample(ch.Base, unit), sample(ch.Head, unit)}
		if ch.Off != "" {
			t.Rows = append(t.Rows, append(row, sheet.Cell{Text: "–", Mood: sheet.Absent}, sheet.Cell{Text: "–", Mood: sheet.Absent}, sheet.Cell{Text: ch.Off, Mood: sheet.Absent}))
			continue
		}
		text, m := says(ch)
		t.Rows = append(t.Rows, append(row, sheet.Cell{Text: ratioText(ch.Ratio.Value, ch.Ratio.Lo, ch.Ratio.Hi)}, sheet.Cell{Text: percent(ch.Smallest)}, sheet.Cell{Text: text, Mood: m}))
	}
	return t
}

func sample(values []float64, unit quantity.Unit) sheet.Cell {
	if len(values) == 0 {
		return sheet.Cell{Text: "–", Mood: sheet.Absent}
	}
	return sheet.Cell{Text: sheet.Spread(values, unit)}
}

// unitOf is how a metric's values are written.
func unitOf(info results.Info) quantity.Unit {
	switch info.Unit {
	case "ns":
		return quantity.Time
	case "bytes":
		return quantity.Bytes
	case "requests/s", "connections/s":
		return quantity.PerSecond
	}
	return quantity.Number
}

// says is what the rounds support of a change, in words.
func says(ch compare.Change) (string, sheet.Mood) {
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
		return fmt.Sprintf("points: %d rounds, an interval needs %d", min(len(ch.Base), len(ch.Head)), compare.IntervalRounds), sheet.Absent
	case e.Lo >= 1/(1+compare.Tau) && e.Hi <= 1+compare.Tau:
		return "alike within ±5 %", sheet.Good
	case e.Lo > 1+compare.Tau, e.Hi < 1/(1+compare.Tau):
		return direction(e.Lo > 1) + " by more than 5 %", sheet.Suspect
	case e.Lo > 1, e.Hi < 1:
		return direction(e.Lo > 1) + ", perhaps by less than 5 %", sheet.Suspect
	}
	return "not told apart", sheet.Good
}

func runsReading(c *compare.Runs) string {
	text := "Base and head: median (smallest–largest) over the rounds that count. head ÷ base: "
	if c.Paired {
		text += "Hodges–Lehmann estimate of the paired ratios with the exact signed-rank interval"
	} else {
		text += "Hodges–Lehmann shift with the Mann–Whitney interval"
	}
	confidence := math.NaN()
	for _, ch := range c.Changes {
		if !math.IsNaN(ch.Ratio.Confidence) {
			confidence = ch.Ratio.Confidence
		}
	}
	if !math.IsNaN(confidence) {
		text += fmt.Sprintf(" (%.1f %%, so that those of a metric hold together with 95 %% from %d rounds on)", confidence*100, compare.TierRounds)
	}
	return text + ". sees: the smallest difference that would have been found, with a power of 80 %."
}
