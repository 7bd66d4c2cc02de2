package claimed

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/claims"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// Findings is what a catalogue was decided on.
type Findings struct {
	Catalogue *claims.Catalogue
	Made      map[string]claims.Made
	Outcomes  []claims.Outcome
	// Mechanisms are the sentences why, by the row's id.
	Mechanisms map[string]string
	Quick      bool
}

// Text writes the verdicts for a terminal.
func Text(w io.Writer, f *Findings, color bool) error {
	p := &sheet.Terminal{Color: color}
	t := sheet.Table{Left: true, Head: []string{"claim", "verdict", "statement", "left", "right", "left by right", "rounds", "why undecided"}}
	for i := range f.Outcomes {
		o := &f.Outcomes[i]
		id, verdict := o.Row.ID, string(o.Verdict)
		for _, part := range o.Parts {
			for _, r := range partRows(&part) {
				t.Rows = append(t.Rows, cells(append([]string{id, verdict}, r...)...))
				id, verdict = "", ""
			}
		}
		if o.Why != "" {
			t.Rows = append(t.Rows, cells("", "", "whatever the statements say", "", "", "", "", o.Why))
		}
	}
	p.Table(t)
	p.Line("")
	p.Wrapped(f.summary()+". "+Reading, "")
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("writing verdicts: %w", err)
	}
	return nil
}

// partRows are the cells of a statement from its name on, a row for each comparison.
func partRows(p *claims.Part) [][]string {
	if len(p.Comparisons) == 0 {
		return [][]string{{p.Statement.Name, "–", "–", "–", "–", p.Why}}
	}
	var rows [][]string
	for i := range p.Comparisons {
		c := &p.Comparisons[i]
		name := p.Statement.Name
		if len(p.Comparisons) > 1 {
			name = fmt.Sprintf("%s %d/%d", name, i+1, len(p.Comparisons))
		}
		rows = append(rows, []string{name, Value(c.Left, c.Unit), Value(c.Right, c.Unit), Effect(c), rounds(c), c.Why})
	}
	return rows
}

func (f *Findings) summary() string {
	var list []expect.Verdict
	for _, o := range f.Outcomes {
		list = append(list, o.Verdict)
	}
	return Summary(list)
}

// Page is docs/CLAIMS.md.
func Page(f *Findings) []byte {
	p := &sheet.Page{}
	p.Line("# Claims")
	p.Line("What five well-known articles assert about Go network models, put to the test on one machine: %s. Written by `make claims`, "+
		"which goes on where it was interrupted. The statements were fixed before measuring (claims/catalogue.yaml); one row alone is run again by the command in its part.", f.summary())
	if f.Quick {
		p.Line("Quick: small runs of few rounds, to see that all works. Below 6 rounds nothing is decided.")
	}
	p.Line("%s", f.machine())
	p.Line("%s Rounds are those that have a value on both sides. A claim is CONFIRMED where all of its statements are, REFUTED where one is. Statements of one claim are decided together, so that the chance of any wrong verdict "+
		"in a row is at most 5 %% (Holm; a row that rests on several runs gives each its share). What else is shown decides nothing.", Reading)
	p.Line("## Verdicts")
	t := sheet.Table{Head: []string{"claim", "verdict", "what is said", "deciding figure"}}
	for i := range f.Outcomes {
		o := &f.Outcomes[i]
		t.Rows = append(t.Rows, cells(o.Row.ID, string(o.Verdict), o.Row.Says, deciding(o)))
	}
	p.Table(t)
	for i := range f.Outcomes {
		f.row(p, &f.Outcomes[i])
	}
	f.runs(p)
	return p.Bytes()
}

// deciding is the figure of the statement that a row's verdict rests on: the first that is as the row.
func deciding(o *claims.Outcome) string {
	best := ""
	for _, part := range o.Parts {
		for i := range part.Comparisons {
			c := &part.Comparisons[i]
			text := c.Text + ": " + Effect(c)
			if part.Verdict == o.Verdict && c.Value != nil {
				return text
			}
			if best == "" && c.Value != nil {
				best = text
			}
		}
	}
	if best == "" && len(o.Parts) > 0 {
		best = "none: " + whyOf(&o.Parts[0])
	}
	return best
}

func whyOf(p *claims.Part) string {
	if p.Why != "" || len(p.Comparisons) == 0 {
		return p.Why
	}
	return p.Comparisons[0].Why
}

