package plots

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The size of a figure: 900 × 520 pixels of 1/96 inch; a PNG has twice as many pixels each way.
const (
	width  = vg.Length(675)
	height = vg.Length(390)
	pngDPI = 192
	margin = vg.Length(10)
)

// frame is a figure before it is drawn: panels side by side, with what stands around them. The legend is always right of
// the data, never on it.
type frame struct {
	title    string
	subtitle string // one line: what to look for, and on which axis
	panels   []panel
	legend   []entry
	foot     []string // small print: what is not drawn and why, then the source
	// headRoom is the space above the panels' data, for the names of phases or of the panel.
	headRoom vg.Length
}

// panel is a plot and the names of its axes. They are not the plot's own labels, since gonum/plot makes room for those at
// the wrong place on an axis that is not linear. An empty y name is for a panel that shares the axis left of it.
type panel struct {
	*plot.Plot
	x, y string
}

// entry is a line of the legend, with small print below it. Where dot is set, it shows the glyph as well.
type entry struct {
	name string
	more []string
	line draw.LineStyle
	dot  *draw.GlyphStyle
}

// newPanel returns an empty plot in our print.
func newPanel(x, y string) panel {
	p := plot.New()
	p.TextHandler = print(9, false, ink).Handler
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		tick := print(8.5, false, ink)
		tick.XAlign, tick.YAlign = a.Tick.Label.XAlign, a.Tick.Label.YAlign
		a.Tick.Label = tick
		a.Label.TextStyle = tick
		a.Tick.Length = 4
		a.Padding = 0
		a.LineStyle.Color, a.Tick.LineStyle.Color = inkSoft, inkSoft
	}
	return panel{p, x, y}
}

// draw puts the whole figure on a canvas of width × height.
func (f *frame) draw(c draw.Canvas) {
	c.SetColor(rgb(0xFFFFFF))
	c.Fill(c.Rectangle.Path())
	in := draw.Crop(c, margin, -margin, margin, -margin)

	y := in.Max.Y
	for _, t := range []struct {
		s    string
		sty  text.Style
		lead vg.Length
	}{{f.title, print(13, true, ink), 15}, {f.subtitle, print(9, false, inkSoft), 13}} {
		y -= t.lead
		in.FillText(t.sty, vg.Point{X: in.Min.X, Y: y}, t.s)
	}
	in.Max.Y = y - 8

	small := print(7.5, false, inkSoft)
	lines := f.smallPrint(small, in.Max.X-in.Min.X)
	for i := len(lines) - 1; i >= 0; i-- {
		in.FillText(small, vg.Point{X: in.Min.X, Y: in.Min.Y}, lines[i])
		in.Min.Y += 9.5
	}
	in.Min.Y += 5

	if len(f.legend) > 0 {
		in.Max.X -= f.drawLegend(in)
	}
	in.Max.Y -= f.headRoom
	f.drawPanels(in)
}

// maxFootLines bounds the small print, so that a run with many troubles still has room for its data.
const maxFootLines = 7

// smallPrint is the foot in lines: the source in full, and of the notes before it as many as there is room for.
func (f *frame) smallPrint(sty text.Style, limit vg.Length) []string {
	if len(f.foot) == 0 {
		return nil
	}
	last := len(f.foot) - 1
	source := wrap(f.foot[last], sty, limit)
	var lines []string
	for i, note := range f.foot[:last] {
		next := wrap(note, sty, limit)
		if len(lines)+len(next)+len(source)+1 > maxFootLines {
			lines = append(lines, fmt.Sprintf("and %d more notes of this kind: see the report.", last-i))
			break
		}
		lines = append(lines, next...)
	}
	return append(lines, source...)
}

