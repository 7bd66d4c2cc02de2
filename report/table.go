package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

// mood is how far a cell can be trusted.
type mood int

const (
	good    mood = iota
	absent       // not measured
	suspect      // measured, with doubts
	struck       // measured, and INVALID
)

// cell is a field of a table. marks number its footnotes, from 1.
type cell struct {
	text  string
	marks []int
	mood  mood
	// parts are those of text that a terminal aligns: median, ratio, interval.
	parts []string
	// indent is by how many columns a terminal moves the text to the right.
	indent int
	// aside follows in Markdown, where there is room.
	aside string
}

// table has one row a variant, in the order in which they were given. rows[i][0] is the variant.
type table struct {
	title string
	note  string // a sentence below the title
	head  []string
	// headMarks are the footnotes of head, nil for none.
	headMarks [][]int
	rows      [][]cell
	left      bool // cells are names, not figures
	// spread has the smallest and largest of the cells that have a ratio in their place; Markdown only.
	spread *table
}

// footnotes are merged where they say the same.
type footnotes struct {
	list []string
	keys []string
	more []int // trials beyond the first that it speaks of, where each has its own figures
}

// mark returns the number of a footnote, which it adds if no other has the key. The text is that of the first.
func (f *footnotes) mark(key, text string) int {
	if i := slices.Index(f.keys, key); i >= 0 {
		return i + 1
	}
	f.list, f.keys, f.more = append(f.list, text), append(f.keys, key), append(f.more, 0)
	return len(f.list)
}

// texts returns the footnotes in the order of their numbers.
func (f *footnotes) texts() []string {
	out := slices.Clone(f.list)
	for i, n := range f.more {
		if n > 0 {
			out[i] += fmt.Sprintf(" – and alike in %d more", n) + plural(n, " trial")
		}
	}
	return out
}

// document is a report before it is written: the same for the terminal and for Markdown.
type document struct {
	res    *results.Result
	tables []table
	// outcomes is a sentence, or empty where the last table says it.
	outcomes string
	notes    footnotes
	// support says what the rounds could have shown, a sentence each.
	support []string
	// verdicts has a row a variant and a column a round.
	verdicts table

	comparisons map[string]*compare.Comparison // by metric
	guide       *compare.Comparison            // the one that the preface speaks of; nil where no cell has a ratio
	shared      map[string]int                 // rounds that count of a variant and of the reference
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

func newDocument(res *results.Result) *document {
	d := &document{res: res, comparisons: map[string]*compare.Comparison{}}
	var list []*contender
	for _, v := range res.Run.Variants {
		list = append(list, d.contender(v.Name))
	}
	if d.findGuide(); d.guide != nil {
		d.countShared(list)
	}
	for _, g := range groups {
		if len(res.Trials) > 0 && g.applies(&res.Run.Scenario) {
			d.tables = append(d.tables, d.table(g, list))
		}
	}
	if len(res.Trials) == 0 {
		d.outcomes = "No trial was finished: there is nothing to show."
		return d
	}
	d.addTiers(list)
	d.addOutcomes(list)
	d.addVerdicts(list)
	return d
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
		c.marks = append(c.marks, d.notes.mark(text, text))
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
	return []int{d.notes.mark(text, text)}
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
		known := len(d.notes.list)
		m := d.notes.mark(strings.Join([]string{word, c.Name, c.Remedy}, "\x00"), text)
		if m <= known {
			d.notes.more[m-1]++
		}
		marks = append(marks, m)
	}
	return marks
}

func (d *document) table(g group, list []*contender) table {
	columns := d.columnsOf(g)
	t := table{title: g.title, head: []string{"variant"}, headMarks: [][]int{nil}}
	spread := table{title: g.title, head: []string{"variant"}}
	for _, c := range list {
		t.rows, spread.rows = append(t.rows, nil), append(spread.rows, []cell{{text: c.name, marks: c.marks}})
	}
	for _, k := range columns {
		t.head, t.headMarks = append(t.head, k.head), append(t.headMarks, d.headMarks(k))
		has, _ := d.hasRatios(k)
		if has {
			spread.head = append(spread.head, k.head)
		}
		for i, c := range list {
			if !has {
				t.rows[i] = append(t.rows[i], d.cell(c, k))
				continue
			}
			t.rows[i] = append(t.rows[i], d.ratioCell(c, k))
			spread.rows[i] = append(spread.rows[i], d.cell(c, k))
		}
	}
	for i, c := range list {
		t.rows[i] = append([]cell{d.nameCell(c, len(spread.head) > 1)}, t.rows[i]...)
	}
	if len(spread.head) > 1 {
		t.spread = &spread
	}
	if g.verdict {
		t.head, t.headMarks = append(t.head, "verdict"), append(t.headMarks, nil)
		for i, c := range list {
			t.rows[i] = append(t.rows[i], verdictCell(c))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.res.Run.NotApplicable)) {
		why := "not applicable: " + d.res.Run.NotApplicable[name]
		row := []cell{{text: name, marks: []int{d.notes.mark(why, why)}}}
		for range t.head[1:] {
			row = append(row, cell{text: "n/a", mood: absent})
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// cell is a column's value for a variant: the median over its rounds that count, with the smallest and the largest. Of a
// variant that isn't placed it is struck out.
func (d *document) cell(c *contender, k column) cell {
	trials, m := c.counted, good
	if !c.placed {
		trials, m = append(slices.Clone(c.counted), c.out...), struck
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
		if len(values) == 0 {
			parts = append(parts, "–")
			if m == good {
				marks = append(marks, d.missing(trials, metric))
			}
			continue
		}
		text := spread(values, k.unit)
		if k.slope && len(trials) == 1 {
			text = slopeText(trials[0].Slopes[metric], k.unit)
		}
		if n := len(trials) - len(values); n > 0 && m == good {
			why := fmt.Sprintf("missing in %d of %d rounds: %s", n, len(trials), d.reason(trials, metric))
			marks = append(marks, d.notes.mark(why, why))
		}
		parts = append(parts, text)
	}
	if strings.Trim(strings.Join(parts, ""), "–") == "" {
		if len(trials) == 0 {
			marks = []int{d.notes.mark("none", "no trial of this variant was finished")}
		}
		return cell{text: "–", marks: unique(marks), mood: absent}
	}
	return cell{text: strings.Join(parts, k.join), marks: unique(marks), mood: m}
}

// missing is the footnote of a metric that no trial has.
func (d *document) missing(trials []*results.Trial, metric string) int {
	if len(trials) == 0 {
		return d.notes.mark("none", "no trial of this variant was finished")
	}
	why := d.reason(trials, metric)
	return d.notes.mark(why, why)
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

func verdictCell(c *contender) cell {
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
	out := cell{text: strings.Join(parts, ", "), marks: c.verdicts}
	switch {
	case all == 0:
		return cell{text: "–", mood: absent}
	case !c.placed:
		out.mood = suspect
	case count[validity.Suspect] > 0 || len(c.out) > 0:
		out.mood = suspect
	}
	return out
}

func unique(marks []int) []int {
	slices.Sort(marks)
	return slices.Compact(marks)
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
