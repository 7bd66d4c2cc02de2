package report

import (
	"strings"

	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/report/claimed"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// expected is the table of the run's expectations, and whether it has some.
func expected(res *results.Result) (t sheet.Table, ok bool) {
	list := res.Run.Scenario.Expect
	if len(list) == 0 {
		return t, false
	}
	return claimed.Table(expect.Decide(list, expect.Of(res), expect.Alpha)), true
}

// expectations writes the section of the page.
func (p *page) expectations(res *results.Result) {
	if t, ok := expected(res); ok {
		p.Line("## Expectations")
		p.Line("%s", sheet.Escape(t.Note))
		t.Title = ""
		p.Table(t)
	}
}

// Refuted names the expectations of the run that were not met, separated by commas; empty where none was.
func Refuted(res *results.Result) string {
	if len(res.Run.Scenario.Expect) == 0 {
		return ""
	}
	var names []string
	for _, d := range expect.Decide(res.Run.Scenario.Expect, expect.Of(res), expect.Alpha) {
		if d.Verdict == expect.Refuted {
			names = append(names, d.Name)
		}
	}
	return strings.Join(names, ", ")
}
