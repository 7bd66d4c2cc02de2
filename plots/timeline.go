package plots

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/axis"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/plots/glyph"
	"github.com/millrace/millrace/results"
)

const secondsLabel = "seconds after T0, connecting included"

func rssFigure(s *sheet) (*frame.Page, string) {
	return s.readingFigure("resident memory of the server", "RSS (bytes)", quantity.Bytes,
		func(r *results.Reading) *int64 { return r.RSSBytes })
}

func goroutineFigure(s *sheet) (*frame.Page, string) {
	return s.readingFigure("goroutines of the server", "goroutines", quantity.Number,
		func(r *results.Reading) *int64 { return r.Goroutines })
}

// readingFigure draws a reading over time. Where the variants differ by more than thirty times at their peaks the axis
// is logarithmic, so that the small ones are not a line on the floor.
func (s *sheet) readingFigure(what, label string, unit quantity.Unit, value func(*results.Reading) *int64) (*frame.Page, string) {
	end := s.end()
	lines, own := s.overRounds(func(t *results.Trial) (plotter.XYs, error) {
		readings, err := s.res.Readings(t.ID)
		return gridReadings(readings, end, value), err
	})
	lo, hi, ok := peaks(lines)
	if !ok {
		return nil, strings.Join(append([]string{"no readings of " + what}, own...), "; ")
	}
	p := frame.NewPanel(secondsLabel, label)
	p.Y.Min, p.Y.Max = 0, hi*1.05
	p.Y.Tick.Marker = axis.LinearTicks{Unit: unit}
	subtitle := "linear scale from zero"
	if lo > 0 && hi > 30*lo {
		least := math.Pow(10, math.Floor(math.Log10(lowest(lines))))
		p.Y.Scale, p.Y.Min, p.Y.Max = plot.LogScale{}, least, hi*1.3
		p.Y.Tick.Marker = axis.LogTicks{Unit: unit}
		subtitle = "logarithmic scale"
	}
	f := s.timeFrame(p, end, lines, nil, what+" over time", subtitle)
	f.Foot = s.foot(own...)
	return f, ""
}

func throughputFigure(s *sheet) (*frame.Page, string) {
	end := s.end()
	cell := intervalCell(s.shown[0].trials[0], end)
	if cell == 0 {
		return nil, "no intervals were recorded"
	}
	lines, _ := s.overRounds(func(t *results.Trial) (plotter.XYs, error) {
		return gridIntervals(t, cell, func(v results.Interval) int64 { return v.OK }), nil
	})
	planned := gridIntervals(s.shown[0].trials[0], cell, func(v results.Interval) int64 { return v.Planned })
	least, highest := math.Inf(1), 0.0
	for _, v := range planned {
		if v.Y > 0 {
			least = min(least, v.Y)
		}
		highest = max(highest, v.Y)
	}
	_, peak, ok := peaks(lines)
	highest = max(highest, peak)
	if !ok || highest == 0 {
		return nil, "no replies were counted"
	}
	p := frame.NewPanel(secondsLabel, "good replies (requests/s)")
	p.Y.Min, p.Y.Max = 0, highest*1.08
	p.Y.Tick.Marker = axis.LinearTicks{Unit: quantity.PerSecond}
	subtitle := "linear scale"
	if highest >= 8*least {
		linear := math.Pow(10, math.Floor(math.Log10(least)+1e-9))
		p.Y.Scale, p.Y.Max = axis.Symlog(linear), highest*1.3
		p.Y.Tick.Marker = axis.SymlogTicks{Linear: linear, Unit: quantity.PerSecond}
		subtitle = fmt.Sprintf("logarithmic scale, linear below %s", quantity.Tick(linear, quantity.PerSecond))
	}
	subtitle += fmt.Sprintf("; intervals of %s", quantity.Tick(cell*1e9, quantity.Time))
	if closed(planned) {
		planned = nil // a closed loop plans no rate
	}
	return s.timeFrame(p, end, lines, planned, "achieved and planned rate over time", subtitle), ""
}

func closed(planned plotter.XYs) bool {
	for _, v := range planned {
		if v.Y > 0 {
			return false
		}
	}
	return true
}

// timeFrame draws lines over time with the phases behind them.
func (s *sheet) timeFrame(p frame.Panel, end float64, lines []roundLines, planned plotter.XYs, what, subtitle string) *frame.Page {
	p.X.Min, p.X.Max = 0, end
	p.X.Tick.Marker = axis.SecondTicks{}
	p.Add(s.bands(), frame.Grid{Y: true})
	for i, l := range lines {
		for _, r := range l.rounds {
			if len(l.rounds) > 1 {
				frame.AddLine(p.Plot, s.shown[i].style.Thin(), r, plotter.NoStep)
			}
		}
	}
	f := &frame.Page{Title: s.res.Run.Scenario.Name + ": " + what, Subtitle: subtitle, Foot: s.foot(), HeadRoom: glyph.PhaseRoom}
	for i, l := range lines {
		frame.AddLine(p.Plot, s.shown[i].style.Line(), l.median, plotter.NoStep)
	}
	if planned != nil {
		sty := draw.LineStyle{Color: frame.Ink, Width: 0.9, Dashes: []vg.Length{1, 2}}
		frame.AddLine(p.Plot, sty, planned, plotter.MidStep)
		f.Legend = append(f.Legend, frame.Entry{Name: "planned", Line: sty})
	}
	f.Panels = []frame.Panel{p}
	f.Legend = append(f.Legend, s.legend()...)
	if s.res.Run.Rounds > 1 {
		f.Subtitle += "; bold: median over rounds, thin: single rounds"
	}
	return f
}

