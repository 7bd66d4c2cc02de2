package plots

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/axis"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/plots/glyph"
)

// LoadLatency is a sweep of one server: what its response time is at each load.
type LoadLatency struct {
	Title  string
	Points []LoadPoint // in increasing order of what was offered
	// CapacityRPS is what a closed loop reached, zero where that is not known.
	CapacityRPS float64
	// KneeRPS lies in [KneeFrom, KneeTo]; zero without a knee, and NoKnee says why.
	KneeRPS, KneeFrom, KneeTo float64
	NoKnee                    string
	Source                    string // the last line of the small print: who, where, with what
}

// LoadPoint is one trial of a sweep. A percentile is nil where too few requests support it.
type LoadPoint struct {
	OfferedRPS     float64 // planned requests ÷ length
	AchievedRPS    float64 // good replies within it ÷ length
	P50, P99, P999 *int64
	// Invalid is why the point says nothing of the server; empty where it counts.
	Invalid string
}

// departed is the share of what is offered below which the achieved rate has left the diagonal: what a trial cuts off at
// its end is less.
const departed = 0.99

func (p *LoadPoint) behind() bool { return p.AchievedRPS < departed*p.OfferedRPS }

// loadSeries are the lines of the figure, which is of one server: the colours tell percentiles apart.
var loadSeries = []struct {
	name  string
	of    func(*LoadPoint) *int64
	style glyph.Style
}{
	{"p99.9", func(p *LoadPoint) *int64 { return p.P999 }, glyph.Style{Color: frame.RGB(0xCC79A7), Width: 1.8, Dashes: []vg.Length{9, 2.5, 2, 2.5}, Glyph: glyph.Diamond{}}},
	{"p99", func(p *LoadPoint) *int64 { return p.P99 }, glyph.Style{Color: frame.RGB(0xD55E00), Width: 1.8, Glyph: draw.BoxGlyph{}}},
	{"p50", func(p *LoadPoint) *int64 { return p.P50 }, glyph.Style{Color: frame.RGB(0x0072B2), Width: 1.8, Glyph: draw.CircleGlyph{}}},
}

var (
	kneeInk       = frame.RGB(0x009E73)
	kneeBandInk   = frame.RGB(0xDDF1EA)
	capacityStyle = draw.LineStyle{Color: frame.InkSoft, Width: 1.1, Dashes: []vg.Length{6, 3}}
	diagonalStyle = draw.LineStyle{Color: frame.Ink, Width: 0.9, Dashes: []vg.Length{1, 2}}
	achievedStyle = glyph.Style{Color: frame.Ink, Width: 1.8, Glyph: draw.CircleGlyph{}}
)

// DrawLoadLatency draws a sweep into path, an SVG or PNG file by its extension: response time against the achieved rate, and
// beside it the achieved rate against the offered one. From the point on where these two part, a queue grew as long as the
// trial lasted, and its marks are hollow: how high they lie is a matter of the trial's length.
func DrawLoadLatency(d LoadLatency, path string) error {
	f, err := d.page()
	if err != nil {
		return err
	}
	switch ext := filepath.Ext(path); ext {
	case ".svg":
		return f.WriteSVG(path)
	case ".png":
		return f.WritePNG(path)
	default:
		return fmt.Errorf("drawing %s: format %q: want .svg or .png", path, ext)
	}
}

// page is the figure before it is drawn.
func (d *LoadLatency) page() (*frame.Page, error) {
	far, lo, hi := d.CapacityRPS, math.Inf(1), 0.0
	for i := range d.Points {
		p := &d.Points[i]
		far = max(far, p.OfferedRPS, p.AchievedRPS)
		for _, s := range loadSeries {
			if v := s.of(p); v != nil {
				lo, hi = min(lo, float64(*v)), max(hi, float64(*v))
			}
		}
	}
	if hi == 0 {
		return nil, fmt.Errorf("drawing load and latency: none of %d points has a percentile: want longer trials (-d)", len(d.Points))
	}
	f := &frame.Page{
		Title:    d.Title,
		Subtitle: "response time from the intended time, logarithmic scale; right: off the diagonal, less was achieved than offered, and a queue grew",
		HeadRoom: frame.HeadingRoom + kneeRoom,
		Rest:     "the table of the sweep",
	}
	curve := frame.NewPanel("achieved rate (good replies/s)", "response time")
	curve.X.Min, curve.X.Max = 0, far*1.04
	curve.X.Tick.Marker = axis.LinearTicks{Unit: quantity.PerSecond, Want: 5}
	curve.Y.Min, curve.Y.Max = frame.LogRange(lo, hi)
	curve.Y.Scale, curve.Y.Tick.Marker = plot.LogScale{}, axis.LogTicks{Unit: quantity.Time}
	curve.Add(aboveData("response time against load"), d.knee(), frame.Grid{X: true, Y: true}, kneeLine{d.knee()}, upright{d.CapacityRPS})
	right := frame.NewPanel("offered rate (requests/s)", "")
	right.X.Min, right.X.Max, right.Y.Min, right.Y.Max = 0, far*1.04, 0, far*1.04
	right.X.Tick.Marker = curve.X.Tick.Marker
	right.Y.Tick.Marker = axis.LinearTicks{Unit: quantity.PerSecond}
	right.Add(frame.Grid{X: true, Y: true}, aboveData("achieved against offered rate"))
	if d.CapacityRPS > 0 {
		frame.AddLine(right.Plot, capacityStyle, plotter.XYs{{X: 0, Y: d.CapacityRPS}, {X: far * 1.04, Y: d.CapacityRPS}}, plotter.NoStep)
	}
	frame.AddLine(right.Plot, diagonalStyle, plotter.XYs{{}, {X: far * 1.04, Y: far * 1.04}}, plotter.NoStep)
	d.lines(f, curve.Plot, right.Plot)
	f.Panels = []frame.Panel{curve, right}
	d.words(f)
	return f, nil
}

