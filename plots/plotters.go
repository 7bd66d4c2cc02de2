package plots

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/frame"
)

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
	sty := frame.Print(8, false, frame.InkSoft)
	var ends [2]vg.Length
	ends[0], ends[1] = -1e6, -1e6
	for i, k := range b {
		x0, x1 := trX(max(k.from, p.X.Min)), trX(min(k.to, p.X.Max))
		if fill := frame.BandInk; i%2 == 1 || k.overload {
			if k.overload {
				fill = frame.RGB(0xFBE9DC)
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
			c.StrokeLine2(draw.LineStyle{Color: frame.GridInk, Width: 0.6}, (x0+x1)/2, c.Max.Y, (x0+x1)/2, y)
		}
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
	value := frame.Print(8, false, frame.Ink)
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
				c.DrawGlyph(draw.GlyphStyle{Color: frame.RGB(0xFFFFFF), Radius: 2, Shape: draw.CircleGlyph{}}, at)
			}
		}
		if text == "" {
			c.FillText(frame.Print(8, false, frame.InkSoft), vg.Point{X: c.Min.X + 4, Y: y - 3}, "no value")
			continue
		}
		at := vg.Point{X: last + 7, Y: y - 3}
		c.SetColor(frame.RGB(0xFFFFFF))
		c.Fill(vg.Rectangle{Min: vg.Point{X: at.X - 1, Y: y - 5}, Max: vg.Point{X: at.X + value.Width(text) + 1, Y: y + 5}}.Path())
		c.FillText(value, at, text)
	}
}
