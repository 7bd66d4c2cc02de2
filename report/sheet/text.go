package sheet

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Width is the width in columns that the terminal's tables keep to.
const Width = 120

// The escape sequences of the moods.
const (
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	plainS = "\x1b[0m"
)

// Terminal is what is written for a terminal of Width columns. The zero value is empty, and without colour.
type Terminal struct {
	b     strings.Builder
	Color bool // with escape sequences
}

// String returns all that was written.
func (p *Terminal) String() string { return p.b.String() }

// Line writes a line, without the spaces at its end.
func (p *Terminal) Line(s string) { p.b.WriteString(strings.TrimRight(s, " ") + "\n") }

// Bold returns s in bold type where there is colour, or as it is.
func (p *Terminal) Bold(s string) string { return p.paint(bold, s) }

func (p *Terminal) paint(code, s string) string {
	if !p.Color || code == "" {
		return s
	}
	return code + s + plainS
}

// Wrapped writes a paragraph in lines of Width, all but the first behind indent.
func (p *Terminal) Wrapped(s, indent string) {
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > Width:
			p.Line(line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	p.Line(line)
}

// Table writes a table, in pieces where it is too wide.
func (p *Terminal) Table(t Table) {
	const gap = 2
	widths := make([]int, len(t.Head))
	columns := make([][]string, len(t.Head)) // the head, then the rows
	for k := range t.Head {
		columns[k] = columnText(t, k)
		for _, s := range columns[k] {
			widths[k] = max(widths[k], utf8.RuneCountInString(s))
		}
	}
	p.Line("")
	p.Line(p.paint(bold, t.Title))
	if t.Note != "" {
		p.Wrapped(t.Note, "")
	}
	for i, cut := range pieces(widths, gap) {
		if i > 0 {
			p.Line("")
		}
		for row := range len(t.Rows) + 1 {
			var line strings.Builder
			for _, k := range append([]int{0}, cut...) {
				text, color := columns[k][row], faint
				if row > 0 {
					color = t.Rows[row-1][k].Mood.color()
				}
				pad := strings.Repeat(" ", widths[k]-utf8.RuneCountInString(text))
				switch {
				case k == 0:
					line.WriteString(p.paint(color, text) + pad)
				case t.Left || t.Head[k] == "verdict":
					line.WriteString(strings.Repeat(" ", gap) + p.paint(color, text) + pad)
				default:
					line.WriteString(strings.Repeat(" ", gap) + pad + p.paint(color, text))
				}
			}
			p.Line(line.String())
		}
	}
}

// pieces parts the columns after the first into as few pieces as fit Width behind the first one, of widths as equal as
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
	widest := cut(Width)
	for limit := range Width {
		if list := cut(limit); len(list) == len(widest) {
			return list
		}
	}
	return widest
}

// columnText is a column's head and cells. The parts of its cells are aligned, footnotes stand behind them.
func columnText(t Table, k int) []string {
	head := t.Head[k]
	if len(t.HeadMarks) > 0 {
		head += superscripts(t.HeadMarks[k])
	}
	var widths []int // of parts, but the last one
	for _, row := range t.Rows {
		for i := 0; i < len(row[k].Parts)-1; i++ {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[k].Parts[i]))
		}
	}
	list, whole := []string{head}, 0
	for _, row := range t.Rows {
		c := row[k]
		if c.Parts == nil {
			list = append(list, strings.Repeat(" ", c.Indent)+textCell(c))
			continue
		}
		var parts []string
		for i, s := range c.Parts {
			if i < len(widths) {
				s = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s)) + s
			}
			parts = append(parts, s)
		}
		text := strings.TrimRight(strings.Join(parts, " "), " ") + superscripts(c.Marks)
		list, whole = append(list, text), max(whole, utf8.RuneCountInString(text))
	}
	for i, row := range t.Rows {
		if row[k].Parts != nil { // medians below each other, whatever follows
			list[i+1] += strings.Repeat(" ", whole-utf8.RuneCountInString(list[i+1]))
		}
	}
	return list
}

func (m Mood) color() string {
	switch m {
	case Absent:
		return faint
	case Suspect:
		return yellow
	case Struck:
		return red
	}
	return ""
}

// textCell is a cell in a terminal, where nothing can be struck out.
func textCell(c Cell) string {
	if c.Mood == Struck {
		return "[invalid]" + superscripts(c.Marks)
	}
	return c.Text + superscripts(c.Marks)
}

func superscripts(marks []int) string {
	var s []string
	for _, m := range marks {
		s = append(s, Superscript(m))
	}
	return strings.Join(s, ",")
}

// Superscript returns the number of a footnote as a terminal shows it.
func Superscript(n int) string {
	digits := []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")
	var out []rune
	for _, c := range fmt.Sprint(n) {
		out = append(out, digits[c-'0'])
	}
	return string(out)
}
