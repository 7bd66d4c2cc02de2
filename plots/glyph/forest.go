package glyph

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/frame"
)

// ForestRow is a variant in a forest plot.
type ForestRow struct {
	Style Style
	// Ratio to the reference, and its interval; not numbers where there is none. Ratio 1 without an interval is the
	// reference itself.
	Ratio, Lo, Hi float64
	Tier          string // left of the data, such as "1–2"
	Value         string // right of the data: the absolute median
	// Missing stands in place of the mark where there is no ratio.
	Missing string
}

// Forest is one row a variant: its ratio as a mark on a logarithmic axis around 1, its interval as a bar, and a shade of
// ±Tau. What lies beyond the axis ends in an arrow with its number. A mark without a bar has no interval and is hollow.
type Forest struct {
	Rows []ForestRow // from top to bottom
	Tau  float64
	// Heading stands above it, ForestRoom high together with the next two.
	Heading string
	// TierHead and ValueHead name the columns at both sides.
	TierHead, ValueHead string
}

var (
	_ plot.Plotter    = (*Forest)(nil)
	_ plot.GlyphBoxer = (*Forest)(nil)
)

var tauInk = frame.RGB(0xE9EEF2)

// farthest bounds the axis: a ratio beyond it is written and not drawn.
const farthest = 16

// Range is the extent of the axis: ±20 % at least, all marks, and of an interval up to what doubles the distance of the
// farthest mark.
func (f *Forest) Range() (lo, hi float64) {
	near, far := math.Log(1/1.2), math.Log(1.2)
	for _, r := range f.Rows {
		if r.Ratio > 0 {
			near, far = min(near, math.Log(r.Ratio)), max(far, math.Log(r.Ratio))
		}
	}
	from, to := near, far
	reach := max(-near, far) // how far an interval may take the axis beyond the marks
	for _, r := range f.Rows {
		if r.Lo > 0 && r.Hi > 0 {
			from, to = min(from, max(math.Log(r.Lo), near-reach)), max(to, min(math.Log(r.Hi), far+reach))
		}
	}
	from, to = max(from, -math.Log(farthest)), min(to, math.Log(farthest))
	pad := 0.05 * (to - from)
	return math.Exp(from - pad), math.Exp(to + pad)
}

// The prints of the columns.
var (
	forestPrint = frame.Print(8, false, frame.Ink)
	forestHead  = frame.Print(7.5, false, frame.InkSoft)
)

// columnGap is between the data and the columns at its sides, ForestRoom the space that the headings take above it.
const (
	columnGap  = vg.Length(5)
	ForestRoom = vg.Length(25)
)

// TierRoom is the space for the column at the left, which the axis has to keep free.
func (f *Forest) TierRoom() vg.Length {
	w := forestHead.Width(f.TierHead)
	for _, r := range f.Rows {
		w = max(w, forestPrint.Width(r.Tier))
	}
	if w > 0 {
		w += 2 * columnGap // to the data and to the names
	}
	return w
}

// GlyphBoxes implements plot.GlyphBoxer: the room of the column at the right. That at the left is the axis's.
func (f *Forest) GlyphBoxes(*plot.Plot) []plot.GlyphBox {
	w := forestHead.Width(f.ValueHead)
	for _, r := range f.Rows {
		w = max(w, forestPrint.Width(r.Value))
	}
	return []plot.GlyphBox{{X: 1, Y: 0.5, Rectangle: vg.Rectangle{Max: vg.Point{X: w + columnGap, Y: 1}}}}
}