// addCurve draws a line in bold up to its point number n, and from there on in thin: what is beyond says little.
func addCurve(p *plot.Plot, sty glyph.Style, line plotter.XYs, n int) {
	frame.AddLine(p, sty.Line(), line[:min(n+1, len(line))], plotter.NoStep)
	if n < len(line) {
		frame.AddLine(p, draw.LineStyle{Color: sty.Color, Width: 0.7}, line[n:], plotter.NoStep)
	}
}

// lines draws the data of both panels, and names it in the legend.
func (d *LoadLatency) lines(f *frame.Page, curve, right *plot.Plot) {
	for _, s := range loadSeries {
		var line plotter.XYs
		var marks loadMarks
		whole := len(d.Points)
		for i := range d.Points {
			p := &d.Points[i]
			at := plotter.XY{X: p.AchievedRPS, Y: math.NaN()}
			if v := s.of(p); v != nil {
				at.Y = float64(*v)
				marks = append(marks, loadMark{at.X, at.Y, s.style, p.behind(), p.Invalid != ""})
			}
			if p.Invalid != "" {
				at.Y = math.NaN() // struck out: it says nothing, and neither would a line past it
			} else if p.behind() {
				whole = min(whole, max(len(line)-1, 0))
			}
			line = append(line, at)
		}
		if len(marks) == 0 {
			continue
		}
		addCurve(curve, s.style, line, whole)
		curve.Add(marks)
		f.Legend = append(f.Legend, frame.Entry{Name: s.name, Line: s.style.Line(), Dot: &draw.GlyphStyle{Color: s.style.Color, Radius: 3, Shape: s.style.Glyph}})
	}
	var line plotter.XYs
	var marks loadMarks
	for i := range d.Points {
		p := &d.Points[i]
		marks = append(marks, loadMark{p.OfferedRPS, p.AchievedRPS, achievedStyle, p.behind(), p.Invalid != ""})
		at := plotter.XY{X: p.OfferedRPS, Y: p.AchievedRPS}
		if p.Invalid != "" {
			at.Y = math.NaN()
		}
		line = append(line, at)
	}
	frame.AddLine(right, achievedStyle.Line(), line, plotter.NoStep)
	right.Add(marks)
}

// words are the rest of the legend and the small print.
func (d *LoadLatency) words(f *frame.Page) {
	f.Legend = append(f.Legend, frame.Entry{Name: "achieved", Line: achievedStyle.Line()}, frame.Entry{Name: "achieved = offered", Line: diagonalStyle})
	if d.CapacityRPS > 0 {
		f.Legend = append(f.Legend, frame.Entry{Name: "closed loop", More: []string{quantity.Format(d.CapacityRPS, quantity.PerSecond)}, Line: capacityStyle})
	}
	if d.KneeRPS > 0 {
		f.Legend = append(f.Legend, frame.Entry{Name: "knee", More: []string{quantity.Format(d.KneeRPS, quantity.PerSecond), "highest rate ÷ mean response time;", "shaded: within 5 % of it"}, Line: draw.LineStyle{Color: kneeInk, Width: 1.6}})
	} else if d.NoKnee != "" {
		f.Foot = append(f.Foot, "knee: "+d.NoKnee+".")
	}
	var behind []string
	for i := range d.Points {
		if p := &d.Points[i]; p.Invalid == "" && p.behind() {
			behind = append(behind, quantity.Format(p.OfferedRPS, quantity.PerSecond))
		}
	}
	if len(behind) > 0 {
		f.Legend = append(f.Legend, frame.Entry{Name: "hollow", More: []string{"achieved < 99 % of offered"}, Dot: &draw.GlyphStyle{Color: frame.Ink, Radius: 3, Shape: draw.RingGlyph{}}})
		f.Foot = append(f.Foot, fmt.Sprintf("hollow, joined by thin lines: less was achieved than the %s offered, so that the response time there grows with the length of the trial.", strings.Join(behind, ", ")))
	}
	struck := d.struck()
	if len(struck) > 0 {
		f.Legend = append(f.Legend, frame.Entry{Name: "struck out", More: []string{"INVALID: says nothing of the server"}, Dot: &draw.GlyphStyle{Color: struckInk, Radius: 3, Shape: glyph.Struck{Mark: draw.CircleGlyph{}, Ink: frame.Ink}}})
	}
	if few := d.unsupported(); few != "" {
		f.Foot = append(f.Foot, few)
	}
	f.Foot = append(append(f.Foot, struck...), d.Source)
}