func (s *sheet) legend() []frame.Entry {
	var list []frame.Entry
	for _, c := range s.shown {
		list = append(list, frame.Entry{Name: c.name, Line: c.style.Line()})
	}
	return list
}

// roundLines are the lines of a contender, one a round on a common grid, and their median.
type roundLines struct {
	rounds []plotter.XYs
	median plotter.XYs
}

// overRounds makes a line of every trial shown. A trial whose files can't be read is drawn as far as they can, and notes
// say so.
func (s *sheet) overRounds(line func(*results.Trial) (plotter.XYs, error)) (lines []roundLines, notes []string) {
	lines = make([]roundLines, len(s.shown))
	for i, c := range s.shown {
		for _, t := range c.trials {
			l, err := line(t)
			if err != nil {
				notes = append(notes, fmt.Sprintf("incomplete: %s round %d, %v.", c.name, t.Round, err))
			}
			lines[i].rounds = append(lines[i].rounds, l)
		}
		lines[i].median = medians(lines[i].rounds)
	}
	return lines, notes
}

// end is the end of the last phase in s after T0.
func (s *sheet) end() float64 {
	end := 1.0
	if p := s.phases(); len(p) > 0 {
		end = float64(p[len(p)-1].ToNs) / 1e9
	}
	return end
}

// gridReadings puts a value on the grid of cells from 0 to end: the largest reading in each cell, so that a peak is seen;
// the last one before where a cell has none for less than a second.
func gridReadings(readings []results.Reading, end float64, value func(*results.Reading) *int64) plotter.XYs {
	cell := cellSeconds(end)
	line := make(plotter.XYs, int(end/cell)+1)
	for i := range line {
		line[i] = plotter.XY{X: float64(i) * cell, Y: math.NaN()}
	}
	for i := range readings {
		v := value(&readings[i])
		k := int(math.Round(float64(readings[i].TNs) / 1e9 / cell))
		if v == nil || k < 0 || k >= len(line) {
			continue
		}
		if math.IsNaN(line[k].Y) || float64(*v) > line[k].Y {
			line[k].Y = float64(*v)
		}
	}
	held := 0.0
	for i := 1; i < len(line); i++ {
		if !math.IsNaN(line[i].Y) {
			held = 0
			continue
		}
		if held += cell; held < 1 {
			line[i].Y = line[i-1].Y
		}
	}
	return line
}

// intervalCell is the length in s of a point of the rate: a whole number of the trial's intervals. Zero without any.
func intervalCell(t *results.Trial, end float64) float64 {
	interval := float64(t.IntervalNs) / 1e9
	if interval <= 0 || len(t.Intervals) == 0 {
		return 0
	}
	return interval * math.Max(1, math.Ceil(cellSeconds(end)/interval-1e-9))
}

// gridIntervals is a count's rate per second in cells of the given length; each point stands in the middle of its cell.
func gridIntervals(t *results.Trial, cell float64, count func(results.Interval) int64) plotter.XYs {
	per := max(1, int(math.Round(cell*1e9/float64(max(t.IntervalNs, 1)))))
	line := make(plotter.XYs, 0, len(t.Intervals)/per+1)
	for i := 0; i+per <= len(t.Intervals); i += per {
		var sum int64
		for _, v := range t.Intervals[i : i+per] {
			sum += count(v)
		}
		line = append(line, plotter.XY{X: (float64(i/per) + 0.5) * cell, Y: float64(sum) / cell})
	}
	return line
}

// peaks is the lowest and the highest of the lines' largest values, single rounds included.
func peaks(lines []roundLines) (lo, hi float64, ok bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		top := math.Inf(-1)
		for _, r := range l.rounds {
			for _, v := range r {
				if !math.IsNaN(v.Y) {
					top = max(top, v.Y)
				}
			}
		}
		if !math.IsInf(top, -1) {
			lo, hi, ok = min(lo, top), max(hi, top), true
		}
	}
	return lo, hi, ok
}

// lowest is the smallest value above zero.
func lowest(lines []roundLines) float64 {
	least := math.Inf(1)
	for _, l := range lines {
		for _, r := range l.rounds {
			for _, v := range r {
				if v.Y > 0 {
					least = min(least, v.Y)
				}
			}
		}
	}
	return least
}
