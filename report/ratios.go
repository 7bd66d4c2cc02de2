package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// Against returns the run with another reference, the variant that the ratios are to. An unknown name is an error that lists
// the known ones; an empty one leaves the run's.
func Against(res *results.Result, reference string) (*results.Result, error) {
	name, err := compare.Reference(res.Run, reference)
	if err != nil {
		return nil, err
	}
	out, run := *res, *res.Run
	run.Reference, out.Run = name, &run
	return &out, nil
}

// comparison is what the rounds say by a metric.
func (d *document) comparison(metric string) *compare.Comparison {
	c := d.comparisons[metric]
	if c == nil {
		c = compare.Run(d.res, metric, "")
		d.comparisons[metric] = c
	}
	return c
}

// findGuide sets the comparison that the preface speaks of: the first that has intervals, headline metrics before others.
func (d *document) findGuide() {
	metrics := d.res.Run.Headline()
	for _, g := range groups {
		if g.applies(&d.res.Run.Scenario) {
			for _, k := range g.columns {
				metrics = append(metrics, k.metrics...)
			}
		}
	}
	for _, m := range metrics {
		if c := d.comparison(m); c.Confidence > 0 && c.Metric.Better != results.BetterNone {
			d.guide = c
			return
		}
	}
}

// columnsOf are a group's columns: where there are ratios each metric has one of its own.
func (d *document) columnsOf(g group) []column {
	if d.guide == nil {
		return g.columns
	}
	var list []column
	for _, k := range g.columns {
		if len(k.metrics) == 1 {
			list = append(list, k)
			continue
		}
		for i, m := range k.metrics {
			list = append(list, one(k.heads[i], m, k.unit))
		}
	}
	return list
}

// hasRatios tells whether a column has them, and else why not, if that needs saying.
func (d *document) hasRatios(k column) (has bool, why string) {
	if d.guide == nil || len(k.metrics) > 1 {
		return false, ""
	}
	c := d.comparison(k.metrics[0])
	if c.Metric.Better == results.BetterNone {
		return false, ""
	}
	if c.Confidence > 0 {
		return true, ""
	}
	for _, row := range c.Rows {
		switch {
		case !row.Placed || math.IsNaN(row.Median) || row.Variant == c.Reference && row.Off == "":
		case row.Off != "":
			return false, "no ratios: " + row.Off
		default:
			why = fmt.Sprintf("no ratios: fewer than %d rounds have it of both", compare.IntervalRounds)
		}
	}
	return false, why
}

// Footnotes of ratios that rest on fewer rounds than the run has.
const (
	overRounds = "ratio over %d of %d rounds, in which both it and %s count"
	tooFew     = "no ratio: in only %d of %d rounds both it and %s count, an interval needs %d"
)

// ratioCell is the median of a variant that is placed, with the ratio to the reference and its interval.
func (d *document) ratioCell(c *contender, k column) sheet.Cell {
	out := d.cell(c, k)
	all := d.comparison(k.metrics[0])
	row := &all.Rows[slices.IndexFunc(all.Rows, func(r compare.Row) bool { return r.Variant == c.name })]
	if out.Mood != sheet.Good || math.IsNaN(row.Median) {
		return out
	}
	median := quantity.Format(row.Median, k.unit)
	mark := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		out.Marks = append(out.Marks, d.notes.Mark(text, text))
	}
	e := row.Ratio
	switch {
	case row.Variant == all.Reference && row.Off == "":
		out.Parts = []string{median, "", ""}
	case row.Off != "":
		mark("no ratio: %s", row.Off)
		out.Parts = []string{median, "–", ""}
	case math.IsNaN(e.Lo):
		if e.N != d.shared[c.name] {
			mark(tooFew, e.N, len(row.Values), d.guide.Reference, compare.IntervalRounds)
		}
		out.Parts = []string{median, "–", ""}
	default:
		decimals := decimalsOf(e)
		out.Parts = []string{median, "×" + fixed(e.Value, decimals), bracket(e, decimals)}
		if e.N != d.shared[c.name] {
			mark(overRounds, e.N, len(row.Values), d.guide.Reference)
		}
		switch {
		case e.Method == inference.PairedTMethod && !allPairedT(d.guide):
			mark("paired t interval: so few rounds can't give an exact one of %s", level(all.Confidence))
		case e.Confidence < all.Confidence-1e-9:
			mark("all rounds have the same ratio, which holds with %s", level(e.Confidence))
		}
		if row.T.N > 0 && !math.IsNaN(row.T.Lo) {
			out.Aside = "t " + bracket(row.T, decimalsOf(row.T))
			if holdsOne(e) != holdsOne(row.T) {
				mark("the paired t interval, %s, %s 1, unlike the exact one", bracket(row.T, decimalsOf(row.T)),
					map[bool]string{true: "holds", false: "does not hold"}[holdsOne(row.T)])
			}
		}
	}
	out.Text, out.Marks = strings.TrimSpace(strings.Join(out.Parts, " ")), unique(out.Marks)
	return out
}

// headMarks are the footnotes of a column's head.
func (d *document) headMarks(k column) []int {
	has, why := d.hasRatios(k)
	if has {
		c := d.comparison(k.metrics[0])
		if math.Abs(c.Confidence-d.guide.Confidence) < 1e-9 {
			return nil
		}
		why = fmt.Sprintf("intervals of %s: %d %s", level(c.Confidence), c.Comparisons, sheet.Plural(c.Comparisons, "comparison"))
	}
	if why == "" {
		return nil
	}
	return []int{d.notes.Mark(why, why)}
}

