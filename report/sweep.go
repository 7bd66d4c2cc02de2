package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/crossover"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// stage is one step of a sweep: a document of its own that shares the footnotes.
type stage struct {
	name string
	doc  *document
	list []*contender
}

// changes are the sentences about a metric: where over what is swept the winner changes.
type changes struct {
	metric    string
	sentences []string
}

// mostForAllPairs is how many variants have the sentences of all their pairs; of more only those with the reference are told.
const mostForAllPairs = 3

// addSweep makes the tables of a run with steps: of each headline metric the variants by the steps.
func (d *document) addSweep(list []*contender) {
	for i, name := range d.res.Run.StepNames() {
		sub := newStage(d.res.At(name), d.notes)
		for _, c := range list {
			sub.list = append(sub.list, sub.doc.contender(c.name))
		}
		sub.name = name
		if sub.doc.findGuide(); sub.doc.guide != nil {
			sub.doc.countShared(sub.list)
			if d.guide == nil {
				d.guide = sub.doc.guide
			}
		}
		if s := d.res.Run.Steps[i]; s.Value != nil {
			sub.name = crossover.AxisOf(d.res.Run).Text(*s.Value)
		}
		d.stages = append(d.stages, sub)
	}
	if len(d.res.Trials) == 0 {
		return
	}
	for _, metric := range d.res.Run.Headline() {
		d.tables = append(d.tables, d.sweepTable(metric, list))
		d.addCrossings(metric)
	}
	d.tables = append(d.tables, d.stageVerdicts(list))
}

// stageVerdicts is the table of how many trials of each step are VALID.
func (d *document) stageVerdicts(list []*contender) sheet.Table {
	t := sheet.Table{Title: "Verdicts of the trials", Left: true, Head: []string{"variant"}}
	for i, c := range list {
		t.Rows = append(t.Rows, []sheet.Cell{{Text: c.name, Marks: c.marks}})
		for _, s := range d.stages {
			t.Rows[i] = append(t.Rows[i], verdictCell(s.list[i]))
		}
	}
	for _, s := range d.stages {
		t.Head = append(t.Head, s.name)
	}
	return t
}

func newStage(res *results.Result, notes *sheet.Footnotes) *stage {
	d := newEmpty(res)
	d.notes = notes
	return &stage{doc: d}
}

// sweepTable is a metric of the variants over the steps.
func (d *document) sweepTable(metric string, list []*contender) sheet.Table {
	info, _ := results.Metric(metric)
	k := one(d.nameOf(metric), metric, quantity.UnitOf(info.Unit))
	title := k.head + ": " + info.Title
	if label := crossover.AxisOf(d.res.Run).Label; d.res.Run.Numeric() {
		title += ", by " + label
	}
	t := sheet.Table{Title: title, Head: []string{"variant"}, HeadMarks: [][]int{nil}}
	for _, c := range list {
		name := c.name
		if d.guide != nil && name == d.guide.Reference {
			name += " (reference)"
		}
		t.Rows = append(t.Rows, []sheet.Cell{{Text: name, Marks: c.marks}})
	}
	for _, s := range d.stages {
		var marks []int
		applies := info.In(&s.doc.res.Run.Scenario)
		if applies {
			marks = s.doc.headMarks(k)
		}
		t.Head, t.HeadMarks = append(t.Head, s.name), append(t.HeadMarks, marks)
		for i, c := range s.list {
			cell := s.cell(c, k, applies)
			cell.Marks = slices.DeleteFunc(cell.Marks, func(m int) bool { return slices.Contains(list[i].marks, m) }) // said of the row
			t.Rows[i] = append(t.Rows[i], cell)
		}
	}
	t.Rows = append(t.Rows, d.notApplicable(len(t.Head))...)
	return t
}

// cell is the value of a variant at the step, with its ratio to the reference.
func (s *stage) cell(c *contender, k column, applies bool) sheet.Cell {
	if !applies {
		return sheet.Cell{Text: "n/a", Mood: sheet.Absent}
	}
	has, _ := s.doc.hasRatios(k)
	if !has {
		out := s.doc.cell(c, k)
		out.Marks = unique(append(out.Marks, c.marks...))
		return out
	}
	out := s.doc.ratioCell(c, k)
	out.Marks = unique(slices.Concat(out.Marks, s.doc.nameCell(c, true).Marks))
	return out
}

// addCrossings says where by a metric the winner changes.
func (d *document) addCrossings(metric string) {
	axis := crossover.AxisOf(d.res.Run)
	pairs := crossover.Pairs(d.res, metric)
	c := changes{metric: d.nameOf(metric)}
	for _, p := range pairs {
		reference := d.guide != nil && (p.A == d.guide.Reference || p.B == d.guide.Reference)
		measured := slices.ContainsFunc(p.Steps, func(s crossover.Step) bool { return !math.IsNaN(s.Ratio.Value) })
		if measured && (reference || len(d.res.Run.Variants) <= mostForAllPairs) {
			c.sentences = append(c.sentences, p.Sentence(axis))
		}
	}
	if len(c.sentences) > 0 {
		d.crossings = append(d.crossings, c)
	}
}

// sweepReading says how the tables of a sweep are made.
func (d *document) sweepReading() string {
	r := d.res.Run
	over := "Sweep"
	if r.Numeric() {
		over += " over " + crossover.AxisOf(r).Label
	}
	s := fmt.Sprintf("%s: %s. Each step is a trial of its own with a fresh server; a round runs every variant at every step, the steps and at each the variants in balanced random order. Ratios, and the confidence of their intervals, are within each step.",
		over, strings.Join(r.StepNames(), ", "))
	if len(r.Variants) > mostForAllPairs && r.Numeric() {
		s += " Where the winner changes is told of the pairs with the reference; " + crossingsFile + " has all pairs."
	}
	return s
}

// crossingsNote stands above the sentences about crossings.
const crossingsNote = "In brackets: the 95 % interval of where the ratio is 1, by drawing whole rounds; straight lines between the steps. A crossing is told only between steps at which different variants are better: there the interval of their ratio, of as many comparisons as there are steps, holds no 1 and reaches beyond ±5 %. Each pair and metric is judged by itself: of twenty pairs of equals in a metric, one may show a winner at some step."
