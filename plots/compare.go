package plots

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/axis"
	"github.com/millrace/millrace/plots/compared"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/plots/glyph"
	"github.com/millrace/millrace/results"
)

// comparison is a dot plot of metrics: one, or a hollow and a filled one. Where log is set the axis is logarithmic, else it
// begins at zero.
type comparison struct {
	heading string
	label   string
	metrics []string
	unit    quantity.Unit
	log     bool
}

func burstFigure(s *sheet) (*frame.Page, string) {
	return s.dotFigure("drain time, goodput and recovery", []comparison{
		{"drain time", "lower is better", []string{"drain-time-ns"}, quantity.Time, false},
		{"goodput until drained", "higher is better", []string{"goodput-rps"}, quantity.PerSecond, false},
		{"p99 back to baseline", "after the burst; lower is better", []string{"recover-p99-ns"}, quantity.Time, false},
	})
}

func activeFigure(s *sheet) (*frame.Page, string) {
	return s.dotFigure("response time of the active few, and goroutines", []comparison{
		{"active: p50 (hollow), p99", "lower is better", []string{"p50-latency-ns", "active-p99-latency-ns"}, quantity.Time, true},
		{"goroutines per connection", "lower is better", []string{"goroutines-per-conn"}, quantity.Number, false},
	})
}

func churnFigure(s *sheet) (*frame.Page, string) {
	return s.dotFigure("accepted rate, connecting and answering", []comparison{
		{"connections accepted", "higher is better", []string{"accepted-rps"}, quantity.PerSecond, false},
		{"connect: p50 (hollow), p99", "lower is better", []string{"p50-connect-ns", "p99-connect-ns"}, quantity.Time, true},
		{"response: p50 (hollow), p99", "lower is better", []string{"p50-latency-ns", "p99-latency-ns"}, quantity.Time, true},
	})
}

func forestFigure(s *sheet) (*frame.Page, string) { return s.compared(compared.Forest) }

func roundsFigure(s *sheet) (*frame.Page, string) { return s.compared(compared.Rounds) }

// compared draws a figure of those shown, with the sheet's small print below its own.
func (s *sheet) compared(figure func(*results.Result, []compared.Contender) (*frame.Page, string)) (*frame.Page, string) {
	var shown []compared.Contender
	for _, c := range s.shown {
		shown = append(shown, compared.Contender{Name: c.name, Style: c.style, Trials: len(c.trials)})
	}
	f, note := figure(s.res, shown)
	if f != nil {
		f.Foot = s.foot(f.Foot...)
	}
	return f, note
}

// dotFigure draws the panels that have values; a panel without any is named in the small print.
func (s *sheet) dotFigure(what string, panels []comparison) (*frame.Page, string) {
	f := &frame.Page{Title: s.res.Run.Scenario.Name + ": " + what, HeadRoom: frame.HeadingRoom}
	var names axis.RowTicks
	var styles []glyph.Style
	var trials []int
	for _, c := range s.shown {
		names, styles, trials = append(names, c.name), append(styles, c.style), append(trials, len(c.trials))
	}
	var missing []string
	for _, k := range panels {
		d := &glyph.Dots{Unit: k.unit, Styles: styles, Trials: trials}
		for i, metric := range k.metrics {
			d.Series = append(d.Series, glyph.DotSeries{Hollow: i < len(k.metrics)-1, Rounds: s.metric(metric)})
		}
		lo, hi, ymin, ymax := d.DataRange()
		if math.IsInf(lo, 0) {
			missing = append(missing, fmt.Sprintf("not drawn: %s, not measured.", k.heading))
			continue
		}
		p := frame.NewPanel(k.label, "")
		p.Y.Min, p.Y.Max = ymin, ymax
		p.Y.Tick.Length = 0
		p.Y.Tick.Marker = axis.Unlabelled{Ticker: names}
		if len(f.Panels) == 0 {
			p.Y.Tick.Marker = names
		}
		k.scale(p.Plot, lo, hi)
		p.Add(frame.Grid{X: true, Y: true}, frame.Heading(k.heading), d)
		f.Panels = append(f.Panels, p)
	}
	if len(f.Panels) == 0 {
		return nil, "none of its metrics was measured"
	}
	f.Subtitle = "one row a variant, in the order given"
	if s.res.Run.Rounds > 1 {
		f.Subtitle += "; large mark and number: median over rounds, small dots: single rounds"
	}
	f.Foot = s.foot(missing...)
	return f, ""
}

// scale leaves room for the numbers at the right of the marks.
func (k comparison) scale(p *plot.Plot, lo, hi float64) {
	if k.log && lo > 0 {
		lo, hi = frame.LogRange(lo, hi)
		p.X.Min, p.X.Max = lo, hi*math.Pow(hi/lo, 0.9)
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, axis.LogTicks{Unit: k.unit}
		return
	}
	if hi <= 0 {
		hi = 1
	}
	p.X.Min, p.X.Max = min(0, lo), hi*1.55
	p.X.Tick.Marker = axis.LinearTicks{Unit: k.unit, Want: 4}
}

