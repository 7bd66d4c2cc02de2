// Package frame is the page that every figure stands on: its size, print and colours, the panels with their grid, the legend,
// and the small print that says what is not drawn.
package frame

import (
	"bytes"
	"cmp"
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

// Page is a figure before it is drawn: panels side by side, with what stands around them. The legend is always right of
// the data, never on it.
type Page struct {
	Title    string
	Subtitle string // a line or two: what to look for, and on which axis
	Panels   []Panel
	Columns  int // of panels side by side; zero: all of them
	Legend   []Entry
	Foot     []string // small print: what is not drawn and why, then the source
	// Rest is where a reader finds the notes of Foot that there is no room for; empty is the report.
	Rest string
	// HeadRoom is the space above the panels' data, for the names of phases or of the panel.
	HeadRoom vg.Length
}

// Panel is a plot and the names of its axes. They are not the plot's own labels, since gonum/plot makes room for those at
// the wrong place on an axis that is not linear. An empty YLabel is for a panel that shares the axis left of it.
type Panel struct {
	*plot.Plot
	XLabel, YLabel string
}

// Entry is a line of the legend, with small print below it. Where Dot is set, it shows the glyph as well.
type Entry struct {
	Name string
	More []string
	Line draw.LineStyle
	Dot  *draw.GlyphStyle
}

// NewPanel returns an empty plot in our print.
func NewPanel(x, y string) Panel {
	p := plot.New()
	p.TextHandler = Print(9, false, Ink).Handler
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		tick := Print(8.5, false, Ink)
		tick.XAlign, tick.YAlign = a.Tick.Label.XAlign, a.Tick.Label.YAlign
		a.Tick.Label = tick
		a.Label.TextStyle = tick
		a.Tick.Length = 4
		a.Padding = 0
		a.LineStyle.Color, a.Tick.LineStyle.Color = InkSoft, InkSoft
	}
	return Panel{p, x, y}
}

// draw puts the whole figure on a canvas of width × height.
func (f *Page) draw(c draw.Canvas) {
	c.SetColor(RGB(0xFFFFFF))
	c.Fill(c.Rectangle.Path())
	in := draw.Crop(c, margin, -margin, margin, -margin)

	y := in.Max.Y - 15
	in.FillText(Print(13, true, Ink), vg.Point{X: in.Min.X, Y: y}, f.Title)
	sub := Print(9, false, InkSoft)
	for i, line := range wrap(f.Subtitle, sub, in.Max.X-in.Min.X) {
		y -= 13 - 2*vg.Length(min(i, 1))
		in.FillText(sub, vg.Point{X: in.Min.X, Y: y}, line)
	}
	in.Max.Y = y - 8

	small := Print(7.5, false, InkSoft)
	lines := f.smallPrint(small, in.Max.X-in.Min.X)
	for i := len(lines) - 1; i >= 0; i-- {
		in.FillText(small, vg.Point{X: in.Min.X, Y: in.Min.Y}, lines[i])
		in.Min.Y += 9.5
	}
	in.Min.Y += 5

	if len(f.Legend) > 0 {
		in.Max.X -= f.drawLegend(in)
	}
	in.Max.Y -= f.HeadRoom
	f.drawPanels(in)
}

// maxFootLines bounds the small print, so that a run with many troubles still has room for its data.
const maxFootLines = 7

// smallPrint is the foot in lines: the source in full, and of the notes before it as many as there is room for.
func (f *Page) smallPrint(sty text.Style, limit vg.Length) []string {
	if len(f.Foot) == 0 {
		return nil
	}
	last := len(f.Foot) - 1
	source := wrap(f.Foot[last], sty, limit)
	var lines []string
	for i, note := range f.Foot[:last] {
		next := wrap(note, sty, limit)
		if len(lines)+len(next)+len(source)+1 > maxFootLines {
			lines = append(lines, fmt.Sprintf("and %d more notes of this kind: see %s.", last-i, cmp.Or(f.Rest, "the report")))
			break
		}
		lines = append(lines, next...)
	}
	return append(lines, source...)
}

