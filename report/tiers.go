package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// finer is the ratio whose cost in rounds is told where the run could not have seen it.
const finer = 0.02

// outOfReach is how many rounds nobody makes: two weeks at two minutes a round.
const outOfReach = 10_000

// addTiers adds the table of tiers by headline metric, and the lines about what the run could have seen.
func (d *document) addTiers(list []*contender) {
	var metrics []string
	pairs := 0
	for _, m := range d.res.Run.Headline() {
		if c := d.comparison(m); slices.ContainsFunc(c.Rows, func(r compare.Row) bool { return !math.IsNaN(r.Median) }) {
			metrics = append(metrics, m)
			pairs = max(pairs, len(c.Pairs))
		}
	}
	if pairs > 0 {
		d.tables = append(d.tables, d.tierTable(list, metrics, pairs))
	}
	d.addSmallest(metrics)
	d.addNoOrder(metrics)
}

func (d *document) tierTable(list []*contender, metrics []string, pairs int) sheet.Table {
	t := sheet.Table{Title: "Tiers", Left: true, Head: []string{"variant"}, HeadMarks: [][]int{nil}}
	t.Note = fmt.Sprintf("Between variants that share a tier number no difference beyond ±%s is supported; tier 1 is the best.", level(compare.Tau))
	if pairs > 1 {
		t.Note += fmt.Sprintf(" All %d pairs are tested together (Holm, %s): more cautious than intervals to the reference alone.", pairs, level(compare.Alpha))
	}
	for _, c := range list {
		t.Rows = append(t.Rows, []sheet.Cell{{Text: c.name, Marks: c.marks}})
	}
	for _, m := range metrics {
		c := d.comparison(m)
		t.Head = append(t.Head, d.nameOf(m))
		var marks []int
		if c.Why != "" {
			text := "no tiers: " + c.Why
			marks = []int{d.notes.Mark(text, text)}
		}
		t.HeadMarks = append(t.HeadMarks, marks)
		for i := range c.Rows {
			t.Rows[i] = append(t.Rows[i], d.tierCell(c, &c.Rows[i]))
		}
	}
	return t
}

func (d *document) tierCell(c *compare.Comparison, row *compare.Row) sheet.Cell {
	if len(row.Tiers) > 0 {
		return sheet.Cell{Text: row.TierText(), Indent: 2 * (row.Tiers[0] - 1)}
	}
	out := sheet.Cell{Text: "–", Mood: sheet.Absent}
	if c.Why != "" || !row.Placed {
		return out // said of the head, or of the variant
	}
	why := "no tier: not measured"
	switch {
	case row.Min <= 0:
		why = "no tier: a value is zero or negative"
	case row.NoTier != "":
		why = "no tier: " + row.NoTier
	}
	out.Marks = []int{d.notes.Mark(why, why)}
	return out
}

// addSmallest says which difference the run could have seen, and what a finer one would cost.
func (d *document) addSmallest(metrics []string) {
	var parts []string
	for _, m := range metrics {
		c := d.comparison(m)
		if c.Confidence == 0 || math.IsNaN(c.Smallest) {
			continue
		}
		part := d.nameOf(m) + " " + quantity.Share(c.Smallest)
		switch rounds := c.RoundsFor(finer); {
		case c.Smallest == 0:
			part += " (no scatter)"
		case c.Smallest <= finer:
		case rounds == 0 || rounds > outOfReach:
			part += fmt.Sprintf(" (%s is out of reach)", level(finer))
		default:
			part += fmt.Sprintf(" (%s would take %d rounds, about %s)", level(finer), rounds, sheet.Span(float64(rounds)*d.roundSeconds()))
		}
		parts = append(parts, part)
	}
	if len(parts) > 0 {
		d.support = append(d.support, fmt.Sprintf("Smallest difference from %s that this run could have seen (%s power, in the comparison that scatters most): %s.",
			d.comparison(metrics[0]).Reference, level(compare.Power), strings.Join(parts, "; ")))
	}
}

// addNoOrder names the metrics by which the variants could as well be in any order: neither Friedman, nor any interval, nor
// any pair says otherwise. Too few rounds support nothing either way.
func (d *document) addNoOrder(metrics []string) {
	var parts []string
	for _, m := range metrics {
		c := d.comparison(m)
		if c.Blocks >= compare.TierRounds && c.Friedman > compare.Alpha &&
			!slices.ContainsFunc(c.Rows, func(r compare.Row) bool { return r.Ratio.Lo > 1 || r.Ratio.Hi < 1 }) &&
			!slices.ContainsFunc(c.Pairs, func(p compare.Pair) bool { return p.Apart }) {
			parts = append(parts, fmt.Sprintf("%s (p = %.2g)", d.nameOf(m), c.Friedman))
		}
	}
	if len(parts) > 0 {
		d.support = append(d.support, "No order of the variants supported (Friedman): "+strings.Join(parts, ", ")+".")
	}
}

// roundSeconds is how long a round takes: the sum of the variants' mean trials, with what they waited for a quiet host.
func (d *document) roundSeconds() float64 {
	sum, n := map[string]float64{}, map[string]float64{}
	for _, t := range d.res.Trials {
		if t.Status == results.StatusDone {
			sum[t.Variant] += t.Seconds
			if t.Wait != nil {
				sum[t.Variant] += t.Wait.Seconds
			}
			n[t.Variant]++
		}
	}
	total := 0.0
	for _, v := range d.res.Run.Variants {
		if n[v.Name] > 0 {
			total += sum[v.Name] / n[v.Name]
		}
	}
	if d.res.Run.Duet { // both at the same time
		total /= 2
	}
	return total
}

// nameOf is what a metric is called outside its own table: the head of its column, which may need more words there.
func (d *document) nameOf(metric string) string {
	if metric == "peak-RSS-bytes" {
		return "peak RSS"
	}
	for _, applies := range []bool{true, false} {
		for _, g := range groups {
			if slices.ContainsFunc(d.res.Run.Workloads(), g.applies) != applies {
				continue
			}
			for _, k := range g.columns {
				switch i := slices.Index(k.metrics, metric); {
				case i < 0:
				case len(k.metrics) == 1:
					return k.head
				default:
					return k.heads[i]
				}
			}
		}
	}
	return metric
}
