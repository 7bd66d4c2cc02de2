package claimed

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/claims"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
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
		for _, part := range o.Needs {
			for _, r := range partRows(&part) {
				r[0] = "control " + r[0]
				t.Rows = append(t.Rows, cells(append([]string{"", ""}, r...)...))
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
		"which goes on where it was interrupted. The statements are those of claims/catalogue.yaml at the commit named below, on which all runs were made; `git log claims/catalogue.yaml` has what was changed before, and why. One row alone is run again by the command in its part.", f.summary())
	if f.Quick {
		p.Line("Quick: small runs of few rounds, to see that all works. Below 6 rounds nothing is decided.")
	}
	p.Line("%s", f.machine())
	p.Line("%s Rounds are those that have a value on both sides. A claim is CONFIRMED where all of its statements are, REFUTED where one is, and UNDECIDED where one of its controls is not met. Statements of one claim are decided together, so that the chance of any wrong verdict "+
		"in a row is at most 5 %% (Holm; a row that rests on several runs gives each its share). What else is shown decides nothing. Trials that are SUSPECT count, and each row says how many.", Reading)
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

// deciding is the figure that a row's verdict rests on: that of a comparison which is as the row, in a statement which is, before any
// other of that statement (behind not, what decides is the other way round), before any at all.
// A control that is not met comes before all.
func deciding(o *claims.Outcome) string {
	for _, part := range o.Needs {
		for i := range part.Comparisons {
			if c := &part.Comparisons[i]; part.Verdict != expect.Confirmed && c.Verdict == part.Verdict && c.Value != nil {
				return "control: " + c.Text + ": " + Effect(c)
			}
		}
	}
	best, text := 0, ""
	for _, part := range o.Parts {
		for i := range part.Comparisons {
			c := &part.Comparisons[i]
			rank := 1
			switch {
			case c.Value == nil:
				rank = 0
			case part.Verdict == o.Verdict && c.Verdict == o.Verdict:
				rank = 4
			case part.Verdict == o.Verdict && c.Verdict != expect.Undecided:
				rank = 3
			case part.Verdict == o.Verdict:
				rank = 2
			}
			if rank > best {
				best, text = rank, c.Text+": "+Effect(c)
			}
		}
	}
	if best == 0 && len(o.Parts) > 0 {
		return "none: " + whyOf(&o.Parts[0])
	}
	return text
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
	if len(o.Needs) > 0 {
		p.Line("Controls, without which there is no verdict:")
		p.Table(statements(o.Needs))
	}
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
		if n, of, why := suspects(m.Result); n > 0 {
			text += fmt.Sprintf(", %d of its %d trials that count SUSPECT, most of them %s", n, of, why)
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

// suspects counts the trials that count and those of them that are SUSPECT, and names the check that found most of these.
func suspects(res *results.Result) (n, of int, why string) {
	by := map[string]int{}
	for _, t := range res.Trials {
		if t.LeftOut() != "" {
			continue
		}
		if of++; t.Verdict != validity.Suspect {
			continue
		}
		n++
		for _, c := range t.Checks {
			if c.State == validity.Warn || c.State == validity.Unknown {
				by[c.Name]++
			}
		}
	}
	names := slices.Sorted(maps.Keys(by))
	if len(names) == 0 {
		return n, of, "without a named reason"
	}
	return n, of, slices.MaxFunc(names, func(a, b string) int { return cmp.Compare(by[a], by[b]) })
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
	t := sheet.Table{Head: []string{"run", "scenario", "directory", "trials", "SUSPECT", "left out"}}
	for _, r := range f.Catalogue.Runs {
		m := f.Made[r.Name]
		var out []string
		for name, why := range m.LeftOut {
			out = append(out, name+": "+why)
		}
		slices.Sort(out)
		if m.Result == nil {
			t.Rows = append(t.Rows, cells(r.Name, r.Scenario, "–", "–", "–", m.Why))
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
		doubted := "none"
		if n, _, why := suspects(m.Result); n > 0 {
			doubted = fmt.Sprintf("%d, most of them %s", n, why)
		}
		t.Rows = append(t.Rows, cells(r.Name, r.Scenario, m.Result.Run.ID, fmt.Sprintf("%d of %d count", counted, len(m.Result.Trials)), doubted, strings.Join(out, "; ")))
	}
	p.Table(t)
}