// drawPanels tiles the panels from left to right with data areas of the same size.
func (f *frame) drawPanels(c draw.Canvas) {
	const gap, name = 14, 15
	c.Min.Y += name
	var row []*plot.Plot
	for _, p := range f.panels {
		row = append(row, p.Plot)
	}
	if f.panels[0].y != "" {
		c.Min.X += name
	}
	cells := plot.Align([][]*plot.Plot{row}, draw.Tiles{Rows: 1, Cols: len(row), PadX: gap}, c)
	sty := print(9, false, ink)
	sty.XAlign = draw.XCenter
	for i, p := range f.panels {
		data := p.DataCanvas(cells[0][i])
		p.Draw(cells[0][i])
		c.FillText(sty, vg.Point{X: data.Center().X, Y: c.Min.Y - name + 2}, p.x)
		if p.y != "" {
			up := sty
			up.Rotation = math.Pi / 2
			c.FillText(up, vg.Point{X: cells[0][i].Min.X - 4, Y: data.Center().Y}, p.y)
		}
	}
}

// drawLegend writes the legend at the right edge and returns the width it took. Where it is too tall it goes without its
// small print, and then closer together.
func (f *frame) drawLegend(c draw.Canvas) vg.Length {
	const sample, leadMore = 30, 10
	lead, room := vg.Length(15), c.Max.Y-c.Min.Y-f.headRoom
	list := slices.Clone(f.legend)
	tall := vg.Length(0)
	for _, e := range list {
		tall += lead + leadMore*vg.Length(len(e.more))
	}
	if tall > room {
		for i := range list {
			list[i].more = nil
		}
		lead = min(lead, room/vg.Length(len(list)))
	}
	sty, small := print(9, false, ink), print(7.5, false, inkSoft)
	var widest vg.Length
	for _, e := range list {
		widest = max(widest, sty.Width(e.name))
		for _, m := range e.more {
			widest = max(widest, small.Width(m))
		}
	}
	taken := sample + 6 + widest
	x, y := c.Max.X-taken, c.Max.Y-f.headRoom-lead/2
	for _, e := range list {
		mid := y - 1
		if e.line.Width > 0 {
			c.StrokeLine2(e.line, x, mid, x+sample, mid)
		}
		if e.dot != nil {
			c.DrawGlyph(*e.dot, vg.Point{X: x + sample/2, Y: mid})
		}
		c.FillText(sty, vg.Point{X: x + sample + 6, Y: y - 4}, e.name)
		for _, m := range e.more {
			y -= leadMore
			c.FillText(small, vg.Point{X: x + sample + 6, Y: y - 4}, m)
		}
		y -= lead
	}
	return taken + 12
}

// save writes the figure as base.svg and base.png and returns both names. The bytes depend on nothing but the data.
func (f *frame) save(base string) (svg, png string, err error) {
	vector := vgsvg.New(width, height)
	f.draw(draw.New(vector))
	var out bytes.Buffer
	if _, err = vector.WriteTo(&out); err != nil {
		return "", "", fmt.Errorf("drawing %s.svg: %w", base, err)
	}
	// A reader without the Liberation fonts has one with the same measures.
	page := strings.ReplaceAll(out.String(), "font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")
	if err = os.WriteFile(base+".svg", []byte(page), 0o644); err != nil {
		return "", "", fmt.Errorf("writing figure: %w", err)
	}

	pixels := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(pngDPI))
	f.draw(draw.New(pixels))
	out.Reset()
	if _, err = (vgimg.PngCanvas{Canvas: pixels}).WriteTo(&out); err != nil {
		return "", "", fmt.Errorf("drawing %s.png: %w", base, err)
	}
	if err = os.WriteFile(base+".png", out.Bytes(), 0o644); err != nil {
		return "", "", fmt.Errorf("writing figure: %w", err)
	}
	return base + ".svg", base + ".png", nil
}

// wrap breaks text into lines of at most the given width, at blanks.
func wrap(s string, sty text.Style, limit vg.Length) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		longer := strings.TrimSpace(line + " " + word)
		if line != "" && sty.Width(longer) > limit {
			lines, longer = append(lines, line), word
		}
		line = longer
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
