// Package explained writes why two variants differ, which is what millrace explain prints: sentences that the figures support,
// the figures, and the functions that differ most.
package explained

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/analysis/mechanism"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/report/sheet"
)

// headlineKeys are the rows that say how the variants did, before those that say why.
var headlineKeys = []string{"drain-time", "goodput", "achieved", "p50", "p99", "rss"}

// Write prints an explanation for a terminal of 120 columns: sentences that its figures support, then the figures, then the
// functions. Ratios are of the second variant to the first.
func Write(w io.Writer, x *mechanism.Explanation, color bool) error {
	p, notes := &sheet.Terminal{Color: color}, &sheet.Footnotes{}
	p.Line(p.Bold(x.Variants[1]+" against "+x.Variants[0]) + "  " + x.Scenario + "  " + x.Run)
	for _, s := range allSentences(x) {
		p.Wrapped(s, "")
	}
	p.Line("")
	p.Wrapped("Over "+x.Span+". The median of the rounds and, in brackets, the smallest and the largest of them; a trial of its own is one point."+ratioReading(x), "")
	tableIfAny(p, rowTable("How they did", x, notes, func(r mechanism.Row) bool { return slices.Contains(headlineKeys, r.Key) }))
	tableIfAny(p, rowTable("What a request costs, from "+sourceOf(x), x, notes, func(r mechanism.Row) bool {
		return r.Source != mechanism.OwnTrial && !slices.Contains(headlineKeys, r.Key)
	}))
	tableIfAny(p, rowTable("What a request costs, from "+mechanism.OwnTrial+" each, with system calls counted", x, notes, func(r mechanism.Row) bool {
		return r.Source == mechanism.OwnTrial
	}))
	if x.CPU != nil {
		writeCPU(p, x, notes)
	}
	if x.Allocs != nil {
		tableIfAny(p, functionTable(fmt.Sprintf("Allocated bytes a request, from %s (%s): what differs most of %s and %s", mechanism.OwnTrial, samples(x.Allocs),
			quantity.Format(x.Allocs.Total[0], quantity.Bytes), quantity.Format(x.Allocs.Total[1], quantity.Bytes)), x, x.Allocs.Flat, quantity.Bytes, ownOnly, notes))
	}
	p.Line("")
	for i, s := range notes.Texts() {
		p.Wrapped(sheet.Superscript(i+1)+" "+s, "  ")
	}
	for _, s := range x.Notes {
		p.Wrapped("– "+s, "  ")
	}
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("writing explanation: %w", err)
	}
	return nil
}

// ratioReading says what the ratios of the run's rounds are, or that so few are points and no more.
func ratioReading(x *mechanism.Explanation) string {
	text := ""
	for _, r := range x.Rows {
		n := r.Ratio.N
		switch {
		case r.Source == mechanism.OwnTrial || n == 0:
		case n < mechanism.IntervalRounds:
			return fmt.Sprintf(" Fewer than %d rounds, as here, support no order, and no sentence speaks of them: a look.", mechanism.IntervalRounds)
		case r.Ratio.Confidence > 0:
			text = fmt.Sprintf(" Ratios with square brackets: Hodges–Lehmann estimate with its signed-rank interval (%.3g %%), each by itself.", 100*r.Ratio.Confidence)
		}
	}
	return text
}

// tableIfAny writes a table that has rows.
func tableIfAny(p *sheet.Terminal, t sheet.Table) {
	if len(t.Rows) > 0 {
		p.Table(t)
	}
}

func sourceOf(x *mechanism.Explanation) string {
	for _, r := range x.Rows {
		if r.Source != mechanism.OwnTrial {
			return r.Source
		}
	}
	return "no round"
}

// explainedUnit is how a figure's unit is written; shares are written by themselves.
func explainedUnit(u mechanism.Unit) quantity.Unit {
	switch u {
	case mechanism.Ns:
		return quantity.Time
	case mechanism.Bytes:
		return quantity.Bytes
	case mechanism.PerSecond:
		return quantity.PerSecond
	}
	return quantity.Number
}

// rare is the number a request below which two digits are enough.
const rare = 0.01

