package claims

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/results"
)

// Made is what became of one run of the catalogue.
type Made struct {
	// Result of the run; nil where it was not made, and Why says why.
	Result *results.Result
	Why    string
	// LeftOut are servers that the run should have had, and why it has not.
	LeftOut map[string]string
}

// Outcome is what became of one row.
type Outcome struct {
	Row     Row
	Verdict expect.Verdict
	// Why says why the row is undecided where its statements don't, or would not be believed; empty otherwise.
	Why string
	// Parts are its statements, Needs its controls and Shown what stands beside, in the row's order.
	Parts, Needs, Shown []Part
}

// Part is what became of one statement.
type Part struct {
	Statement
	// Run is the id of the run's directory; empty where the run was not made.
	RunID string
	expect.Decision
}

// Judge decides the rows of a catalogue by the runs that were made, by their names. The statements of a row are decided together:
// each of its runs has its share of expect.Alpha, and Holm's procedure over its statements about that run. Its controls are decided
// apart, in the same way: they can only take a verdict away.
func Judge(c *Catalogue, made map[string]Made) []Outcome {
	var list []Outcome
	for i := range c.Rows {
		list = append(list, judge(&c.Rows[i], made))
	}
	return list
}

func judge(row *Row, made map[string]Made) Outcome {
	o := Outcome{Row: *row}
	o.Parts = parts(row, row.Statements, made)
	o.Needs = parts(row, row.Needs, made)
	o.Shown = parts(row, row.Shown, made)
	o.Verdict = expect.Confirmed
	for _, p := range o.Parts {
		switch {
		case p.Verdict == expect.Refuted:
			o.Verdict = expect.Refuted
		case p.Verdict == expect.Undecided && o.Verdict == expect.Confirmed:
			o.Verdict = expect.Undecided
		}
	}
	if why := withheld(row, o.Needs, made); why != "" {
		o.Verdict, o.Why = expect.Undecided, why
	}
	return o
}

// withheld says why no verdict would mean anything: the machine is too small for the claim, or a control is not met. It is empty
// where nothing stands in the way.
func withheld(row *Row, needs []Part, made map[string]Made) string {
	for _, name := range row.Runs() {
		if res := made[name].Result; res != nil && len(res.Run.Split.Server) < row.ServerCPUs {
			return fmt.Sprintf("the server has %d CPU and the claim needs %d: %s What could decide it: %s", len(res.Run.Split.Server), row.ServerCPUs, row.Cant, row.Machine)
		}
	}
	for _, p := range needs {
		switch p.Verdict {
		case expect.Refuted:
			return fmt.Sprintf("its control %q is REFUTED: %s", p.Statement.Name, p.Reading)
		case expect.Undecided:
			return fmt.Sprintf("its control %q is UNDECIDED, and if it is not met: %s", p.Statement.Name, p.Reading)
		}
	}
	return ""
}

// parts decides statements run by run.
func parts(row *Row, statements []Statement, made map[string]Made) []Part {
	var runs []string
	for _, s := range statements {
		if !slices.Contains(runs, s.Run) {
			runs = append(runs, s.Run)
		}
	}
	decided := map[string]expect.Decision{}
	for _, name := range runs {
		m := made[name]
		list := row.expectations(statements, name)
		if m.Result == nil {
			for _, e := range list {
				decided[e.Name] = expect.Decision{Expectation: e, Verdict: expect.Undecided, Why: m.Why}
			}
			continue
		}
		for _, d := range expect.Decide(list, expect.Of(m.Result), expect.Alpha/float64(len(runs))) {
			decided[d.Name] = d
		}
	}
	var out []Part
	for _, s := range statements {
		p := Part{Statement: s, Decision: decided[row.ID+"."+s.Name]}
		if res := made[s.Run].Result; res != nil {
			p.RunID = res.Run.ID
		}
		out = append(out, p)
	}
	return out
}
