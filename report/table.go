package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// document is a report before it is written: the same for the terminal and for Markdown.
type document struct {
	res    *results.Result
	tables []sheet.Table
	// outcomes is a sentence, or empty where the last table says it.
	outcomes string
	notes    *sheet.Footnotes
	// support says what the rounds could have shown, a sentence each.
	support []string
	// verdicts has a row a variant and a column a round.
	verdicts sheet.Table

	comparisons map[string]*compare.Comparison // by metric
	guide       *compare.Comparison            // the one that the preface speaks of; nil where no cell has a ratio
	shared      map[string]int                 // rounds that count of a variant and of the reference
	judged      bool                           // a table has the column of verdicts
	stages      []*stage                       // the steps of a sweep, in the order given; empty without one
	crossings   []changes                      // by headline metric of a sweep over numbers
}

// contender is a variant with its trials: those that count, and those that are left out.
type contender struct {
	name     string
	counted  []*results.Trial
	out      []*results.Trial
	placed   bool
	marks    []int // why trials are left out
	verdicts []int // why trials are SUSPECT
}

// newEmpty is a document without anything in it.
func newEmpty(res *results.Result) *document {
	return &document{res: res, notes: &sheet.Footnotes{}, comparisons: map[string]*compare.Comparison{}}
}

func newDocument(res *results.Result) *document {
	d := newEmpty(res)
	var list []*contender
	for _, v := range res.Run.Variants {
		list = append(list, d.contender(v.Name))
	}
	if len(res.Run.Steps) > 0 {
		d.addSweep(list)
	} else {
		d.addTables(list)
	}
	if len(res.Trials) == 0 {
		d.outcomes = "No trial was finished: there is nothing to show."
		return d
	}
	d.addOutcomes(list)
	d.addVerdicts(list)
	return d
}

// addTables makes the tables of a run without steps.
func (d *document) addTables(list []*contender) {
	if d.findGuide(); d.guide != nil {
		d.countShared(list)
	}
	if len(d.res.Trials) == 0 {
		return
	}
	for _, g := range groups {
		if g.applies(&d.res.Run.Scenario) {
			d.tables = append(d.tables, d.table(g, list))
		}
	}
	d.addTiers(list)
}

func (d *document) contender(name string) *contender {
	c := &contender{name: name}
	for _, t := range d.res.Trials {
		if t.Variant != name {
			continue
		}
		if why := t.LeftOut(); why == "" {
			c.counted = append(c.counted, t)
		} else {
			c.out = append(c.out, t)
		}
	}
	c.placed = results.Placed(len(c.counted), len(c.counted)+len(c.out))
	for _, t := range c.out {
		c.marks = append(c.marks, d.whyOut(t)...)
	}
	if n := len(c.counted); n > 0 && !c.placed {
		text := fmt.Sprintf("valid in %d of %d rounds, less than half: not placed", n, n+len(c.out))
		c.marks = append(c.marks, d.notes.Mark(text, text))
	}
	for _, t := range c.counted {
		c.verdicts = append(c.verdicts, d.whySuspect(t)...)
	}
	c.marks, c.verdicts = unique(c.marks), unique(c.verdicts)
	return c
}

// whyOut returns the footnotes that say why a trial does not count.
func (d *document) whyOut(t *results.Trial) []int {
	if t.Status == results.StatusDone {
		return d.checks(t, validity.Fail)
	}
	text := fmt.Sprintf("%s: %s", t.Status, "the run was stopped during the trial")
	if t.Failure != nil {
		text = t.Status + ": " + t.Failure.Reason
		if log := t.Failure.Log; len(log) > 0 {
			text += fmt.Sprintf("; last words: %q", log[len(log)-1])
		}
	}
	return []int{d.notes.Mark(text, text)}
}

func (d *document) whySuspect(t *results.Trial) []int {
	if t.Verdict != validity.Suspect {
		return nil
	}
	return append(d.checks(t, validity.Warn), d.checks(t, validity.Unknown)...)
}

// checks returns the footnotes of a trial's checks in a state: one for each check and remedy, with the first trial's
// reason.
func (d *document) checks(t *results.Trial, state validity.State) []int {
	var marks []int
	for _, c := range t.Checks {
		if c.State != state {
			continue
		}
		word := strings.ToUpper(string(state))
		text := fmt.Sprintf("%s, %s: %s", word, c.Name, c.Reason)
		if c.Remedy != "" {
			text += " (" + c.Remedy + ")"
		}
		marks = append(marks, d.notes.Count(strings.Join([]string{word, c.Name, c.Remedy}, "\x00"), text))
	}
	return marks
}

func (d *document) table(g group, list []*contender) sheet.Table {
	columns := d.columnsOf(g)
	t := sheet.Table{Title: g.title, Head: []string{"variant"}, HeadMarks: [][]int{nil}}
	spread := sheet.Table{Title: g.title, Head: []string{"variant"}}
	for _, c := range list {
		t.Rows, spread.Rows = append(t.Rows, nil), append(spread.Rows, []sheet.Cell{{Text: c.name, Marks: c.marks}})
	}
	for _, k := range columns {
		t.Head, t.HeadMarks = append(t.Head, k.head), append(t.HeadMarks, d.headMarks(k))
		has, _ := d.hasRatios(k)
		if has {
			spread.Head = append(spread.Head, k.head)
		}
		for i, c := range list {
			if !has {
				t.Rows[i] = append(t.Rows[i], d.cell(c, k))
				continue
			}
			t.Rows[i] = append(t.Rows[i], d.ratioCell(c, k))
			spread.Rows[i] = append(spread.Rows[i], d.cell(c, k))
		}
	}
	for i, c := range list {
		t.Rows[i] = append([]sheet.Cell{d.nameCell(c, len(spread.Head) > 1)}, t.Rows[i]...)
	}
	if len(spread.Head) > 1 {
		t.Spread = &spread
	}
	if g.verdict && !d.judged {
		d.judged = true
		t.Head, t.HeadMarks = append(t.Head, "verdict"), append(t.HeadMarks, nil)
		for i, c := range list {
			t.Rows[i] = append(t.Rows[i], verdictCell(c))
		}
	}
	t.Rows = append(t.Rows, d.notApplicable(len(t.Head))...)
	return t
}