// Plot implements plot.Plotter.
func (f *Forest) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	within := func(v float64) vg.Length { return min(max(trX(v), c.Min.X), c.Max.X) }
	shade := vg.Rectangle{Min: vg.Point{X: within(1 / (1 + f.Tau)), Y: c.Min.Y}, Max: vg.Point{X: within(1 + f.Tau), Y: c.Max.Y}}
	c.SetColor(tauInk)
	c.Fill(shade.Path())
	frame.Grid{X: true, Y: true}.Plot(c, p)
	c.StrokeLine2(draw.LineStyle{Color: frame.InkSoft, Width: 0.9}, trX(1), c.Min.Y, trX(1), c.Max.Y)
	c.FillText(frame.Print(9.5, true, frame.Ink), vg.Point{X: c.Min.X, Y: c.Max.Y + 14}, f.Heading)
	tierHead := forestHead
	tierHead.XAlign = draw.XRight
	c.FillText(tierHead, vg.Point{X: c.Min.X - 3, Y: c.Max.Y + 3}, f.TierHead)
	c.FillText(forestHead, vg.Point{X: c.Max.X + columnGap, Y: c.Max.Y + 3}, f.ValueHead)
	tier := forestPrint
	tier.XAlign = draw.XRight
	for i, r := range f.Rows {
		y := trY(float64(len(f.Rows) - 1 - i))
		c.FillText(tier, vg.Point{X: c.Min.X - 4, Y: y - 3.4}, r.Tier)
		c.FillText(forestPrint, vg.Point{X: c.Max.X + columnGap, Y: y - 3.4}, r.Value)
		if !(r.Ratio > 0) {
			c.FillText(forestHead, vg.Point{X: c.Min.X + 4, Y: y - 3.4}, r.Missing)
			continue
		}
		r.draw(c, trX, y, p.X.Min, p.X.Max)
	}
}

// draw draws the bar and the mark at height y.
func (r *ForestRow) draw(c draw.Canvas, trX func(float64) vg.Length, y vg.Length, lo, hi float64) {
	bar := draw.LineStyle{Color: r.Style.Color, Width: 1.6}
	interval := r.Lo > 0 && r.Hi > 0
	if interval {
		x0, x1 := max(c.Min.X, trX(r.Lo)), min(c.Max.X, trX(r.Hi))
		c.StrokeLine2(bar, min(x0, c.Max.X), y, max(x1, c.Min.X), y)
		for _, end := range []float64{r.Lo, r.Hi} {
			if x := trX(end); end >= lo && end <= hi {
				c.StrokeLine2(draw.LineStyle{Color: r.Style.Color, Width: 1}, x, y-3.5, x, y+3.5)
			}
		}
	}
	least, most := r.Ratio, r.Ratio
	if interval {
		least, most = r.Lo, r.Hi
	}
	if least < lo {
		r.arrow(c, vg.Point{X: c.Min.X, Y: y}, 1, least)
	}
	if most > hi {
		r.arrow(c, vg.Point{X: c.Max.X, Y: y}, -1, most)
	}
	if r.Ratio < lo || r.Ratio > hi {
		return
	}
	at := vg.Point{X: trX(r.Ratio), Y: y}
	shape := r.Style.Glyph
	if _, hollow := shape.(draw.RingGlyph); hollow {
		shape = draw.CircleGlyph{}
	}
	c.DrawGlyph(draw.GlyphStyle{Color: r.Style.Color, Radius: 2.8, Shape: shape}, at)
	if !interval && r.Ratio != 1 {
		c.DrawGlyph(draw.GlyphStyle{Color: frame.RGB(0xFFFFFF), Radius: 1.5, Shape: draw.CircleGlyph{}}, at)
	}
}

// arrow points out of the data at its edge, with the number that lies there; inward is 1 at the left edge and −1 at the right.
func (r *ForestRow) arrow(c draw.Canvas, tip vg.Point, inward vg.Length, v float64) {
	base := vg.Point{X: tip.X + 6*inward, Y: tip.Y}
	polygon(&c, draw.GlyphStyle{Color: r.Style.Color}, base, [][2]vg.Length{{-6 * inward, 0}, {0, 3.4}, {0, -3.4}})
	sty := frame.Print(7, false, frame.Ink)
	if inward < 0 {
		sty.XAlign = draw.XRight
	}
	c.FillText(sty, vg.Point{X: tip.X + inward, Y: tip.Y + 2.5}, "×"+quantity.Format(v, quantity.Number))
}
