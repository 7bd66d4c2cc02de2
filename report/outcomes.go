package report

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
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
	t := table{title: "Requests that were not answered well, of those planned in all phases", head: append([]string{"variant", "planned"}, bad...)}
	for i, c := range list {
		row := []cell{{text: c.name, marks: c.marks}, {text: quantity.Format(float64(plans[i]), quantity.Number)}}
		m := good
		if !c.placed {
			m = struck
		}
		for _, name := range bad {
			n := sums[i][name]
			switch {
			case plans[i] == 0:
				row = append(row, cell{text: "–", mood: absent})
			case n == 0:
				row = append(row, cell{text: "0", mood: m})
			default:
				row = append(row, cell{text: fmt.Sprintf("%d (%s)", n, quantity.Share(float64(n)/float64(plans[i]))), mood: m})
			}
		}
		t.rows = append(t.rows, row)
	}
	d.tables = append(d.tables, t)
}

// addVerdicts fills the table of verdicts by variant and round.
func (d *document) addVerdicts(list []*contender) {
	d.verdicts = table{head: []string{"variant"}}
	for r := range d.res.Run.Rounds {
		d.verdicts.head = append(d.verdicts.head, fmt.Sprintf("round %d", r+1))
	}
	for _, c := range list {
		row := []cell{{text: c.name}}
		for r := range d.res.Run.Rounds {
			row = append(row, d.verdictOf(c, r+1))
		}
		d.verdicts.rows = append(d.verdicts.rows, row)
	}
}

func (d *document) verdictOf(c *contender, round int) cell {
	for _, t := range append(slices.Clone(c.counted), c.out...) {
		if t.Round != round {
			continue
		}
		text, m := string(t.Verdict), good
		switch {
		case t.Status != results.StatusDone:
			text, m = t.Status, suspect
		case t.Verdict != validity.Valid:
			m = suspect
		}
		return cell{text: text, marks: d.marksOf(t), mood: m}
	}
	return cell{text: "not run", mood: absent}
}

// marksOf returns the footnotes that a trial has got, without counting it again.
func (d *document) marksOf(t *results.Trial) []int {
	more := slices.Clone(d.notes.more)
	defer func() { d.notes.more = more }()
	if t.LeftOut() != "" {
		return unique(d.whyOut(t))
	}
	return unique(d.whySuspect(t))
}
