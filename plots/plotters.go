package plots

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/internal/quantity"
)

// grid draws light lines at the labelled ticks, below everything else.
type grid struct{ x, y bool }

var _ plot.Plotter = grid{}

func (g grid) Plot(c draw.Canvas, p *plot.Plot) {
	sty := draw.LineStyle{Color: gridInk, Width: 0.6}
	trX, trY := p.Transforms(&c)
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if g.x && !t.IsMinor() && t.Value >= p.X.Min && t.Value <= p.X.Max {
			c.StrokeLine2(sty, trX(t.Value), c.Min.Y, trX(t.Value), c.Max.Y)
		}
	}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if g.y && !t.IsMinor() && t.Value >= p.Y.Min && t.Value <= p.Y.Max {
			c.StrokeLine2(sty, c.Min.X, trY(t.Value), c.Max.X, trY(t.Value))
		}
	}
}

// band is a phase on the axis of seconds.
type band struct {
	name     string
	from, to float64
	overload bool
}

// bands shades every second phase and the overloaded ones, and writes all names above the data, in two lines where they
// would touch in one.
type bands []band

var _ plot.Plotter = bands(nil)

// bandRoom is the space that the names take above the data.
const bandRoom = vg.Length(24)

func (b bands) Plot(c draw.Canvas, p *plot.Plot) {
	trX, _ := p.Transforms(&c)
	sty := print(8, false, inkSoft)
	var ends [2]vg.Length
	ends[0], ends[1] = -1e6, -1e6
	for i, k := range b {
		x0, x1 := trX(max(k.from, p.X.Min)), trX(min(k.to, p.X.Max))
		if fill := bandInk; i%2 == 1 || k.overload {
			if k.overload {
				fill = rgb(0xFBE9DC)
			}
			c.SetColor(fill)
			c.Fill(vg.Rectangle{Min: vg.Point{X: x0, Y: c.Min.Y}, Max: vg.Point{X: x1, Y: c.Max.Y}}.Path())
		}
		w := sty.Width(k.name)
		x := (x0+x1)/2 - w/2
		row := 0
		if x < ends[0]+4 {
			row = 1
		}
		if row == 1 && x < ends[1]+4 {
			continue // two lines are full; the phase has its shade and stands in the table
		}
		ends[row] = x + w
		y := c.Max.Y + 3 + vg.Length(row)*10
		c.FillText(sty, vg.Point{X: x, Y: y}, k.name)
		if row == 1 {
			c.StrokeLine2(draw.LineStyle{Color: gridInk, Width: 0.6}, (x0+x1)/2, c.Max.Y, (x0+x1)/2, y)
		}
	}
}

// heading names a panel above its data.
type heading string

var _ plot.Plotter = heading("")

const headingRoom = vg.Length(14)

func (h heading) Plot(c draw.Canvas, _ *plot.Plot) {
	c.FillText(print(9.5, true, ink), vg.Point{X: c.Min.X, Y: c.Max.Y + 5}, string(h))
}

// addLine draws the points, broken where a y is not a number.
func addLine(p *plot.Plot, sty draw.LineStyle, points plotter.XYs, step plotter.StepKind) {
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

// dots is one row a variant: a small dot a round and a large one for the median, whose value stands beside it, with the
// number of rounds that have one where some have none.
type dots struct {
	unit   quantity.Unit
	series []dotSeries
	styles []Style // styles[i] is of row i
	trials []int   // trials[i] is how many rounds row i should have a value of
}

// dotSeries is one quantity of a dot plot. rounds[i] are the values of row i. A hollow one is drawn as a ring, such as
// p50 beside p99.
type dotSeries struct {
	hollow bool
	rounds [][]float64
}

var (
	_ plot.Plotter    = (*dots)(nil)
	_ plot.DataRanger = (*dots)(nil)
)

// DataRange implements plot.DataRanger: all values, and a row's height around the rows.
func (d *dots) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, xmax = math.Inf(1), math.Inf(-1)
	for _, s := range d.series {
		for _, row := range s.rounds {
			for _, v := range row {
				xmin, xmax = min(xmin, v), max(xmax, v)
			}
		}
	}
	return xmin, xmax, -0.6, float64(len(d.styles)) - 0.4
}

func (d *dots) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	value := print(8, false, ink)
	for i, sty := range d.styles {
		y := trY(float64(len(d.styles) - 1 - i))
		last, text := vg.Length(-1), ""
		var first vg.Length
		for k, s := range d.series {
			if len(s.rounds[i]) == 0 {
				continue
			}
			for _, v := range s.rounds[i] {
				if len(s.rounds[i]) > 1 {
					c.DrawGlyph(draw.GlyphStyle{Color: sty.thin().Color, Radius: 2.2, Shape: draw.CircleGlyph{}}, vg.Point{X: trX(v), Y: y})
				}
				last = max(last, trX(v))
			}
			m := median(s.rounds[i])
			x := trX(m)
			if k > 0 && text != "" {
				c.StrokeLine2(draw.LineStyle{Color: sty.Color, Width: 0.8}, first, y, x, y)
				text += " – "
			}
			first = x
			text += quantity.Format(m, d.unit)
			if n := len(s.rounds[i]); n < d.trials[i] {
				text += fmt.Sprintf(" (%d/%d)", n, d.trials[i])
			}
		}
		for _, s := range d.series {
			if len(s.rounds[i]) == 0 {
				continue
			}
			g := draw.GlyphStyle{Color: sty.Color, Radius: 4, Shape: sty.Glyph}
			at := vg.Point{X: trX(median(s.rounds[i])), Y: y}
			c.DrawGlyph(g, at)
			if s.hollow {
				c.DrawGlyph(draw.GlyphStyle{Color: rgb(0xFFFFFF), Radius: 2, Shape: draw.CircleGlyph{}}, at)
			}
		}
		if text == "" {
			c.FillText(print(8, false, inkSoft), vg.Point{X: c.Min.X + 4, Y: y - 3}, "no value")
			continue
		}
		at := vg.Point{X: last + 7, Y: y - 3}
		c.SetColor(rgb(0xFFFFFF))
		c.Fill(vg.Rectangle{Min: vg.Point{X: at.X - 1, Y: y - 5}, Max: vg.Point{X: at.X + value.Width(text) + 1, Y: y + 5}}.Path())
		c.FillText(value, at, text)
	}
}