// drawPanels tiles the panels from left to right, and rows of them from top to bottom, with data areas of the same size.
func (f *Page) drawPanels(c draw.Canvas) {
	const gap, name = 14, 15
	c.Min.Y += name
	columns := f.Columns
	if columns == 0 {
		columns = len(f.Panels)
	}
	rows := make([][]*plot.Plot, (len(f.Panels)+columns-1)/columns)
	for i := range rows {
		rows[i] = make([]*plot.Plot, columns)
	}
	for i, p := range f.Panels {
		rows[i/columns][i%columns] = p.Plot
	}
	if f.Panels[0].YLabel != "" {
		c.Min.X += name
	}
	cells := tiles(rows, c, gap, gap/2+name+f.HeadRoom)
	sty := Print(9, false, Ink)
	sty.XAlign = draw.XCenter
	for i, p := range f.Panels {
		cell := cells[i/columns][i%columns]
		data := p.DataCanvas(cell)
		p.Draw(cell)
		c.FillText(sty, vg.Point{X: data.Center().X, Y: cell.Min.Y - name + 2}, p.XLabel)
		if p.YLabel != "" {
			up := sty
			up.Rotation = math.Pi / 2
			c.FillText(up, vg.Point{X: cell.Min.X - 4, Y: data.Center().Y}, p.YLabel)
		}
	}
}

// drawLegend writes the legend at the right edge and returns the width it took. Where it is too tall it goes without its
// small print, and then closer together.
func (f *Page) drawLegend(c draw.Canvas) vg.Length {
	const sample, leadMore = 30, 10
	lead, room := vg.Length(15), c.Max.Y-c.Min.Y-f.HeadRoom
	list := slices.Clone(f.Legend)
	tall := vg.Length(0)
	for _, e := range list {
		tall += lead + leadMore*vg.Length(len(e.More))
	}
	if tall > room {
		for i := range list {
			list[i].More = nil
		}
		lead = min(lead, room/vg.Length(len(list)))
	}
	sty, small := Print(9, false, Ink), Print(7.5, false, InkSoft)
	var widest vg.Length
	for _, e := range list {
		widest = max(widest, sty.Width(e.Name))
		for _, m := range e.More {
			widest = max(widest, small.Width(m))
		}
	}
	taken := sample + 6 + widest
	x, y := c.Max.X-taken, c.Max.Y-f.HeadRoom-lead/2
	for _, e := range list {
		mid := y - 1
		if e.Line.Width > 0 {
			c.StrokeLine2(e.Line, x, mid, x+sample, mid)
		}
		if e.Dot != nil {
			c.DrawGlyph(*e.Dot, vg.Point{X: x + sample/2, Y: mid})
		}
		c.FillText(sty, vg.Point{X: x + sample + 6, Y: y - 4}, e.Name)
		for _, m := range e.More {
			y -= leadMore
			c.FillText(small, vg.Point{X: x + sample + 6, Y: y - 4}, m)
		}
		y -= lead
	}
	return taken + 12
}

// Save writes the figure as base.svg and base.png and returns both names.
func (f *Page) Save(base string) (svg, png string, err error) {
	svg, png = base+".svg", base+".png"
	if err = f.WriteSVG(svg); err == nil {
		err = f.WritePNG(png)
	}
	return svg, png, err
}

// WriteSVG writes the figure to an SVG file. The bytes depend on nothing but the data.
func (f *Page) WriteSVG(path string) error {
	vector := vgsvg.New(width, height)
	f.draw(draw.New(vector))
	var out bytes.Buffer
	if _, err := vector.WriteTo(&out); err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	// A reader without the Liberation fonts has one with the same measures.
	page := strings.ReplaceAll(out.String(), "font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		return fmt.Errorf("writing figure: %w", err)
	}
	return nil
}

// WritePNG writes the figure to a PNG file, as WriteSVG does.
func (f *Page) WritePNG(path string) error {
	pixels := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(pngDPI))
	f.draw(draw.New(pixels))
	var out bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: pixels}).WriteTo(&out); err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing figure: %w", err)
	}
	return nil
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