// row writes the part of the page on one claim.
func (f *Findings) row(p *sheet.Page, o *claims.Outcome) {
	p.Line("## %s: %s", o.Row.ID, o.Verdict)
	p.Line("> %s", sheet.Escape(o.Row.Says))
	p.Line("%s", sheet.Escape(o.Row.Read))
	if o.Why != "" {
		p.Line("**%s**", sheet.Escape("Undecided, whatever the statements say: "+o.Why))
	}
	p.Table(statements(o.Parts))
	if len(o.Shown) > 0 {
		p.Line("Shown beside, without a say in the verdict:")
		p.Table(statements(o.Shown))
	}
	p.Line("Scale: %s. Again: `bin/millrace claims %s`", sheet.Escape(f.scale(&o.Row)), o.Row.ID)
	if why := f.Mechanisms[o.Row.ID]; why != "" {
		p.Line("Why: %s", sheet.Escape(why))
	}
}

func statements(parts []claims.Part) sheet.Table {
	t := sheet.Table{Head: []string{"statement", "verdict", "left", "right", "left by right", "rounds", "read as, or why undecided"}}
	for _, part := range parts {
		if len(part.Comparisons) == 0 {
			t.Rows = append(t.Rows, cells(part.Statement.That, string(part.Verdict), "–", "–", "–", "–", part.Reading+". "+part.Why))
		}
		for i := range part.Comparisons {
			c := &part.Comparisons[i]
			note := c.Why
			if i == 0 {
				note = strings.TrimSpace(part.Reading + ". " + c.Why)
			}
			t.Rows = append(t.Rows, cells(c.Text, string(c.Verdict), Value(c.Left, c.Unit), Value(c.Right, c.Unit), Effect(c), rounds(c), note))
		}
	}
	return t
}

// scale says with what load the runs of a row were made.
func (f *Findings) scale(row *claims.Row) string {
	var parts []string
	for _, name := range row.Runs() {
		m := f.Made[name]
		if m.Result == nil {
			parts = append(parts, name+" was not made: "+m.Why)
			continue
		}
		r := m.Result.Run
		var most int
		lines := slices.Clone(r.Scale)
		for _, s := range r.Workloads() {
			most = max(most, s.Connections.Count)
		}
		for _, s := range r.Steps {
			lines = append(lines, s.Scale...)
		}
		text := fmt.Sprintf("%s: scenario %s, %s, %s", name, r.Scenario.Name, quantity.Count(most, "connection"), quantity.Count(roundsOf(m.Result), "round"))
		if len(r.Set) > 0 {
			text += ", changed " + strings.Join(r.Set, " ")
		}
		if len(lines) > 0 {
			text += ", scaled down: " + strings.Join(lines, ", ")
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func roundsOf(res *results.Result) int {
	n := 0
	for _, t := range res.Trials {
		n = max(n, t.Round)
	}
	return n
}

// machine is the host of the first run that was made, and the commit.
func (f *Findings) machine() string {
	for _, r := range f.Catalogue.Runs {
		if res := f.Made[r.Name].Result; res != nil {
			e := res.Run.Env
			return fmt.Sprintf("%s, %d cores (%d for the server, %d for the client), %d GiB, %s, %s, commit %s.", strings.Join(strings.Fields(e.CPU), " "), e.Cores,
				len(res.Run.Split.Server), len(res.Run.Split.Client), e.MemBytes>>30, e.Kernel, e.Go, cmp.Or(e.Commit, "unknown"))
		}
	}
	return "No run was made."
}

// runs lists the runs, with what they lacked.
func (f *Findings) runs(p *sheet.Page) {
	p.Line("## Runs")
	t := sheet.Table{Head: []string{"run", "scenario", "directory", "trials", "left out"}}
	for _, r := range f.Catalogue.Runs {
		m := f.Made[r.Name]
		var out []string
		for name, why := range m.LeftOut {
			out = append(out, name+": "+why)
		}
		slices.Sort(out)
		if m.Result == nil {
			t.Rows = append(t.Rows, cells(r.Name, r.Scenario, "–", "–", m.Why))
			continue
		}
		counted := 0
		for _, trial := range m.Result.Trials {
			if trial.LeftOut() == "" {
				counted++
			} else {
				out = append(out, trial.ID+": "+trial.LeftOut())
			}
		}
		t.Rows = append(t.Rows, cells(r.Name, r.Scenario, m.Result.Run.ID, fmt.Sprintf("%d of %d count", counted, len(m.Result.Trials)), strings.Join(out, "; ")))
	}
	p.Table(t)
}
