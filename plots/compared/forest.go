// Package compared has the figures that hold the variants of a run against each other by its headline metrics.
package compared

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/axis"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/plots/glyph"
	"github.com/millrace/millrace/results"
)

// Contender is a variant that may be drawn.
type Contender struct {
	Name   string
	Style  glyph.Style
	Trials int // that count
}

// sheet is a run prepared for drawing.
type sheet struct {
	res   *results.Result
	shown []Contender
}

// compared is a headline metric with what the rounds say of the variants shown, in their order.
type compared struct {
	*compare.Comparison
	rows []*compare.Row
}

// Forest has a panel for each headline metric whose rounds support intervals: of those shown, in their order, the ratio to the
// run's reference. Its small print says what is missing. Without such a metric it is nil and the note says why.
func Forest(res *results.Result, shown []Contender) (page *frame.Page, note string) {
	s := &sheet{res, shown}
	var list []compared
	var missing metricNotes
	enough := s.mostTrials() >= compare.IntervalRounds
	for _, metric := range s.res.Run.Headline() {
		c := compared{Comparison: compare.Run(s.res, metric, "")}
		for _, v := range s.shown {
			i := slices.IndexFunc(c.Rows, func(r compare.Row) bool { return r.Variant == v.Name })
			c.rows = append(c.rows, &c.Rows[i])
		}
		if why := c.noForest(); why != "" {
			missing.add("no panel for", metric, why)
			continue
		}
		list = append(list, c)
	}
	switch {
	case len(s.shown) < 2:
		return nil, "one variant: nothing to compare it with"
	case !enough:
		return nil, fmt.Sprintf("intervals need %d rounds, this run has %d that count", compare.IntervalRounds, s.mostTrials())
	case len(list) == 0:
		return nil, strings.Join(missing.lines(), " ")
	}
	f := &frame.Page{
		Title:    fmt.Sprintf("%s: ratios to %s", s.res.Run.Scenario.Name, list[0].Reference),
		Subtitle: howToRead(list),
		Columns:  s.forestColumns(len(list)),
		HeadRoom: glyph.ForestRoom,
	}
	gap := 0.12 // of two labels on the axis
	if f.Columns > 3 {
		gap = 0.19
	}
	notes := missing
	joint := slices.ContainsFunc(list, func(c compared) bool { return c.joint() })
	for i, c := range list {
		f.Panels = append(f.Panels, s.forestPanel(c, i%f.Columns == 0, gap))
		if joint && !c.joint() {
			notes.add("each bar for itself in", c.Metric.Name, fmt.Sprintf("fewer than %d rounds in common with %s", compare.TierRounds, c.Reference))
		}
		c.notes(s, &notes)
	}
	f.Foot = notes.lines()
	return f, ""
}

// mostTrials is the number of rounds of the variant that has most.
func (s *sheet) mostTrials() int {
	n := 0
	for _, c := range s.shown {
		n = max(n, c.Trials)
	}
	return n
}

// noForest says why a metric has no panel: nobody's ratio has an interval.
func (c *compared) noForest() string {
	why := fmt.Sprintf("no %d rounds that count for a variant and the reference %s", compare.IntervalRounds, c.Reference)
	var off []string
	for _, r := range c.rows {
		if r.Ratio.Lo > 0 {
			return ""
		}
		if r.Off != "" {
			off = append(off, r.Off)
		}
	}
	if off = slices.Compact(off); len(off) == 1 {
		return off[0]
	}
	return why
}

// joint tells whether the intervals of a panel hold together with the confidence that the subtitle names. A single one does.
func (c *compared) joint() bool { return c.Comparisons == 1 || c.Confidence > 1-compare.Alpha }

// howToRead says what the bars are, of how many rounds, and what supports no difference.
func howToRead(list []compared) string {
	lo, hi, tiers, joint, several := 0, 0, true, 0, false
	for _, c := range list {
		tiers = tiers && c.Why == ""
		several = several || c.Comparisons > 1
		if c.joint() {
			joint++
		}
		for _, r := range c.rows {
			if n := r.Ratio.N; r.Ratio.Lo > 0 {
				if lo == 0 {
					lo = n
				}
				lo, hi = min(lo, n), max(hi, n)
			}
		}
	}
	count := strconv.Itoa(hi)
	if lo < hi {
		count = fmt.Sprintf("%d–%d", lo, hi)
	}
	each := ""
	switch {
	case several && joint == len(list):
		each = " for all bars of a panel together"
	case several && joint > 0:
		each = " for all bars of a panel together, but where noted below"
	case several:
		each = ", each for itself"
	}
	text := fmt.Sprintf("bars: %g %% confidence%s, %s rounds; the line at 1 is %s, the shade ±%g %%: a bar that crosses the line or lies in the shade supports no difference beyond ±%g %%",
		100*(1-compare.Alpha), each, count, list[0].Reference, 100*compare.Tau, 100*compare.Tau)
	if tiers {
		return text + "; nor is one supported between variants with a tier in common (1 is best)"
	}
	if hi < compare.TierRounds {
		return text + fmt.Sprintf("; tiers need %d rounds", compare.TierRounds)
	}
	return text
}

