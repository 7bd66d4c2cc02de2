package report

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/analysis/mechanism"
	"github.com/millrace/millrace/internal/quantity"
)

// headlineKeys are the rows that say how the variants did, before those that say why.
var headlineKeys = []string{"drain-time", "goodput", "achieved", "p50", "p99", "rss"}

// Explain writes an explanation for a terminal of 120 columns: sentences that its figures support, then the figures, then the
// functions. Ratios are of the second variant to the first.
func Explain(w io.Writer, x *mechanism.Explanation, color bool) error {
	p, notes := &textWriter{color: color}, &footnotes{}
	p.line(p.paint(bold, x.Variants[1]+" against "+x.Variants[0]) + "  " + x.Scenario + "  " + x.Run)
	for _, s := range explainSentences(x) {
		p.wrapped(s, "")
	}
	p.line("")
	p.wrapped("Over "+x.Span+". The median of the rounds and, in brackets, the smallest and the largest of them; a trial of its own is one point."+fewRounds(x), "")
	p.tableIfAny(explainRows("How they did", x, notes, func(r mechanism.Row) bool { return slices.Contains(headlineKeys, r.Key) }))
	p.tableIfAny(explainRows("What a request costs, from "+sourceOf(x), x, notes, func(r mechanism.Row) bool {
		return r.Source != mechanism.OwnTrial && !slices.Contains(headlineKeys, r.Key)
	}))
	p.tableIfAny(explainRows("What a request costs, from "+mechanism.OwnTrial+" each, with system calls counted", x, notes, func(r mechanism.Row) bool {
		return r.Source == mechanism.OwnTrial
	}))
	if x.CPU != nil {
		explainCPU(p, x, notes)
	}
	if x.Allocs != nil {
		p.tableIfAny(functionTable(fmt.Sprintf("Allocated bytes a request, from %s (%s): what differs most of %s and %s", mechanism.OwnTrial, samples(x.Allocs),
			quantity.Format(x.Allocs.Total[0], quantity.Bytes), quantity.Format(x.Allocs.Total[1], quantity.Bytes)), x, x.Allocs.Flat, quantity.Bytes, ownOnly, notes))
	}
	p.line("")
	for i, s := range notes.texts() {
		p.wrapped(superscript(i+1)+" "+s, "  ")
	}
	for _, s := range x.Notes {
		p.wrapped("– "+s, "  ")
	}
	if _, err := io.WriteString(w, p.b.String()); err != nil {
		return fmt.Errorf("writing explanation: %w", err)
	}
	return nil
}

// orderedFrom is how many rounds support an order.
const orderedFrom = 6

// fewRounds warns of a run whose rounds are points and no more.
func fewRounds(x *mechanism.Explanation) string {
	for _, r := range x.Rows {
		if n := r.Ratio.N; n > 0 && n < orderedFrom && r.Source != mechanism.OwnTrial {
			return fmt.Sprintf(" Fewer than %d rounds, as here, support no order: a look.", orderedFrom)
		}
	}
	return ""
}

// tableIfAny writes a table that has rows.
func (p *textWriter) tableIfAny(t table) {
	if len(t.rows) > 0 {
		p.table(t)
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

// explainRows is a table of the rows that are wanted.
func explainRows(title string, x *mechanism.Explanation, notes *footnotes, want func(mechanism.Row) bool) table {
	t := table{title: title, head: []string{"", x.Variants[0], x.Variants[1], "ratio"}}
	for _, r := range x.Rows {
		if !want(r) {
			continue
		}
		row := []cell{{text: r.Title}}
		for _, v := range r.Values {
			row = append(row, valueCell(v, notes, func(f float64) string { return figureText(f, r.Unit) }))
		}
		if r.Values[0].N > 0 && r.Values[1].N > 0 {
			row = append(row, valueCell(r.Ratio, notes, func(f float64) string { return figureText(f, mechanism.Number) }))
		} else {
			row = append(row, cell{text: "–", mood: absent})
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// valueCell writes a median with its range, or a dash with the reason.
func valueCell(v mechanism.Value, notes *footnotes, text func(float64) string) cell {
	switch {
	case v.N == 0:
		return cell{text: "–", marks: []int{notes.mark(v.Missing, v.Missing)}, mood: absent}
	case v.N == 1:
		return cell{text: text(v.Median)}
	}
	middle, lo, hi := text(v.Median), text(v.Lo), text(v.Hi)
	if lo == hi {
		return cell{text: middle}
	}
	if i := strings.Index(middle, " "); i >= 0 && strings.HasSuffix(lo, middle[i:]) && strings.HasSuffix(hi, middle[i:]) {
		lo, hi = strings.TrimSuffix(lo, middle[i:]), strings.TrimSuffix(hi, middle[i:]) // one unit serves all
	}
	return cell{text: fmt.Sprintf("%s (%s–%s)", middle, lo, hi)}
}

func samples(d *mechanism.Difference) string {
	return fmt.Sprintf("%d and %d samples", d.Samples[0], d.Samples[1])
}

// explainCPU writes where CPU time goes, and in which functions the variants differ most.
func explainCPU(p *textWriter, x *mechanism.Explanation, notes *footnotes) {
	d := x.CPU
	title := fmt.Sprintf("CPU time a request by area, from a profiled %s each (%s)", strings.TrimPrefix(mechanism.OwnTrial, "a "), samples(d))
	areas := append(slices.Clone(d.Areas), mechanism.Function{Name: "all", Flat: d.Total, Cum: d.Total})
	p.tableIfAny(functionTable(title, x, areas, quantity.Time, ownOnly, notes))
	p.tableIfAny(functionTable("Functions whose own CPU time a request differs most", x, d.Flat, quantity.Time, ownAndCallees, notes))
	p.tableIfAny(functionTable("Functions that differ most with all they call (of a chain of calls that differ alike, one)", x, d.Frames, quantity.Time, calleesOnly, notes))
}

// unclearNote explains the mark of a difference that chance may have made.
const unclearNote = "less than two standard errors of the number of samples: chance may have made it"

// functionTable has a row a function: what it takes itself and the difference, then what it takes with all it calls; or, of
// frames, the latter alone.
func functionTable(title string, x *mechanism.Explanation, list []mechanism.Function, unit quantity.Unit, columns int, notes *footnotes) table {
	t := table{title: title, head: []string{"", x.Variants[0], x.Variants[1], "difference"}}
	if columns == ownAndCallees {
		t.head = append(t.head, "with callees", "with callees")
	}
	for _, f := range list {
		values := f.Flat
		if columns == calleesOnly {
			values = f.Cum
		}
		difference := cell{text: signed(values[1]-values[0], unit)}
		if f.Unclear && columns != calleesOnly {
			difference.marks, difference.mood = []int{notes.mark(unclearNote, unclearNote)}, absent
		}
		row := []cell{{text: shortName(f.Name)}, {text: quantity.Format(values[0], unit)}, {text: quantity.Format(values[1], unit)}, difference}
		if columns == ownAndCallees {
			row = append(row, cell{text: quantity.Format(f.Cum[0], unit)}, cell{text: quantity.Format(f.Cum[1], unit)})
		}
		t.rows = append(t.rows, row)
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
