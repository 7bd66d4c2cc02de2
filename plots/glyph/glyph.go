// Package glyph is how variants are marked: the look of each in all figures, and marks that gonum/plot lacks, from a single
// glyph to rows of dots and the phases behind a line.
package glyph

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Wedge is a triangle that points down.
type Wedge struct{}

// DrawGlyph implements draw.GlyphDrawer.
func (Wedge) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	r := s.Radius * 1.15
	polygon(c, s, p, [][2]vg.Length{{0, -r}, {r, 0.75 * r}, {-r, 0.75 * r}})
}

// Diamond is a square on its corner.
type Diamond struct{}

// DrawGlyph implements draw.GlyphDrawer.
func (Diamond) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	r := s.Radius * 1.25
	polygon(c, s, p, [][2]vg.Length{{0, r}, {r, 0}, {0, -r}, {-r, 0}})
}

// Cross is an upright cross.
type Cross struct{}

// DrawGlyph implements draw.GlyphDrawer.
func (Cross) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	a, r := s.Radius*0.4, s.Radius*1.15
	polygon(c, s, p, [][2]vg.Length{{-a, r}, {a, r}, {a, a}, {r, a}, {r, -a}, {a, -a}, {a, -r}, {-a, -r}, {-a, -a}, {-r, -a}, {-r, a}, {-a, a}})
}

// Struck is a mark with a cross behind it, whose arms stand out on all sides: both can be made out.
type Struck struct {
	Mark draw.GlyphDrawer
	Ink  color.Color // of the cross
}

// DrawGlyph implements draw.GlyphDrawer.
func (g Struck) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	r := 2.1 * s.Radius
	arm := draw.LineStyle{Color: g.Ink, Width: s.Radius / 3}
	c.StrokeLine2(arm, at.X-r, at.Y-r, at.X+r, at.Y+r)
	c.StrokeLine2(arm, at.X-r, at.Y+r, at.X+r, at.Y-r)
	c.DrawGlyph(draw.GlyphStyle{Color: color.White, Radius: s.Radius + 1, Shape: g.Mark}, at)
	c.DrawGlyph(draw.GlyphStyle{Color: s.Color, Radius: s.Radius, Shape: g.Mark}, at)
}

func polygon(c *draw.Canvas, s draw.GlyphStyle, p vg.Point, corners [][2]vg.Length) {
	var path vg.Path
	for i, k := range corners {
		at := vg.Point{X: p.X + k[0], Y: p.Y + k[1]}
		if i == 0 {
			path.Move(at)
		} else {
			path.Line(at)
		}
	}
	path.Close()
	c.SetColor(s.Color)
	c.Fill(path)
}
