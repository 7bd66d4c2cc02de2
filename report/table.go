package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/quantity"
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
}

// table has one row a variant, in the order in which they were given. rows[i][0] is the variant.
type table struct {
	title string
	head  []string
	rows  [][]cell
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
	// verdicts has a row a variant and a column a round.
	verdicts table
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
	d := &document{res: res}
	var list []*contender
	for _, v := range res.Run.Variants {
		list = append(list, d.contender(v.Name))
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
	t := table{title: g.title, head: []string{"variant"}}
	for _, c := range g.columns {
		t.head = append(t.head, c.head)
	}
	if g.verdict {
		t.head = append(t.head, "verdict")
	}
	for _, c := range list {
		row := []cell{{text: c.name, marks: c.marks}}
		for _, k := range g.columns {
			row = append(row, d.cell(c, k))
		}
		if g.verdict {
			row = append(row, verdictCell(c))
		}
		t.rows = append(t.rows, row)
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

// spread writes the median and, of several values, the smallest and the largest. A unit that all three share stands once.
func spread(values []float64, unit quantity.Unit) string {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	mid := quantity.Format((v[(n-1)/2]+v[n/2])/2, unit)
	if n == 1 {
		return mid
	}
	return mid + " (" + interval(v[0], v[n-1], mid, unit) + ")"
}

func slopeText(s results.Slope, unit quantity.Unit) string {
	mid := quantity.Format(s.PerConn, unit)
	if math.IsNaN(s.Lo) || math.IsNaN(s.Hi) {
		return mid
	}
	return mid + " [" + interval(s.Lo, s.Hi, mid, unit) + "]"
}

// interval writes "lo–hi", without the unit where lo and hi have that of mid.
func interval(lo, hi float64, mid string, unit quantity.Unit) string {
	a, b := quantity.Format(lo, unit), quantity.Format(hi, unit)
	suffix := strings.TrimLeft(mid, "−0123456789.")
	x, okX := strings.CutSuffix(a, suffix)
	y, okY := strings.CutSuffix(b, suffix)
	if okX && okY && strings.Trim(x, "−0123456789.") == "" && strings.Trim(y, "−0123456789.") == "" {
		a, b = x, y
	}
	if lo < 0 {
		return a + " to " + b // a dash before a minus sign is hard to read
	}
	return a + "–" + b
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
