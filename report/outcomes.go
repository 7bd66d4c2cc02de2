package report

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// addOutcomes says what became of the requests: a sentence where all were answered well, else a table of the others as
// counts and share. The counts are sums over the rounds that count; of a variant without any, over all its rounds.
func (d *document) addOutcomes(list []*contender) {
	var bad []string
	planned := int64(0)
	sums := make([]map[string]int64, len(list))
	plans := make([]int64, len(list))
	for i, c := range list {
		sums[i] = map[string]int64{}
		trials := c.counted
		if len(trials) == 0 {
			trials = c.out
		}
		for _, t := range trials {
			plans[i] += t.Planned
			planned += t.Planned
			for name, n := range t.Outcomes {
				sums[i][name] += n
				if name != "ok" && n > 0 && !slices.Contains(bad, name) {
					bad = append(bad, name)
				}
			}
		}
	}
	slices.Sort(bad)
	if len(bad) == 0 {
		if planned > 0 {
			d.outcomes = fmt.Sprintf("All %s requests were answered well.", quantity.Format(float64(planned), quantity.Number))
		}
		return
	}
	t := sheet.Table{Title: "Requests that were not answered well, of those planned in all phases", Head: append([]string{"variant", "planned"}, bad...)}
	for i, c := range list {
		row := []sheet.Cell{{Text: c.name, Marks: c.marks}, {Text: quantity.Format(float64(plans[i]), quantity.Number)}}
		m := sheet.Good
		if !c.placed {
			m = sheet.Struck
		}
		for _, name := range bad {
			n := sums[i][name]
			switch {
			case plans[i] == 0:
				row = append(row, sheet.Cell{Text: "–", Mood: sheet.Absent})
			case n == 0:
				row = append(row, sheet.Cell{Text: "0", Mood: m})
			default:
				row = append(row, sheet.Cell{Text: fmt.Sprintf("%d (%s)", n, quantity.Share(float64(n)/float64(plans[i]))), Mood: m})
			}
		}
		t.Rows = append(t.Rows, row)
	}
	d.tables = append(d.tables, t)
}

// addVerdicts fills the table of verdicts by variant and round.
func (d *document) addVerdicts(list []*contender) {
	d.verdicts = sheet.Table{Head: []string{"variant"}}
	for r := range d.res.Run.Rounds {
		d.verdicts.Head = append(d.verdicts.Head, fmt.Sprintf("round %d", r+1))
	}
	for _, c := range list {
		for i, step := range d.res.Run.StepNames() {
			row := []sheet.Cell{{Text: c.name}}
			if step != "" {
				row[0].Text += " at " + d.stages[i].name
			}
			for r := range d.res.Run.Rounds {
				row = append(row, d.verdictOf(c, r+1, step))
			}
			d.verdicts.Rows = append(d.verdicts.Rows, row)
		}
	}
}

func (d *document) verdictOf(c *contender, round int, step string) sheet.Cell {
	for _, t := range append(slices.Clone(c.counted), c.out...) {
		if t.Round != round || t.Step != step {
			continue
		}
		text, m := string(t.Verdict), sheet.Good
		switch {
		case t.Status != results.StatusDone:
			text, m = t.Status, sheet.Suspect
		case t.Verdict != validity.Valid:
			m = sheet.Suspect
		}
		return sheet.Cell{Text: text, Marks: d.marksOf(t), Mood: m}
	}
	return sheet.Cell{Text: "not run", Mood: sheet.Absent}
}

// marksOf returns the footnotes that a trial has got, without counting it again.
func (d *document) marksOf(t *results.Trial) []int {
	var marks []int
	d.notes.Uncounted(func() {
		if t.LeftOut() != "" {
			marks = d.whyOut(t)
		} else {
			marks = d.whySuspect(t)
		}
	})
	return unique(marks)
}