// metric lists a metric of the shown contenders, by row and round.
func (s *sheet) metric(name string) [][]float64 {
	rows := make([][]float64, len(s.shown))
	for i, c := range s.shown {
		for _, t := range c.trials {
			if v, ok := t.Metrics[name]; ok {
				rows[i] = append(rows[i], v)
			}
		}
	}
	return rows
}

// memoryFigure draws user and kernel memory against the number of connections, with the fitted lines.
func memoryFigure(s *sheet) (*frame.Page, string) {
	f := &frame.Page{Title: s.res.Run.Scenario.Name + ": memory by number of connections", HeadRoom: frame.HeadingRoom}
	var own []string
	for _, k := range []struct {
		metric, heading string
		growth          bool // drawn from the line's intercept on: what the host holds without connections says nothing
	}{
		{"user-bytes-per-conn", "server process (anonymous RSS)", false},
		{"kernel-bytes-per-conn", "kernel growth (slab, sockets, both ends)", true},
	} {
		p := frame.NewPanel("open connections", "")
		p.Add(frame.Grid{X: true, Y: true}, frame.Heading(k.heading))
		far, lo, hi := s.ladder(p.Plot, k.metric, k.growth)
		if far == 0 {
			own = append(own, fmt.Sprintf("not drawn: %s, no slope was measured.", k.heading))
			continue
		}
		p.X.Min, p.X.Max, p.X.Tick.Marker = 0, far*1.06, axis.LinearTicks{Unit: quantity.Number, Want: 4}
		p.Y.Min, p.Y.Max, p.Y.Tick.Marker = lo, hi*1.06, axis.LinearTicks{Unit: quantity.Bytes}
		if len(f.Panels) == 0 {
			p.YLabel = "memory"
		}
		f.Panels = append(f.Panels, p)
	}
	if len(f.Panels) == 0 {
		return nil, "no slope was measured: it needs four steps of connections"
	}
	for _, c := range s.shown {
		e := frame.Entry{Name: c.name, Line: c.style.Line(), Dot: &draw.GlyphStyle{Color: c.style.Color, Radius: 3, Shape: c.style.Glyph}}
		for _, k := range []struct{ name, metric string }{{"user", "user-bytes-per-conn"}, {"kernel", "kernel-bytes-per-conn"}} {
			if t := medianSlope(c.trials, k.metric); t != nil {
				e.More = append(e.More, k.name+" "+quantity.Format(t.Slopes[k.metric].PerConn, quantity.Bytes)+"/conn")
			}
		}
		f.Legend = append(f.Legend, e)
	}
	f.Subtitle = "marks: steps of the ladder; lines: Theil–Sen fit, whose slope is the bytes of one connection"
	if s.res.Run.Rounds > 1 {
		f.Subtitle += "; bold: median round"
	}
	f.Foot = s.foot(own...)
	return f, ""
}

// ladder adds the points and lines of one slope to a panel: of the round with the median slope in bold, and the points of
// the others small. It returns the largest x and y; zero if there are none.
func (s *sheet) ladder(p *plot.Plot, metric string, growth bool) (far, lo, hi float64) {
	for _, c := range s.shown {
		middle := medianSlope(c.trials, metric)
		if middle == nil {
			continue
		}
		for _, t := range c.trials {
			slope, ok := t.Slopes[metric]
			if !ok {
				continue
			}
			bold := t == middle
			g := draw.GlyphStyle{Color: c.style.Thin().Color, Radius: 1.5, Shape: c.style.Glyph}
			if bold {
				g.Color, g.Radius = c.style.Color, 3
			}
			base := 0.0
			if growth {
				base = slope.Intercept
			}
			var points plotter.XYs
			for _, v := range slope.Points {
				points = append(points, plotter.XY{X: v[0], Y: v[1] - base})
				far, lo, hi = max(far, v[0]), min(lo, v[1]-base), max(hi, v[1]-base)
			}
			p.Add(&plotter.Scatter{XYs: points, GlyphStyle: g})
			if bold && len(points) > 0 {
				end := points[len(points)-1].X
				frame.AddLine(p, c.style.Line(), plotter.XYs{{X: 0, Y: slope.Intercept - base}, {X: end, Y: slope.Intercept - base + slope.PerConn*end}}, plotter.NoStep)
			}
		}
	}
	return far, lo, hi
}

// medianSlope is the trial whose slope is the (lower) median of its variant's, or nil.
func medianSlope(trials []*results.Trial, metric string) *results.Trial {
	var best *results.Trial
	var values []float64
	for _, t := range trials {
		if s, ok := t.Slopes[metric]; ok {
			values = append(values, s.PerConn)
		}
	}
	if len(values) == 0 {
		return nil
	}
	m := inference.Median(values)
	for _, t := range trials {
		if s, ok := t.Slopes[metric]; ok && (best == nil || math.Abs(s.PerConn-m) < math.Abs(best.Slopes[metric].PerConn-m)) {
			best = t
		}
	}
	return best
}
