package glyph

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Edge is where a band lies at X: from Lo to Hi, not numbers where it is broken.
type Edge struct{ X, Lo, Hi float64 }

// Band shades the space between its edges, thinly enough that the bands of all variants show through each other.
type Band struct {
	Color color.NRGBA
	Of    int    // how many bands there are
	Edges []Edge // in increasing order of X
}

var _ plot.Plotter = Band{}

// bandAlpha is how much of its colour a band has, of 255, where up to few of them may overlap; of more each has less.
const bandAlpha, few = 46, 6

// Plot implements plot.Plotter.
func (b Band) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	shade := b.Color
	shade.A = uint8(bandAlpha * few / max(few, b.Of))
	for rest := b.Edges; len(rest) > 0; {
		n := 0
		for n < len(rest) && !math.IsNaN(rest[n].Lo) && !math.IsNaN(rest[n].Hi) {
			n++
		}
		if n > 1 {
			area := make([]vg.Point, 2*n)
			for i, e := range rest[:n] {
				area[i] = vg.Point{X: trX(e.X), Y: trY(e.Lo)}
				area[2*n-1-i] = vg.Point{X: trX(e.X), Y: trY(e.Hi)}
			}
			c.FillPolygon(shade, c.ClipPolygonXY(area))
		}
		rest = rest[min(n+1, len(rest)):]
	}
}
