package glyph

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/plots/frame"
)

// Column is a variant in a strip of rounds.
type Column struct {
	Style Style
	// Counted[r] and Struck[r] are the values of round r+1, not numbers where there is none: a round has the first if it
	// counts and the second if it is INVALID. All columns are of the same length.
	Counted, Struck []float64
	// Median of Counted, not a number of none.
	Median float64
}

// Strip is one column a variant, a dot for each round, from the first at the left to the last at the right of the column. The
// dots of a round are joined by a thin line from column to column, so that what befell a whole round shows as lines that run
// side by side. A round that is INVALID is a ring that no line joins. A bar is the median.
type Strip []Column

var _ plot.Plotter = Strip(nil)

var joinInk = frame.RGB(0xBDBDBD)

// spread is the part of a column that the rounds take.
const spread = 0.56

// place is where a round stands in the column of that number.
func (s Strip) place(column, round int) float64 {
	if n := len(s[column].Counted); n > 1 {
		return float64(column) + spread*(float64(round)/float64(n-1)-0.5)
	}
	return float64(column)
}

// Range is the smallest and the largest value; infinities of none.
func (s Strip) Range() (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, c := range s {
		for _, list := range [][]float64{c.Counted, c.Struck} {
			for _, v := range list {
				if !math.IsNaN(v) {
					lo, hi = min(lo, v), max(hi, v)
				}
			}
		}
	}
	return lo, hi
}

// Plot implements plot.Plotter.
func (s Strip) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	width := trX(1) - trX(0)
	radius := min(2.4, max(1.1, 0.13*width))
	join := draw.LineStyle{Color: joinInk, Width: 0.5}
	for i := 1; i < len(s); i++ {
		for r, v := range s[i].Counted {
			if before := s[i-1].Counted[r]; !math.IsNaN(v) && !math.IsNaN(before) {
				c.StrokeLine2(join, trX(s.place(i-1, r)), trY(before), trX(s.place(i, r)), trY(v))
			}
		}
	}
	for i, k := range s {
		if !math.IsNaN(k.Median) {
			half := min(0.42*width, 22)
			x, y := trX(float64(i)), trY(k.Median)
			c.StrokeLine2(draw.LineStyle{Color: k.Style.Color, Width: 1.4}, x-half, y, x+half, y)
		}
		for r, v := range k.Counted {
			if !math.IsNaN(v) {
				dot := draw.GlyphStyle{Color: k.Style.Color, Radius: radius, Shape: draw.CircleGlyph{}}
				c.DrawGlyph(dot, vg.Point{X: trX(s.place(i, r)), Y: trY(v)})
			}
		}
		for r, v := range k.Struck {
			if !math.IsNaN(v) {
				ring := draw.GlyphStyle{Color: k.Style.Color, Radius: radius, Shape: draw.RingGlyph{}}
				c.DrawGlyph(ring, vg.Point{X: trX(s.place(i, r)), Y: trY(v)})
			}
		}
	}
}