func figureText(v float64, u mechanism.Unit) string {
	if u == mechanism.Share {
		return quantity.Share(v)
	}
	if u == mechanism.Number && v > 0 && v < rare {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return quantity.Format(v, explainedUnit(u))
}

// rowTable is a table of the rows that are wanted.
func rowTable(title string, x *mechanism.Explanation, notes *sheet.Footnotes, want func(mechanism.Row) bool) sheet.Table {
	t := sheet.Table{Title: title, Head: []string{"", x.Variants[0], x.Variants[1], "ratio"}}
	for _, r := range x.Rows {
		if !want(r) {
			continue
		}
		row := []sheet.Cell{{Text: r.Title}}
		for _, v := range r.Values {
			row = append(row, valueCell(v, notes, func(f float64) string { return figureText(f, r.Unit) }))
		}
		if r.Values[0].N > 0 && r.Values[1].N > 0 {
			row = append(row, valueCell(r.Ratio, notes, func(f float64) string { return figureText(f, mechanism.Number) }))
		} else {
			row = append(row, sheet.Cell{Text: "–", Mood: sheet.Absent})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// valueCell writes a median with its range, an estimate with its interval in square brackets, or a dash with the reason.
func valueCell(v mechanism.Value, notes *sheet.Footnotes, text func(float64) string) sheet.Cell {
	switch {
	case v.N == 0:
		return sheet.Cell{Text: "–", Marks: []int{notes.Mark(v.Missing, v.Missing)}, Mood: sheet.Absent}
	case v.N == 1:
		return sheet.Cell{Text: text(v.Median)}
	}
	middle, lo, hi := text(v.Median), text(v.Lo), text(v.Hi)
	if lo == hi {
		return sheet.Cell{Text: middle}
	}
	if v.Confidence > 0 {
		return sheet.Cell{Text: fmt.Sprintf("%s [%s–%s]", middle, lo, hi)}
	}
	if i := strings.Index(middle, " "); i >= 0 && strings.HasSuffix(lo, middle[i:]) && strings.HasSuffix(hi, middle[i:]) {
		lo, hi = strings.TrimSuffix(lo, middle[i:]), strings.TrimSuffix(hi, middle[i:]) // one unit serves all
	}
	return sheet.Cell{Text: fmt.Sprintf("%s (%s–%s)", middle, lo, hi)}
}

func samples(d *mechanism.Difference) string {
	return fmt.Sprintf("%d and %d samples", d.Samples[0], d.Samples[1])
}

// writeCPU writes where CPU time goes, and in which functions the variants differ most.
func writeCPU(p *sheet.Terminal, x *mechanism.Explanation, notes *sheet.Footnotes) {
	d := x.CPU
	title := fmt.Sprintf("CPU time a request by area, from a profiled %s each (%s)", strings.TrimPrefix(mechanism.OwnTrial, "a "), samples(d))
	areas := append(slices.Clone(d.Areas), mechanism.Function{Name: "all", Flat: d.Total, Cum: d.Total})
	tableIfAny(p, functionTable(title, x, areas, quantity.Time, ownOnly, notes))
	tableIfAny(p, functionTable("Functions whose own CPU time a request differs most", x, d.Flat, quantity.Time, ownAndCallees, notes))
	tableIfAny(p, functionTable("Functions that differ most with all they call (of a chain of calls that differ alike, one)", x, d.Frames, quantity.Time, calleesOnly, notes))
}

// unclearNote explains the mark of a difference that chance may have made.
const unclearNote = "less than two standard errors of the number of samples: chance may have made it"

// functionTable has a row a function: what it takes itself and the difference, then what it takes with all it calls; or, of
// frames, the latter alone.
func functionTable(title string, x *mechanism.Explanation, list []mechanism.Function, unit quantity.Unit, columns int, notes *sheet.Footnotes) sheet.Table {
	t := sheet.Table{Title: title, Head: []string{"", x.Variants[0], x.Variants[1], "difference"}}
	if columns == ownAndCallees {
		t.Head = append(t.Head, "with callees", "with callees")
	}
	for _, f := range list {
		values := f.Flat
		if columns == calleesOnly {
			values = f.Cum
		}
		difference := sheet.Cell{Text: signed(values[1]-values[0], unit)}
		if f.Unclear && columns != calleesOnly {
			difference.Marks, difference.Mood = []int{notes.Mark(unclearNote, unclearNote)}, sheet.Absent
		}
		row := []sheet.Cell{{Text: shortName(f.Name)}, {Text: quantity.Format(values[0], unit)}, {Text: quantity.Format(values[1], unit)}, difference}
		if columns == ownAndCallees {
			row = append(row, sheet.Cell{Text: quantity.Format(f.Cum[0], unit)}, sheet.Cell{Text: quantity.Format(f.Cum[1], unit)})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// What a table of functions shows.
const (
	ownOnly = iota
	ownAndCallees
	calleesOnly
)

func signed(v float64, unit quantity.Unit) string {
	text := quantity.Format(v, unit)
	if v > 0 {
		return "+" + text
	}
	return text
}

// versioned is a package's last element that says no more than its version.
var versioned = regexp.MustCompile(`^v\d+\.`)

// shortName is a function's name without the path of its package: gnet/v2.(*eventloop).read.
func shortName(name string) string {
	end := strings.IndexAny(name, "([ ")
	if end < 0 {
		end = len(name)
	}
	slash := strings.LastIndexByte(name[:end], '/')
	if versioned.MatchString(name[slash+1:]) && slash > 0 {
		slash = strings.LastIndexByte(name[:slash], '/')
	}
	return name[slash+1:]
}
