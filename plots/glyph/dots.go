package glyph

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/frame"
)

// Dots is one row a variant: a small dot a round and a large one for the median, whose value stands beside it, with the
// number of rounds that have one where some have none.
type Dots struct {
	Unit   quantity.Unit
	Series []DotSeries
	Styles []Style // Styles[i] is of row i
	Trials []int   // Trials[i] is how many rounds row i should have a value of
}

// DotSeries is one quantity of a dot plot. Rounds[i] are the values of row i. A Hollow one is drawn as a ring, such as
// p50 beside p99.
type DotSeries struct {
	Hollow bool
	Rounds [][]float64
}

var (
	_ plot.Plotter    = (*Dots)(nil)
	_ plot.DataRanger = (*Dots)(nil)
)

// DataRange implements plot.DataRanger: all values, and a row's height around the rows.
func (d *Dots) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, xmax = math.Inf(1), math.Inf(-1)
	for _, s := range d.Series {
		for _, row := range s.Rounds {
			for _, v := range row {
				xmin, xmax = min(xmin, v), max(xmax, v)
			}
		}
	}
	return xmin, xmax, -0.6, float64(len(d.Styles)) - 0.4
}

// Plot implements plot.Plotter.
func (d *Dots) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	value := frame.Print(8, false, frame.Ink)
	for i, sty := range d.Styles {
		y := trY(float64(len(d.Styles) - 1 - i))
		last, text := vg.Length(-1), ""
		var first vg.Length
		for k, s := range d.Series {
			if len(s.Rounds[i]) == 0 {
				continue
			}
			for _, v := range s.Rounds[i] {
				if len(s.Rounds[i]) > 1 {
					c.DrawGlyph(draw.GlyphStyle{Color: sty.Thin().Color, Radius: 2.2, Shape: draw.CircleGlyph{}}, vg.Point{X: trX(v), Y: y})
				}
				last = max(last, trX(v))
			}
			m := inference.Median(slices.Clone(s.Rounds[i]))
			x := trX(m)
			if k > 0 && text != "" {
				c.StrokeLine2(draw.LineStyle{Color: sty.Color, Width: 0.8}, first, y, x, y)
				text += " – "
			}
			first = x
			text += quantity.Format(m, d.Unit)
			if n := len(s.Rounds[i]); n < d.Trials[i] {
				text += fmt.Sprintf(" (%d/%d)", n, d.Trials[i])
			}
		}
		for _, s := range d.Series {
			if len(s.Rounds[i]) == 0 {
				continue
			}
			g := draw.GlyphStyle{Color: sty.Color, Radius: 4, Shape: sty.Glyph}
			at := vg.Point{X: trX(inference.Median(slices.Clone(s.Rounds[i]))), Y: y}
			c.DrawGlyph(g, at)
			if s.Hollow {
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
