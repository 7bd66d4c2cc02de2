// Package swept has the figure of a sweep: a metric over what is swept, a line a variant.
package swept

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/crossover"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/axis"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/plots/glyph"
	"github.com/millrace/millrace/results"
)

// Contender is a variant that may be drawn.
type Contender struct {
	Name  string
	Style glyph.Style
}

// curve is a variant's metric over the steps.
type curve struct {
	Contender
	medians plotter.XYs
	edges   []glyph.Edge // smallest and largest round
}

// Figure draws a metric of a swept run over the steps, a line through the medians of each variant shown, and a band from the
// smallest to the largest round. Steps that are no numbers stand side by side, in the order given, and their marks are not
// joined. It is nil where nothing was measured, and the note says so.
func Figure(res *results.Result, metric, name string, shown []Contender) (page *frame.Page, note string) {
	info, _ := results.Metric(metric)
	unit := quantity.UnitOf(info.Unit)
	across := newScale(res.Run)
	curves := curvesOf(res, metric, shown, across)
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for _, e := range c.edges {
			if !math.IsNaN(e.Lo) {
				lo, hi = min(lo, e.Lo), max(hi, e.Hi)
			}
		}
	}
	if math.IsInf(lo, 0) {
		return nil, metric + " was measured at no step"
	}
	p := frame.NewPanel(across.label, name)
	across.apply(p.Plot)
	f := &frame.Page{Title: res.Run.Scenario.Name + ": " + name + " over the steps of its sweep", Subtitle: info.Title}
	if info.Better != results.BetterNone {
		f.Subtitle += "; " + info.Better + " is better"
	}
	if lo > 0 && hi >= 10*lo {
		p.Y.Min, p.Y.Max = frame.LogRange(lo, hi)
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, axis.LogTicks{Unit: unit}
		f.Subtitle += "; logarithmic scale"
	} else {
		room := 0.06 * (max(hi, 0) - min(lo, 0))
		if room == 0 {
			room = 1
		}
		p.Y.Min, p.Y.Max, p.Y.Tick.Marker = min(lo-room, 0), max(hi+room, 0), axis.LinearTicks{Unit: unit}
		if lo >= 0 {
			p.Y.Min = 0
		}
	}
	p.Add(frame.Grid{X: true, Y: true})
	add(p.Plot, f, curves, across.joined)
	f.Panels = []frame.Panel{p}
	switch {
	case res.Run.Rounds < 2:
	case across.joined:
		f.Subtitle += "; mark: median over rounds, shaded: smallest to largest"
	default:
		f.Subtitle += "; mark: median over rounds, bar: smallest to largest"
	}
	f.Foot = missing(curves, across)
	return f, ""
}

// add draws the curves, bands below lines, and names them in the legend.
func add(p *plot.Plot, f *frame.Page, curves []curve, joined bool) {
	for _, c := range curves {
		if joined {
			p.Add(glyph.Band{Color: c.Style.Color, Of: len(curves), Edges: c.edges})
		}
	}
	for _, c := range curves {
		g := draw.GlyphStyle{Color: c.Style.Color, Radius: 3, Shape: c.Style.Glyph}
		known := slices.DeleteFunc(slices.Clone(c.medians), func(v plotter.XY) bool { return math.IsNaN(v.Y) })
		if joined {
			frame.AddLine(p, c.Style.Line(), c.medians, plotter.NoStep)
		} else {
			for _, e := range c.edges {
				frame.AddLine(p, draw.LineStyle{Color: c.Style.Color, Width: 1.2}, plotter.XYs{{X: e.X, Y: e.Lo}, {X: e.X, Y: e.Hi}}, plotter.NoStep)
			}
		}
		p.Add(&plotter.Scatter{XYs: known, GlyphStyle: g})
		f.Legend = append(f.Legend, frame.Entry{Name: c.Name, Line: c.Style.Line(), Dot: &g})
	}
}

