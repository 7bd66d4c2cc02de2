package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/results"
)

// textWidth is the width in columns that the terminal's tables keep to.
const textWidth = 120

// The escape sequences of the moods.
const (
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	plainS = "\x1b[0m"
)

// Text writes a run's tables for a terminal of 120 columns, with escape sequences for colour if asked for. A table that
// is wider is continued below with the variants named again; only names that are longer than that go beyond.
func Text(w io.Writer, res *results.Result, color bool) error {
	d := newDocument(res)
	p := &textWriter{color: color}
	p.line(p.paint(bold, res.Run.Scenario.Name) + "  " + res.Run.ID)
	for _, s := range d.preface() {
		p.wrapped(s, "")
	}
	for _, t := range d.tables {
		p.table(t)
	}
	if d.outcomes != "" {
		p.line("")
		p.line(d.outcomes)
	}
	if notes := d.notes.texts(); len(notes) > 0 {
		p.line("")
		for i, s := range notes {
			p.wrapped(superscript(i+1)+" "+s, strings.Repeat(" ", utf8.RuneCountInString(superscript(i+1))+1))
		}
	}
	if _, err := io.WriteString(w, p.b.String()); err != nil {
		return fmt.Errorf("writing report: %w", err)
	}
	return nil
}

type textWriter struct {
	b     strings.Builder
	color bool
}

func (p *textWriter) line(s string) { p.b.WriteString(strings.TrimRight(s, " ") + "\n") }

func (p *textWriter) paint(code, s string) string {
	if !p.color || code == "" {
		return s
	}
	return code + s + plainS
}

// wrapped writes a paragraph in lines of textWidth, all but the first behind indent.
func (p *textWriter) wrapped(s, indent string) {
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > textWidth:
			p.line(line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	p.line(line)
}

// table writes a table, in pieces where it is too wide.
func (p *textWriter) table(t table) {
	const gap = 2
	widths := make([]int, len(t.head))
	for k, h := range t.head {
		widths[k] = utf8.RuneCountInString(h)
		for _, row := range t.rows {
			widths[k] = max(widths[k], utf8.RuneCountInString(textCell(row[k])))
		}
	}
	p.line("")
	p.line(p.paint(bold, t.title))
	for from := 1; from < len(t.head); {
		to, taken := from, widths[0]
		for to < len(t.head) && (to == from || taken+gap+widths[to] <= textWidth) {
			taken += gap + widths[to]
			to++
		}
		if from > 1 {
			p.line("")
		}
		p.row(t.head, widths, from, to, func(int) string { return faint }, func(k int) string { return t.head[k] })
		for _, row := range t.rows {
			p.row(t.head, widths, from, to, func(k int) string { return row[k].mood.color() }, func(k int) string { return textCell(row[k]) })
		}
		from = to
	}
}

// row writes the first column and those in [from, to): names to the left, figures to the right.
func (p *textWriter) row(head []string, widths []int, from, to int, color func(int) string, text func(int) string) {
	pad := func(k int) string { return strings.Repeat(" ", widths[k]-utf8.RuneCountInString(text(k))) }
	line := p.paint(color(0), text(0)) + pad(0)
	for k := from; k < to; k++ {
		if head[k] == "verdict" {
			line += "  " + p.paint(color(k), text(k)) + pad(k)
			continue
		}
		line += "  " + pad(k) + p.paint(color(k), text(k))
	}
	p.line(line)
}

func (m mood) color() string {
	switch m {
	case absent:
		return faint
	case suspect:
		return yellow
	case struck:
		return red
	}
	return ""
}

// textCell is a cell in a terminal, where nothing can be struck out.
func textCell(c cell) string {
	if c.mood == struck {
		return "[invalid]" + superscripts(c.marks)
	}
	return c.text + superscripts(c.marks)
}

func superscripts(marks []int) string {
	var s []string
	for _, m := range marks {
		s = append(s, superscript(m))
	}
	return strings.Join(s, ",")
}

func superscript(n int) string {
	digits := []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")
	var out []rune
	for _, c := range fmt.Sprint(n) {
		out = append(out, digits[c-'0'])
	}
	return string(out)
}