// countShared fills d.shared: in how many rounds a variant and the reference both count.
func (d *document) countShared(list []*contender) {
	d.shared = map[string]int{}
	rounds := map[int]bool{}
	for _, c := range list {
		for _, t := range c.counted {
			if c.name == d.guide.Reference {
				rounds[t.Round] = true
			}
		}
	}
	for _, c := range list {
		for _, t := range c.counted {
			if rounds[t.Round] {
				d.shared[c.name]++
			}
		}
	}
}

// nameCell is a row's first cell in a table with ratios or without.
func (d *document) nameCell(c *contender, ratios bool) sheet.Cell {
	out := sheet.Cell{Text: c.name, Marks: slices.Clone(c.marks)}
	if !ratios {
		return out
	}
	all := len(d.guide.Rows[0].Values)
	switch n := d.shared[c.name]; {
	case c.name == d.guide.Reference:
		out.Text += " (reference)"
	case c.placed && n < all:
		text := fmt.Sprintf(overRounds, n, all, d.guide.Reference)
		if n < compare.IntervalRounds {
			text = fmt.Sprintf(tooFew, n, all, d.guide.Reference, compare.IntervalRounds)
		}
		out.Marks = append(out.Marks, d.notes.Mark(text, text))
	}
	return out
}

// reading says how the cells are to be read.
func (d *document) reading(rounds int) string {
	s := fmt.Sprintf("%d %s", rounds, sheet.Plural(rounds, "round"))
	switch {
	case d.guide != nil:
		return s + "; rows in the order given. " + d.ratioReading()
	case rounds < compare.IntervalRounds:
		s += ": points, no ranking"
	default:
		s += ": no ratios, " + d.whyNoRatios()
	}
	s += "; rows in the order given."
	if rounds > 1 {
		s += " Cells: median over rounds (smallest–largest)."
	}
	return s
}

// ratioReading explains the ratios.
func (d *document) ratioReading() string {
	c := d.guide
	s := fmt.Sprintf("Cells: median over rounds, and ratio to %s with its %s interval", c.Reference, level(c.Confidence))
	if n := c.Comparisons; n > 1 && c.Confidence > 1-compare.Alpha {
		s += fmt.Sprintf(", so that all %d hold together with %s", n, level(1-compare.Alpha))
	} else if n > 1 {
		s += ", each by itself"
	}
	s += "; in columns without ratios (smallest–largest)."
	if allPairedT(c) {
		s += " The intervals are the paired t's: for so many comparisons these rounds are too few for exact ones."
	}
	if c.Confidence <= 1-compare.Alpha && c.Comparisons > 1 {
		s += fmt.Sprintf(" Tiers need %d rounds.", compare.TierRounds)
	}
	return s
}

// whyNoRatios is of a run with rounds enough.
func (d *document) whyNoRatios() string {
	if len(d.stages) > 0 {
		return d.stages[0].doc.whyNoRatios()
	}
	c := d.comparison(d.res.Run.Headline()[0])
	i := slices.IndexFunc(c.Rows, func(r compare.Row) bool { return r.Variant == c.Reference })
	switch {
	case len(c.Rows) < 2:
		return c.Why
	case i < 0:
		return fmt.Sprintf("the run has no variant %s, its reference (--reference takes another)", c.Reference)
	case !c.Rows[i].Placed:
		return fmt.Sprintf("the reference %s is not placed (--reference takes another)", c.Reference)
	case c.Why == "":
		return fmt.Sprintf("the reference %s shares fewer than %d rounds with the others (--reference takes another)", c.Reference, compare.IntervalRounds)
	}
	return c.Why
}

// allPairedT tells whether no interval of a comparison is an exact one.
func allPairedT(c *compare.Comparison) bool {
	return !slices.ContainsFunc(c.Rows, func(r compare.Row) bool {
		return !math.IsNaN(r.Ratio.Lo) && r.Ratio.Method != inference.PairedTMethod
	})
}

func holdsOne(e inference.Estimate) bool { return e.Lo <= 1 && e.Hi >= 1 }

// decimalsOf is how many a ratio gets: two, fewer of large ones, more where two would hide all digits or on which side of 1
// the interval lies.
func decimalsOf(e inference.Estimate) int {
	n := 2
	switch {
	case e.Hi >= 100:
		return 0
	case e.Hi >= 10:
		return 1
	case e.Value < 0.1:
		n = min(mostDecimals, 1-int(math.Floor(math.Log10(e.Value))))
	case e.Lo > 1 && e.Lo < 1.005 || e.Hi < 1 && e.Hi > 0.995:
		n = 3
	}
	return n
}

const mostDecimals = 6

func bracket(e inference.Estimate, decimals int) string {
	return "[" + fixed(e.Lo, decimals) + "–" + fixed(e.Hi, decimals) + "]"
}

// fixed writes a positive number with so many decimals, or with as many more as it needs not to read 0.
func fixed(v float64, decimals int) string {
	for decimals < mostDecimals && v < 0.5*math.Pow(10, -float64(decimals)) {
		decimals++
	}
	return fmt.Sprintf("%.*f", decimals, v)
}