// forestPanel draws a metric; the first panel of a row has the names of the variants. gap is the least distance of two labels
// on the axis, as a part of it.
func (s *sheet) forestPanel(c compared, named bool, gap float64) frame.Panel {
	forest := &glyph.Forest{Tau: compare.Tau, Heading: Heading(c.Metric.Name), ValueHead: "median"}
	var names axis.RowTicks
	for i, r := range c.rows {
		row := glyph.ForestRow{
			Style: s.shown[i].Style, Ratio: r.Ratio.Value, Lo: r.Ratio.Lo, Hi: r.Ratio.Hi,
			Tier: r.TierText(), Value: quantity.Format(r.Median, quantity.UnitOf(c.Metric.Unit)),
		}
		if r.Off != "" {
			row.Missing = "no ratio"
		}
		if row.Tier != "" {
			forest.TierHead = "tier"
		}
		forest.Rows, names = append(forest.Rows, row), append(names, shortened(r.Variant))
	}
	p := frame.NewPanel(better(c.Metric.Name), "")
	p.X.Min, p.X.Max = forest.Range()
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, axis.RatioTicks{Gap: gap}
	p.Y.Min, p.Y.Max = -0.6, float64(len(names))-0.4
	p.Y.Tick.Length, p.Y.LineStyle.Width, p.Y.Padding = 0, 0, forest.TierRoom()
	p.Y.Tick.Marker = axis.Unlabelled{Ticker: names}
	if named {
		p.Y.Tick.Marker = names
	}
	p.Add(forest)
	return p
}

// notes says who has no ratio or no interval of a metric, and whose median is of fewer rounds than count.
func (c *compared) notes(s *sheet, notes *metricNotes) {
	var reasons, bare, fewer []string
	off := map[string][]string{}
	for i, r := range c.rows {
		n := 0
		for _, v := range r.Values {
			if !math.IsNaN(v) {
				n++
			}
		}
		switch {
		case r.Off != "":
			if off[r.Off] == nil {
				reasons = append(reasons, r.Off)
			}
			off[r.Off] = append(off[r.Off], r.Variant)
		case r.Variant != c.Reference && !(r.Ratio.Lo > 0):
			bare = append(bare, fmt.Sprintf("%s (%d)", r.Variant, r.Ratio.N))
		case r.NoTier != "":
			notes.add("no tier of", c.Metric.Name, r.Variant+", "+r.NoTier)
		}
		if all := s.shown[i].Trials; n < all && n > 0 {
			fewer = append(fewer, fmt.Sprintf("%s %d of %d", r.Variant, n, all))
		}
	}
	for _, why := range reasons {
		notes.add("no ratio of", c.Metric.Name, strings.Join(off[why], ", ")+", "+why)
	}
	if len(bare) > 0 {
		notes.add("hollow, no interval of", c.Metric.Name, fmt.Sprintf("%s, fewer than %d rounds in common with %s",
			strings.Join(bare, ", "), compare.IntervalRounds, c.Reference))
	}
	if len(fewer) > 0 {
		notes.add("rounds that have a value of", c.Metric.Name, strings.Join(fewer, ", "))
	}
}

// metricNotes are notes on metrics, in one line where the same holds for several.
type metricNotes []metricNote

type metricNote struct {
	what, why string
	metrics   []string
}

func (n *metricNotes) add(what, metric, why string) {
	i := slices.IndexFunc(*n, func(m metricNote) bool { return m.what == what && m.why == why })
	if i < 0 {
		i = len(*n)
		*n = append(*n, metricNote{what: what, why: why})
	}
	(*n)[i].metrics = append((*n)[i].metrics, Heading(metric))
}

// lines writes "what A, B: why.".
func (n metricNotes) lines() []string {
	var list []string
	for _, m := range n {
		list = append(list, fmt.Sprintf("%s %s: %s.", m.what, strings.Join(m.metrics, ", "), m.why))
	}
	return list
}

// forestColumns is how many panels stand side by side so that each has room for its bars.
func (s *sheet) forestColumns(panels int) int {
	const page, columns, gap, bars = vg.Length(655), vg.Length(62), vg.Length(14), vg.Length(55)
	names := vg.Length(0)
	for _, c := range s.shown {
		names = max(names, frame.Print(8.5, false, frame.Ink).Width(shortened(c.Name)))
	}
	if n := vg.Length(panels); (page-names-(n-1)*gap)/n-columns >= bars {
		return panels
	}
	return (panels + 1) / 2
}

// longestName is how many characters of a variant's name stand at an axis.
const longestName = 32

// shortened leaves out the middle of a long name: models stand at its begin, and what tells variants apart at its end.
func shortened(name string) string {
	r := []rune(name)
	if len(r) <= longestName {
		return name
	}
	return string(r[:longestName/2]) + "…" + string(r[len(r)-longestName/2+1:])
}
