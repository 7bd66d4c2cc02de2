package plots

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/axis"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/results"
)

// maxPanels is how many percentile panels stand side by side.
const maxPanels = 3

// firstNines is where the axis begins: the median.
var firstNines = axis.Nines(0.5)

// percentileFigure has one panel for each measured phase with arrivals. Each has its own latency axis: what a burst does is
// a matter of seconds, and the baseline one of microseconds.
func percentileFigure(s *sheet) (*frame.Page, string) {
	f := &frame.Page{Legend: s.legend(), HeadRoom: frame.HeadingRoom}
	far := 1.0
	var notes []string
	for _, name := range s.curvePhases() {
		lines, own := s.overRounds(func(t *results.Trial) (plotter.XYs, error) { return s.curve(t, name) })
		notes = append(notes, own...)
		p := frame.NewPanel("percentile of requests", "")
		p.Add(frame.Grid{X: true, Y: true}, frame.Heading("phase "+name))
		lo, hi := math.Inf(1), 0.0
		for i, l := range lines {
			for _, r := range l.rounds {
				for _, v := range r {
					if !math.IsNaN(v.Y) && v.X >= firstNines {
						lo, hi, far = min(lo, v.Y), max(hi, v.Y), max(far, v.X)
					}
				}
				if len(l.rounds) > 1 {
					frame.AddLine(p.Plot, s.shown[i].style.Thin(), r, plotter.NoStep)
				}
			}
		}
		for i, l := range lines {
			frame.AddLine(p.Plot, s.shown[i].style.Line(), l.median, plotter.NoStep)
		}
		if hi > 0 {
			p.Y.Min, p.Y.Max = frame.LogRange(lo, hi)
			p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, axis.LogTicks{Unit: quantity.Time}
			f.Panels = append(f.Panels, p)
		}
	}
	if len(f.Panels) == 0 {
		return nil, "no measured phase has the 100 requests that a median needs"
	}
	f.Panels[0].YLabel = "response time"
	for _, p := range f.Panels {
		p.X.Min, p.X.Max, p.X.Tick.Marker = firstNines, far, axis.NinesTicks{}
	}
	f.Title = s.res.Run.Scenario.Name + ": response time by percentile"
	f.Subtitle = "from the intended time, logarithmic scale; lower is better"
	if len(f.Panels) > 1 {
		f.Subtitle += "; each phase has its own scale"
	}
	if s.res.Run.Rounds > 1 {
		f.Subtitle += "; bold: median over rounds"
	}
	f.Foot = s.foot(notes...)
	return f, ""
}

// curvePhases are the measured phases with arrivals; of more than maxPanels the overloaded ones and the last.
func (s *sheet) curvePhases() []string {
	var names []string
	for _, p := range s.phases() {
		if p.Measure && p.Planned > 0 {
			names = append(names, p.Name)
		}
	}
	return names[max(0, len(names)-maxPanels):]
}

// curvePoints is the number of points of a curve that reaches as far as any.
var curvePoints = len(fullCurve())

// fullCurve is a curve with every point that hist has, to give all curves a common grid.
func fullCurve() []hist.Point {
	h := hist.New()
	h.RecordN(1, 1<<50)
	return h.Curve(0)
}

// curve is the percentile curve of one trial's phase on the common grid, not a number where the rule of hist.Curve
// refuses a percentile.
func (s *sheet) curve(t *results.Trial, name string) (plotter.XYs, error) {
	line := make(plotter.XYs, curvePoints)
	for i, p := range fullCurve() {
		line[i] = plotter.XY{X: axis.Nines(p.Quantile), Y: math.NaN()}
	}
	p := phase(t, name)
	if p == nil || p.Outcomes["ok"] == 0 {
		return line, nil
	}
	h, err := s.res.Histogram(t.ID, "response", name)
	if err != nil || h == nil {
		return line, err
	}
	for i, point := range h.Curve(p.Planned - p.Outcomes["ok"]) {
		line[i].Y = float64(max(point.Ns, 1))
	}
	return line, nil
}