// struck says which points are struck out, and why: a line for each check that made some INVALID, in full where it was one.
func (d *LoadLatency) struck() []string {
	var checks []string
	rates, reasons := map[string][]string{}, map[string]string{}
	for i := range d.Points {
		p := &d.Points[i]
		if p.Invalid == "" {
			continue
		}
		check, _, _ := strings.Cut(p.Invalid, ":")
		if rates[check] == nil {
			checks = append(checks, check)
		}
		rates[check] = append(rates[check], quantity.Format(p.OfferedRPS, quantity.PerSecond))
		reasons[check], _, _ = strings.Cut(p.Invalid, " (")
	}
	var lines []string
	for _, check := range checks {
		why := check
		if len(rates[check]) == 1 {
			why = reasons[check]
		}
		lines = append(lines, "struck out: "+strings.Join(rates[check], ", ")+", INVALID: "+why+".")
	}
	return lines
}

// unsupported names the percentiles that some points lack.
func (d *LoadLatency) unsupported() string {
	var names []string
	for _, s := range loadSeries {
		if slices.ContainsFunc(d.Points, func(p LoadPoint) bool { return s.of(&p) == nil }) {
			names = append(names, s.name)
		}
	}
	if names == nil {
		return ""
	}
	return strings.Join(names, ", ") + ": left out where fewer than 100 requests lie beyond it, or so many had no good reply that it is not known."
}

// kneeRoom is the line above the data that names the knee.
const kneeRoom = vg.Length(11)

// aboveData is a heading with the knee's line left free below it.
type aboveData string

// Plot implements plot.Plotter.
func (h aboveData) Plot(c draw.Canvas, p *plot.Plot) {
	c.Max.Y += kneeRoom
	frame.Heading(h).Plot(c, p)
}

// kneeBand shades the knee, below the grid.
type kneeBand struct{ at, from, to float64 }

func (d *LoadLatency) knee() kneeBand { return kneeBand{d.KneeRPS, d.KneeFrom, d.KneeTo} }

// Plot implements plot.Plotter.
func (k kneeBand) Plot(c draw.Canvas, p *plot.Plot) {
	if trX, _ := p.Transforms(&c); k.at > 0 {
		c.SetColor(kneeBandInk)
		c.Fill(vg.Rectangle{Min: vg.Point{X: trX(k.from), Y: c.Min.Y}, Max: vg.Point{X: trX(k.to), Y: c.Max.Y}}.Path())
	}
}

// kneeLine is the knee itself, above the grid, with its rate above the data.
type kneeLine struct{ kneeBand }

// Plot implements plot.Plotter.
func (k kneeLine) Plot(c draw.Canvas, p *plot.Plot) {
	if k.at <= 0 {
		return
	}
	trX, _ := p.Transforms(&c)
	c.StrokeLine2(draw.LineStyle{Color: kneeInk, Width: 1.6}, trX(k.at), c.Min.Y, trX(k.at), c.Max.Y)
	sty := frame.Print(8.5, true, kneeInk)
	sty.XAlign = draw.XCenter
	c.FillText(sty, vg.Point{X: trX(k.at), Y: c.Max.Y + 3}, "knee "+quantity.Format(k.at, quantity.PerSecond))
}

// upright is the closed loop's capacity on the axis of rates.
type upright struct{ at float64 }

// Plot implements plot.Plotter.
func (u upright) Plot(c draw.Canvas, p *plot.Plot) {
	if trX, _ := p.Transforms(&c); u.at > 0 {
		c.StrokeLine2(capacityStyle, trX(u.at), c.Min.Y, trX(u.at), c.Max.Y)
	}
}

// loadMark is a point's mark: filled, hollow where the queue grew, grey and crossed out where it is INVALID.
type loadMark struct {
	x, y            float64
	style           glyph.Style
	hollow, invalid bool
}

type loadMarks []loadMark

// Plot implements plot.Plotter.
func (m loadMarks) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	for _, k := range m {
		at := vg.Point{X: trX(k.x), Y: trY(k.y)}
		g := draw.GlyphStyle{Color: k.style.Color, Radius: 3, Shape: k.style.Glyph}
		if k.invalid {
			g.Color, g.Shape = struckInk, glyph.Struck{Mark: k.style.Glyph, Ink: frame.Ink}
		}
		c.DrawGlyph(g, at)
		if k.hollow && !k.invalid {
			c.DrawGlyph(draw.GlyphStyle{Color: frame.RGB(0xFFFFFF), Radius: 1.6, Shape: draw.CircleGlyph{}}, at)
		}
	}
}

// struckInk is the colour of a mark that is struck out.
var struckInk = frame.RGB(0xB0B0B0)
