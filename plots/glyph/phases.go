package glyph

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/plots/frame"
)

// Phase is a phase on the axis of seconds.
type Phase struct {
	Name     string
	From, To float64
	Overload bool
}

// Phases shades every second phase and the overloaded ones, and writes all names above the data, in two lines where they
// would touch in one.
type Phases []Phase

var _ plot.Plotter = Phases(nil)

// PhaseRoom is the space that the names take above the data.
const PhaseRoom = vg.Length(24)

// Plot implements plot.Plotter.
func (b Phases) Plot(c draw.Canvas, p *plot.Plot) {
	trX, _ := p.Transforms(&c)
	sty := frame.Print(8, false, frame.InkSoft)
	var ends [2]vg.Length
	ends[0], ends[1] = -1e6, -1e6
	for i, k := range b {
		x0, x1 := trX(max(k.From, p.X.Min)), trX(min(k.To, p.X.Max))
		if fill := frame.BandInk; i%2 == 1 || k.Overload {
			if k.Overload {
				fill = frame.RGB(0xFBE9DC)
			}
			c.SetColor(fill)
			c.Fill(vg.Rectangle{Min: vg.Point{X: x0, Y: c.Min.Y}, Max: vg.Point{X: x1, Y: c.Max.Y}}.Path())
		}
		w := sty.Width(k.Name)
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
		c.FillText(sty, vg.Point{X: x, Y: y}, k.Name)
		if row == 1 {
			c.StrokeLine2(draw.LineStyle{Color: frame.GridInk, Width: 0.6}, (x0+x1)/2, c.Max.Y, (x0+x1)/2, y)
		}
	}
}
