// Package claimed writes what became of expectations and claims: tables for the terminal and for pages, and docs/CLAIMS.md.
package claimed

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/report/sheet"
)

// Table lists decisions, a row for each comparison in them.
func Table(decisions []expect.Decision) sheet.Table {
	t := sheet.Table{Title: "Expectations", Note: Reading, Left: true, Head: []string{"expectation", "verdict", "comparison", "left", "right", "left by right", "rounds", "why undecided"}}
	for _, d := range decisions {
		if len(d.Comparisons) == 0 {
			t.Rows = append(t.Rows, cells(d.Name, string(d.Verdict), d.That, "–", "–", "–", "–", d.Why))
		}
		for i := range d.Comparisons {
			c := &d.Comparisons[i]
			name, verdict := d.Name, string(d.Verdict)
			if i > 0 {
				name, verdict = "", ""
			}
			text := c.Text
			if len(d.Comparisons) > 1 {
				text += ": " + string(c.Verdict)
			}
			t.Rows = append(t.Rows, cells(name, verdict, text, Value(c.Left, c.Unit), Value(c.Right, c.Unit), Effect(c), rounds(c), c.Why))
		}
	}
	return t
}

// Reading says how to read the table.
const Reading = "Left and right: medians over the rounds. Left by right: their ratio (×), or where a side is not above zero their difference, with the interval " +
	"that decided; CONFIRMED where the whole of it fulfils the comparison, REFUTED where none does, and UNDECIDED otherwise or below 6 rounds."

func cells(texts ...string) []sheet.Cell {
	var row []sheet.Cell
	for _, s := range texts {
		row = append(row, sheet.Cell{Text: s})
	}
	return row
}

func rounds(c *expect.Comparison) string {
	if c.Rounds == c.Of {
		return fmt.Sprint(c.Of)
	}
	return fmt.Sprintf("%d of %d", c.Rounds, c.Of)
}

// Value writes a value in the unit of a comparison, or "–" for none.
func Value(v *float64, unit string) string {
	if v == nil {
		return "–"
	}
	switch unit {
	case "ns":
		return quantity.Format(*v, quantity.Time)
	case "bytes":
		return quantity.Format(*v, quantity.Bytes)
	case "/s":
		return quantity.Format(*v, quantity.PerSecond)
	case "":
		return quantity.Format(*v, quantity.Number)
	}
	return quantity.Format(*v, quantity.Number) + " " + unit
}

// Effect writes the ratio or the difference of a comparison with its interval: ×0.51 [0.48–0.55].
func Effect(c *expect.Comparison) string {
	if c.Value == nil {
		return "–"
	}
	word := func(v *float64) string { return Value(v, c.Unit) }
	prefix := ""
	if c.Ratio {
		word, prefix = func(v *float64) string { return fmt.Sprintf("%.3g", *v) }, "×"
	}
	text := prefix + word(c.Value)
	if c.Lo != nil && c.Hi != nil {
		sep := "–"
		if !c.Ratio {
			sep = " to "
		}
		text += " [" + word(c.Lo) + sep + word(c.Hi) + "]"
	}
	return text
}

// Summary counts verdicts: "2 CONFIRMED, 1 UNDECIDED".
func Summary(verdicts []expect.Verdict) string {
	var parts []string
	for _, v := range []expect.Verdict{expect.Confirmed, expect.Refuted, expect.Undecided} {
		n := 0
		for _, w := range verdicts {
			if v == w {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	return strings.Join(parts, ", ")
}
