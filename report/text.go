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
	if len(d.support) > 0 {
		p.line("")
		for _, s := range d.support {
			p.wrapped(s, "")
		}
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
	columns := make([][]string, len(t.head)) // the head, then the rows
	for k := range t.head {
		columns[k] = columnText(t, k)
		for _, s := range columns[k] {
			widths[k] = max(widths[k], utf8.RuneCountInString(s))
		}
	}
	p.line("")
	p.line(p.paint(bold, t.title))
	if t.note != "" {
		p.wrapped(t.note, "")
	}
	for i, cut := range pieces(widths, gap) {
		if i > 0 {
			p.line("")
		}
		for row := range len(t.rows) + 1 {
			var line strings.Builder
			for _, k := range append([]int{0}, cut...) {
				text, color := columns[k][row], faint
				if row > 0 {
					color = t.rows[row-1][k].mood.color()
				}
				pad := strings.Repeat(" ", widths[k]-utf8.RuneCountInString(text))
				switch {
				case k == 0:
					line.WriteString(p.paint(color, text) + pad)
				case t.left || t.head[k] == "verdict":
					line.WriteString(strings.Repeat(" ", gap) + p.paint(color, text) + pad)
				default:
					line.WriteString(strings.Repeat(" ", gap) + pad + p.paint(color, text))
				}
			}
			p.line(line.String())
		}
	}
}

// pieces parts the columns after the first into as few pieces as fit textWidth behind the first one, of widths as equal as
// may be. A column that is too wide by itself is a piece.
func pieces(widths []int, gap int) [][]int {
	cut := func(limit int) (list [][]int) {
		taken := limit + 1
		for k := 1; k < len(widths); k++ {
			if taken += gap + widths[k]; taken > limit {
				list, taken = append(list, nil), widths[0]+gap+widths[k]
			}
			list[len(list)-1] = append(list[len(list)-1], k)
		}
		return list
	}
	widest := cut(textWidth)
	for limit := range textWidth {
		if list := cut(limit); len(list) == len(widest) {
			return list
		}
	}
	return widest
}

// columnText is a column's head and cells. The parts of its cells are aligned, footnotes stand behind them.
func columnText(t table, k int) []string {
	head := t.head[k]
	if len(t.headMarks) > 0 {
		head += superscripts(t.headMarks[k])
	}
	var widths []int // of parts, but the last one
	for _, row := range t.rows {
		for i := 0; i < len(row[k].parts)-1; i++ {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[k].parts[i]))
		}
	}
	list, whole := []string{head}, 0
	for _, row := range t.rows {
		c := row[k]
		if c.parts == nil {
			list = append(list, strings.Repeat(" ", c.indent)+textCell(c))
			continue
		}
		var parts []string
		for i, s := range c.parts {
			if i < len(widths) {
				s = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s)) + s
			}
			parts = append(parts, s)
		}
		text := strings.TrimRight(strings.Join(parts, " "), " ") + superscripts(c.marks)
		list, whole = append(list, text), max(whole, utf8.RuneCountInString(text))
	}
	for i, row := range t.rows {
		if row[k].parts != nil { // medians below each other, whatever follows
			list[i+1] += strings.Repeat(" ", whole-utf8.RuneCountInString(list[i+1]))
		}
	}
	return list
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
