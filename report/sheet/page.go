package sheet

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Page is a Markdown page in the making. The zero value is empty.
type Page struct{ b bytes.Buffer }

// Bytes returns all that was written.
func (p *Page) Bytes() []byte { return p.b.Bytes() }

// Line writes a block of its own, formatted as by fmt.
func (p *Page) Line(format string, args ...any) {
	if p.b.Len() > 0 {
		p.b.WriteByte('\n')
	}
	fmt.Fprintf(&p.b, format+"\n", args...)
}

// Table writes a table: names to the left, figures to the right.
func (p *Page) Table(t Table) {
	p.b.WriteByte('\n')
	align := make([]string, len(t.Head))
	for k := range align {
		align[k] = "---:"
		if k == 0 || t.Head[k] == "verdict" || t.Title == "" || t.Left {
			align[k] = "---"
		}
	}
	head := slices.Clone(t.Head)
	for k, marks := range t.HeadMarks {
		head[k] += sup(marks)
	}
	rows := [][]string{head, align}
	for _, row := range t.Rows {
		var cells []string
		for _, c := range row {
			cells = append(cells, markdownCell(c))
		}
		rows = append(rows, cells)
	}
	for _, cells := range rows {
		p.b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
}

func markdownCell(c Cell) string {
	text := Escape(c.Text)
	if c.Mood == Struck {
		text = "~~" + text + "~~"
	}
	text += sup(c.Marks)
	if c.Aside != "" {
		text += " " + Escape(c.Aside)
	}
	return text
}

func sup(marks []int) string {
	if len(marks) == 0 {
		return ""
	}
	return "<sup>" + strings.Trim(strings.ReplaceAll(fmt.Sprint(marks), " ", ", "), "[]") + "</sup>"
}

// Escape keeps text from being taken for Markdown or HTML.
func Escape(s string) string {
	return strings.NewReplacer("|", "\\|", "*", "\\*", "<", "&lt;", "_", "\\_", "`", "\\`", "~", "\\~", "\n", " ").Replace(s)
}
