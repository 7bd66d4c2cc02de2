package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// Text writes a run's tables for a terminal of 120 columns, with escape sequences for colour if asked for. A table that
// is wider is continued below with the variants named again; only names that are longer than that go beyond.
func Text(w io.Writer, res *results.Result, color bool) error {
	d := newDocument(res)
	p := &sheet.Terminal{Color: color}
	p.Line(p.Bold(res.Run.Scenario.Name) + "  " + res.Run.ID)
	for _, s := range d.preface() {
		p.Wrapped(s, "")
	}
	for _, t := range d.tables {
		p.Table(t)
	}
	if len(d.crossings) > 0 {
		p.Line("")
		p.Line(p.Bold("Where the winner changes"))
		p.Wrapped(crossingsNote, "")
		for _, c := range d.crossings {
			for _, s := range c.sentences {
				p.Wrapped(c.metric+": "+s+".", "  ")
			}
		}
	}
	if t, ok := expected(res); ok {
		p.Table(t)
	}
	if len(d.support) > 0 {
		p.Line("")
		for _, s := range d.support {
			p.Wrapped(s, "")
		}
	}
	if d.outcomes != "" {
		p.Line("")
		p.Line(d.outcomes)
	}
	if notes := d.notes.Texts(); len(notes) > 0 {
		p.Line("")
		for i, s := range notes {
			p.Wrapped(sheet.Superscript(i+1)+" "+s, strings.Repeat(" ", utf8.RuneCountInString(sheet.Superscript(i+1))+1))
		}
	}
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("writing report: %w", err)
	}
	return nil
}