// notApplicable are the rows, so many cells wide, of the variants that could not take part.
func (d *document) notApplicable(width int) (rows [][]sheet.Cell) {
	for _, name := range slices.Sorted(maps.Keys(d.res.Run.NotApplicable)) {
		why := "not applicable: " + d.res.Run.NotApplicable[name]
		row := []sheet.Cell{{Text: name, Marks: []int{d.notes.Mark(why, why)}}}
		for range width - 1 {
			row = append(row, sheet.Cell{Text: "n/a", Mood: sheet.Absent})
		}
		rows = append(rows, row)
	}
	return rows
}

// cell is a column's value for a variant: the median over its rounds that count, with the smallest and the largest. Of a
// variant that isn't placed it is struck out.
func (d *document) cell(c *contender, k column) sheet.Cell {
	trials, m := c.counted, sheet.Good
	if !c.placed {
		trials, m = append(slices.Clone(c.counted), c.out...), sheet.Struck
	}
	var parts []string
	var marks []int
	for _, metric := range k.metrics {
		var values []float64
		for _, t := range trials {
			if v, ok := t.Metrics[metric]; ok {
				values = append(values, v)
			}
		}
		if len(values) == 0 && fromInside(metric) && d.isForeign(c.name) {
			parts = append(parts, "n/a")
			continue
		}
		if len(values) == 0 {
			parts = append(parts, "–")
			if m == sheet.Good {
				marks = append(marks, d.missing(trials, metric))
			}
			continue
		}
		text := sheet.Spread(values, k.unit)
		if k.slope && len(trials) == 1 {
			text = slopeText(trials[0].Slopes[metric], k.unit)
		}
		if n := len(trials) - len(values); n > 0 && m == sheet.Good {
			why := fmt.Sprintf("missing in %d of %d rounds: %s", n, len(trials), d.reason(trials, metric))
			marks = append(marks, d.notes.Mark(why, why))
		}
		parts = append(parts, text)
	}
	if strings.Trim(strings.Join(parts, ""), "–") == "" {
		if len(trials) == 0 {
			marks = []int{d.notes.Mark("none", "no trial of this variant was finished")}
		}
		return sheet.Cell{Text: "–", Marks: unique(marks), Mood: sheet.Absent}
	}
	return sheet.Cell{Text: strings.Join(parts, k.join), Marks: unique(marks), Mood: m}
}

// fromInside reports whether only a server itself could tell a metric.
func fromInside(metric string) bool {
	return strings.Contains(metric, "goroutines") || strings.Contains(metric, "stack") || strings.HasPrefix(metric, "gc-")
}

// isForeign reports whether a variant is a server that tells nothing of itself.
func (d *document) isForeign(variant string) bool {
	return slices.ContainsFunc(d.res.Run.Variants, func(v results.Variant) bool { return v.Name == variant && v.File != "" })
}

// missing is the footnote of a metric that no trial has.
func (d *document) missing(trials []*results.Trial, metric string) int {
	if len(trials) == 0 {
		return d.notes.Mark("none", "no trial of this variant was finished")
	}
	why := d.reason(trials, metric)
	return d.notes.Mark(why, why)
}

// reason says why a metric is absent: in the words of the first trial's note about it, or by the rule for its kind.
func (d *document) reason(trials []*results.Trial, metric string) string {
	for _, t := range trials {
		if _, ok := t.Metrics[metric]; ok {
			continue
		}
		for _, note := range t.Notes {
			// A note speaks of one metric, or by the beginning of their names of several.
			if name, rest, ok := strings.Cut(note, ": "); ok && strings.HasPrefix(metric, name) {
				return rest
			}
		}
	}
	switch {
	case strings.HasPrefix(metric, "residue-"):
		return "the trial ended before"
	case strings.HasSuffix(metric, "-latency-ns"), strings.HasSuffix(metric, "-connect-ns"):
		return "percentile q needs 100 ÷ (1 − q) replies, and no more than 1 − q of the requests without a good one"
	}
	return "not measured"
}

func verdictCell(c *contender) sheet.Cell {
	count := map[validity.Verdict]int{}
	failed := 0
	for _, t := range append(slices.Clone(c.counted), c.out...) {
		if t.Status != results.StatusDone {
			failed++
			continue
		}
		count[t.Verdict]++
	}
	all := len(c.counted) + len(c.out)
	var parts []string
	add := func(n int, word string) {
		switch {
		case n == 0:
		case all == 1:
			parts = append(parts, word)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	for _, v := range []validity.Verdict{validity.Valid, validity.Suspect, validity.Invalid} {
		add(count[v], string(v))
	}
	add(failed, "failed")
	out := sheet.Cell{Text: strings.Join(parts, ", "), Marks: c.verdicts}
	switch {
	case all == 0:
		return sheet.Cell{Text: "–", Mood: sheet.Absent}
	case !c.placed:
		out.Mood = sheet.Suspect
	case count[validity.Suspect] > 0 || len(c.out) > 0:
		out.Mood = sheet.Suspect
	}
	return out
}

func unique(marks []int) []int {
	slices.Sort(marks)
	return slices.Compact(marks)
}