// curvesOf are the curves of those shown. A variant that isn't placed at a step has no value there.
func curvesOf(res *results.Result, metric string, shown []Contender, across *scale) []curve {
	list := make([]curve, len(shown))
	for i, c := range shown {
		list[i].Contender = c
	}
	for _, s := range across.steps {
		c := compare.Run(res.At(s.name), metric, "")
		for i := range list {
			k := slices.IndexFunc(c.Rows, func(r compare.Row) bool { return r.Variant == list[i].Name })
			x, row := across.place(i, len(list), s.at), &c.Rows[k]
			m, e := plotter.XY{X: x, Y: row.Median}, glyph.Edge{X: x, Lo: row.Min, Hi: row.Max}
			if !row.Placed {
				m.Y, e.Lo, e.Hi = math.NaN(), math.NaN(), math.NaN()
			}
			list[i].medians, list[i].edges = append(list[i].medians, m), append(list[i].edges, e)
		}
	}
	return list
}

// missing says which variants have no value at which steps, a note for each set of steps.
func missing(curves []curve, across *scale) (notes []string) {
	var sets []string
	of := map[string][]string{}
	for _, c := range curves {
		var at []string
		for k, m := range c.medians {
			if math.IsNaN(m.Y) {
				at = append(at, across.steps[k].text)
			}
		}
		if len(at) == 0 {
			continue
		}
		set := strings.Join(at, ", ")
		if of[set] == nil {
			sets = append(sets, set)
		}
		of[set] = append(of[set], c.Name)
	}
	for _, set := range sets {
		who := strings.Join(of[set], ", ")
		if len(of[set]) == len(curves) {
			who = "any variant"
		}
		notes = append(notes, fmt.Sprintf("not measured, or not placed, at %s: %s.", set, who))
	}
	return notes
}

// scale is the axis of the steps.
type scale struct {
	crossover.Axis
	label  string
	steps  []place // in order of their values
	joined bool    // steps are numbers
}

// place is where a step stands on the axis.
type place struct {
	name, text string
	at         float64
}

func newScale(run *results.Run) *scale {
	s := &scale{Axis: crossover.AxisOf(run), joined: run.Numeric(), label: "steps of the sweep, in the order given"}
	for i, step := range run.Steps {
		p := place{name: step.Name, text: step.Name, at: float64(i)}
		if s.joined {
			p.at, p.text = *step.Value, s.Text(*step.Value)
		}
		s.steps = append(s.steps, p)
	}
	if s.joined {
		s.label = s.Label
		if s.Log {
			s.label += " (logarithmic scale)"
		}
		slices.SortStableFunc(s.steps, func(a, b place) int {
			switch {
			case a.at < b.at:
				return -1
			case a.at > b.at:
				return 1
			}
			return 0
		})
	}
	return s
}

// beside is how much of the distance of two steps that are no numbers their variants take.
const beside = 0.5

// place is where a step's mark of variant i of n stands: marks that are not joined stand side by side.
func (s *scale) place(i, n int, at float64) float64 {
	if s.joined || n < 2 {
		return at
	}
	return at + beside*(float64(i)/float64(n-1)-0.5)
}

// apply sets the axis, with a tick at each step.
func (s *scale) apply(p *plot.Plot) {
	first, last := s.steps[0].at, s.steps[len(s.steps)-1].at
	switch room := 0.03; {
	case !s.joined:
		p.X.Min, p.X.Max = first-0.5, last+0.5
	case s.Log:
		grow := math.Pow(last/first, room)
		p.X.Min, p.X.Max, p.X.Scale = first/grow, last*grow, plot.LogScale{}
	case first == last:
		p.X.Min, p.X.Max = first-1, last+1
	default:
		p.X.Min, p.X.Max = first-room*(last-first), last+room*(last-first)
	}
	p.X.Tick.Marker = stepTicks{s.steps, s.Log}
}

// stepTicks marks every step, and labels those that have room.
type stepTicks struct {
	steps []place
	log   bool
}

var _ plot.Ticker = stepTicks{}

// labelGap is the share of the axis that a label takes.
const labelGap = 0.075

// Ticks implements plot.Ticker.
func (t stepTicks) Ticks(from, to float64) []plot.Tick {
	share := func(v float64) float64 {
		if t.log {
			return math.Log(v/from) / math.Log(to/from)
		}
		return (v - from) / (to - from)
	}
	var ticks []plot.Tick
	last := math.Inf(-1)
	for _, s := range t.steps {
		tick := plot.Tick{Value: s.at}
		if at := share(s.at); at-last >= labelGap {
			tick.Label, last = s.text, at
		}
		ticks = append(ticks, tick)
	}
	return ticks
}
