package compared

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/plots/axis"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/plots/glyph"
	"github.com/millrace/millrace/results"
)

// Rounds has a panel for each headline metric with the values of all rounds of those shown. Its small print says what is
// missing. Where there is nothing to draw it is nil and the note says why.
func Rounds(res *results.Result, shown []Contender) (page *frame.Page, note string) {
	s := &sheet{res, shown}
	last := 0
	for _, t := range s.res.Trials {
		last = max(last, t.Round)
	}
	if last < 2 {
		return nil, "one round: nothing to hold it against"
	}
	f := &frame.Page{Title: s.res.Run.Scenario.Name + ": the headline metrics round by round", HeadRoom: frame.HeadingRoom}
	var missing []string
	linear, struck := false, false
	for _, metric := range s.res.Run.Headline() {
		strip := s.strip(metric, last)
		lo, hi := strip.Range()
		if math.IsInf(lo, 0) {
			missing = append(missing, fmt.Sprintf("not drawn: %s, not measured.", Heading(metric)))
			continue
		}
		p := frame.NewPanel(better(metric), "")
		p.X.Min, p.X.Max = -0.6, float64(len(strip))-0.4
		p.X.Tick.Marker, p.X.Tick.Length = columnTicks(len(strip)), 0
		if len(strip) > 9 {
			p.X.Tick.Label.Font.Size = 7
		}
		stripScale(p.Plot, metric, lo, hi)
		linear = linear || lo <= 0
		for _, k := range strip {
			struck = struck || slices.ContainsFunc(k.Struck, func(v float64) bool { return !math.IsNaN(v) })
		}
		p.Add(frame.Grid{Y: true}, frame.Heading(Heading(metric)), strip)
		f.Panels = append(f.Panels, p)
	}
	if len(f.Panels) == 0 {
		return nil, "none of its metrics was measured"
	}
	f.Columns = s.stripColumns(len(f.Panels))
	for i, c := range s.shown {
		f.Legend = append(f.Legend, frame.Entry{
			Name: fmt.Sprintf("%d  %s", i+1, shortened(c.Name)), Dot: &draw.GlyphStyle{Color: c.Style.Color, Radius: 3, Shape: draw.CircleGlyph{}},
		})
	}
	f.Subtitle = "one column a variant, one dot a round, the first at its left; grey: the same round of the next variant; bar: median; logarithmic scale"
	if linear {
		f.Subtitle += ", linear where a value is zero"
	}
	if struck {
		f.Subtitle += "; rings: INVALID, not counted"
	}
	f.Foot = missing
	return f, ""
}

// stripColumns is how many panels stand side by side so that the rounds within a column can be made out.
func (s *sheet) stripColumns(panels int) int {
	const page, legend, around, column = vg.Length(655), vg.Length(54), vg.Length(50), vg.Length(12)
	names := vg.Length(0)
	for _, c := range s.shown {
		names = max(names, frame.Print(9, false, frame.Ink).Width(shortened(c.Name)))
	}
	width := (page-legend-names)/vg.Length(panels) - around
	if panels > 3 && width < column*vg.Length(len(s.shown)) {
		return (panels + 1) / 2
	}
	return panels
}

// strip takes a metric's values from the trials of those shown, also from the INVALID ones.
func (s *sheet) strip(metric string, rounds int) glyph.Strip {
	strip := make(glyph.Strip, len(s.shown))
	for i, c := range s.shown {
		k := glyph.Column{Style: c.Style, Counted: nans(rounds), Struck: nans(rounds), Median: math.NaN()}
		var counted []float64
		for _, t := range s.res.Trials {
			v, measured := t.Metrics[metric]
			switch {
			case t.Variant != c.Name || !measured:
			case t.LeftOut() == "":
				k.Counted[t.Round-1] = v
				counted = append(counted, v)
			case t.Status == results.StatusDone && t.Verdict == validity.Invalid:
				k.Struck[t.Round-1] = v
			}
		}
		if len(counted) > 0 {
			k.Median = inference.Median(counted)
		}
		strip[i] = k
	}
	return strip
}

// stripScale is logarithmic where it can be, and a fifth wide at least, so that no noise of a percent looks like a mountain.
func stripScale(p *plot.Plot, metric string, lo, hi float64) {
	ticks := axis.LinearTicks{Unit: unitOf(metric), Want: 5}
	p.Y.Tick.Marker = ticks
	if lo <= 0 {
		if hi <= 0 {
			hi = max(1, -lo)
		}
		p.Y.Min, p.Y.Max = lo-0.04*(hi-lo), hi+0.04*(hi-lo)
		return
	}
	wide := max(math.Log(hi/lo), math.Log(1.2))
	pad := (wide-math.Log(hi/lo))/2 + 0.05*wide
	p.Y.Scale, p.Y.Min, p.Y.Max = plot.LogScale{}, lo*math.Exp(-pad), hi*math.Exp(pad)
	if hi > 5*lo {
		p.Y.Tick.Marker = axis.LogTicks{Unit: unitOf(metric)}
	}
}

// columnTicks numbers the columns as the legend does.
type columnTicks int

// Ticks implements plot.Ticker.
func (n columnTicks) Ticks(_, _ float64) []plot.Tick {
	ticks := make([]plot.Tick, n)
	for i := range ticks {
		ticks[i] = plot.Tick{Value: float64(i), Label: strconv.Itoa(i + 1)}
	}
	return ticks
}

func nans(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = math.NaN()
	}
	return list
}
