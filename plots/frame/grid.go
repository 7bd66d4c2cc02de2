package frame

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Grid draws light lines at the labelled ticks, below everything else.
type Grid struct{ X, Y bool }

var _ plot.Plotter = Grid{}

// Plot implements plot.Plotter.
func (g Grid) Plot(c draw.Canvas, p *plot.Plot) {
	sty := draw.LineStyle{Color: GridInk, Width: 0.6}
	trX, trY := p.Transforms(&c)
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if g.X && !t.IsMinor() && t.Value >= p.X.Min && t.Value <= p.X.Max {
			c.StrokeLine2(sty, trX(t.Value), c.Min.Y, trX(t.Value), c.Max.Y)
		}
	}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if g.Y && !t.IsMinor() && t.Value >= p.Y.Min && t.Value <= p.Y.Max {
			c.StrokeLine2(sty, c.Min.X, trY(t.Value), c.Max.X, trY(t.Value))
		}
	}
}

// Heading names a panel above its data.
type Heading string

var _ plot.Plotter = Heading("")

// HeadingRoom is the space that it takes.
const HeadingRoom = vg.Length(14)

// Plot implements plot.Plotter.
func (h Heading) Plot(c draw.Canvas, _ *plot.Plot) {
	c.FillText(Print(9.5, true, Ink), vg.Point{X: c.Min.X, Y: c.Max.Y + 5}, string(h))
}

// AddLine draws the points, broken where a y is not a number.
func AddLine(p *plot.Plot, sty draw.LineStyle, points plotter.XYs, step plotter.StepKind) {
	for len(points) > 0 {
		n := 0
		for n < len(points) && !math.IsNaN(points[n].Y) {
			n++
		}
		if n > 1 {
			p.Add(&plotter.Line{XYs: points[:n], LineStyle: sty, StepStyle: step})
		}
		points = points[min(n+1, len(points)):]
	}
}

// LogRange widens a range to 1, 2 or 5 times a power of ten, so that its ends have a label.
// More than two decades have labels at their ends only.
func LogRange(lo, hi float64) (float64, float64) {
	if hi > 100*lo {
		return math.Pow(10, math.Floor(math.Log10(lo))), CeilDecade(hi)
	}
	down, up := math.Pow(10, math.Floor(math.Log10(lo))), math.Pow(10, math.Floor(math.Log10(hi)))
	for _, m := range []float64{5, 2, 1} {
		if m*down <= lo {
			lo = m * down
			break
		}
	}
	for _, m := range []float64{1, 2, 5, 10} {
		if m*up >= hi {
			hi = m * up
			break
		}
	}
	if lo == hi {
		hi *= 10
	}
	return lo, hi
}

// CeilDecade is the next power of ten from v on.
func CeilDecade(v float64) float64 { return math.Pow(10, math.Ceil(math.Log10(v)-1e-9)) }
