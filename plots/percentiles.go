package plots

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots/axis"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/plots/glyph"
	"github.com/millrace/millrace/results"
)

// maxPanels is how many percentile panels stand side by side.
const maxPanels = 3

// firstNines is where the axis begins: the median.
var firstNines = axis.Nines(0.5)

// percentileFigure has one panel for each measured phase with arrivals. Each has its own latency axis: what a burst does is
// a matter of seconds, and the baseline one of microseconds.
func percentileFigure(s *sheet) (*frame.Page, string) {
	f := &frame.Page{Legend: s.legend(), HeadRoom: frame.HeadingRoom}
	far := 1.0
	banded := false
	names := s.curvePhases()
	byPhase, notes := s.phaseLines(names)
	for k, name := range names {
		lines := byPhase[k]
		p := frame.NewPanel("percentile of requests", "")
		p.Add(frame.Grid{X: true, Y: true}, frame.Heading("phase "+name))
		lo, hi := math.Inf(1), 0.0
		for i, l := range lines {
			for _, r := range l.rounds {
				for _, v := range r {
					if !math.IsNaN(v.Y) && v.X >= firstNines {
						lo, hi, far = min(lo, v.Y), max(hi, v.Y), max(far, v.X)
					}
				}
			}
			banded = s.addRounds(p.Plot, i, l.rounds) || banded
		}
		for i, l := range lines {
			frame.AddLine(p.Plot, s.shown[i].style.Line(), l.median, plotter.NoStep)
		}
		if hi > 0 {
			p.Y.Min, p.Y.Max = frame.LogRange(lo, hi)
			p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, axis.LogTicks{Unit: quantity.Time}
			f.Panels = append(f.Panels, p)
		}
	}
	if len(f.Panels) == 0 {
		return nil, "no measured phase has the 100 requests that a median needs"
	}
	f.Panels[0].YLabel = "response time"
	for _, p := range f.Panels {
		p.X.Min, p.X.Max, p.X.Tick.Marker = firstNines, far, axis.NinesTicks{}
	}
	f.Title = s.res.Run.Scenario.Name + ": response time by percentile"
	f.Subtitle = "from the intended time, logarithmic scale; lower is better"
	if len(f.Panels) > 1 {
		f.Subtitle += "; each phase has its own scale"
	}
	if s.res.Run.Rounds > 1 {
		f.Subtitle += "; bold: median over rounds"
	}
	if banded {
		f.Subtitle += ", shaded: its pointwise 95 % band"
		notes = append(notes, s.bandless()...)
	}
	f.Foot = s.foot(notes...)
	return f, ""
}

// addRounds adds what the rounds of a contender are besides their median: its band, or where they are too few for one, thin
// lines. It tells whether there is a band.
func (s *sheet) addRounds(p *plot.Plot, contender int, rounds []plotter.XYs) bool {
	style := s.shown[contender].style
	if len(rounds) >= compare.IntervalRounds {
		p.Add(glyph.Band{Color: style.Color, Of: len(s.shown), Edges: s.band(rounds)})
		return true
	}
	if len(rounds) > 1 {
		for _, r := range rounds {
			frame.AddLine(p, style.Thin(), r, plotter.NoStep)
		}
	}
	return false
}

// bandless names the contenders without a band where others have one.
func (s *sheet) bandless() []string {
	var list []string
	for _, c := range s.shown {
		if n := len(c.trials); n < compare.IntervalRounds {
			list = append(list, fmt.Sprintf("%s (%d)", c.name, n))
		}
	}
	if len(list) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("no band but thin lines, each a round: %s, fewer than %d rounds that count.", strings.Join(list, ", "), compare.IntervalRounds)}
}

// curvePhases are the measured phases with arrivals; of more than maxPanels the overloaded ones and the last.
func (s *sheet) curvePhases() []string {
	var names []string
	for _, p := range s.phases() {
		if p.Measure && p.Planned > 0 {
			names = append(names, p.Name)
		}
	}
	return names[max(0, len(names)-maxPanels):]
}

// fullPoints is a curve that reaches as far as any, curvePoints its length.
var (
	fullPoints  = fullCurve()
	curvePoints = len(fullPoints)
)

// fullCurve is a curve with every point that hist has, to give all curves a common grid.
func fullCurve() []hist.Point {
	h := hist.New()
	h.RecordN(1, 1<<50)
	return h.Curve(0)
}

// phaseLines makes a line of every trial shown in each of the phases: lines[k][i] are those of contender i in phase k. Notes
// name the trials whose log can't be read.
func (s *sheet) phaseLines(names []string) (lines [][]roundLines, notes []string) {
	lines = make([][]roundLines, len(names))
	for k := range lines {
		lines[k] = make([]roundLines, len(s.shown))
	}
	for i, c := range s.shown {
		for _, t := range c.trials {
			curves, err := s.curves(t, names)
			if err != nil {
				notes = append(notes, fmt.Sprintf("incomplete: %s round %d, %v.", c.name, t.Round, err))
			}
			for k := range names {
				lines[k][i].rounds = append(lines[k][i].rounds, curves[k])
			}
		}
		for k := range names {
			lines[k][i].median = medians(lines[k][i].rounds)
		}
	}
	return lines, notes
}

// curves are the percentile curves of one trial's phases on the common grid, not a number where the rule of hist.Curve
// refuses a percentile or the log lacks the phase. The log is read once, since that is what takes time.
func (s *sheet) curves(t *results.Trial, names []string) ([]plotter.XYs, error) {
	curves := make([]plotter.XYs, len(names))
	histograms := make([]*hist.Histogram, len(names))
	for k := range curves {
		curves[k] = make(plotter.XYs, curvePoints)
		for i, p := range fullPoints {
			curves[k][i] = plotter.XY{X: axis.Nines(p.Quantile), Y: math.NaN()}
		}
	}
	entries, err := s.res.Log(t.ID, "response")
	if err != nil {
		return curves, err
	}
	for _, e := range entries {
		if k := slices.Index(names, e.Tag); k >= 0 {
			if histograms[k] == nil {
				histograms[k] = hist.New()
			}
			histograms[k].Merge(e.Histogram)
		}
	}
	for k, name := range names {
		p := phase(t, name)
		switch {
		case p == nil || p.Outcomes["ok"] == 0:
		case histograms[k] == nil:
			err = fmt.Errorf("its log has no phase %q", name)
		default:
			for i, point := range histograms[k].Curve(p.Planned - p.Outcomes["ok"]) {
				curves[k][i].Y = float64(max(point.Ns, 1))
			}
		}
	}
	return curves, err
}

// resamples is how many draws of rounds a band rests on.
const resamples = 2000

// band is the pointwise interval of the median over rounds, at the confidence 1 − compare.Alpha: whole rounds are drawn, never
// requests. Where fewer than compare.IntervalRounds have the percentile it has none.
func (s *sheet) band(rounds []plotter.XYs) []glyph.Edge {
	if len(rounds) == 0 {
		return nil
	}
	edges := make([]glyph.Edge, len(rounds[0]))
	values, count := make([]float64, 0, len(rounds)), make([]int, len(rounds))
	for i := range edges {
		edges[i] = glyph.Edge{X: rounds[0][i].X, Lo: math.NaN(), Hi: math.NaN()}
		values = values[:0]
		for _, r := range rounds {
			if !math.IsNaN(r[i].Y) {
				values = append(values, r[i].Y)
			}
		}
		if len(values) < compare.IntervalRounds || 2*len(values) < len(rounds) || edges[i].X < firstNines {
			continue
		}
		slices.Sort(values)
		edges[i].Lo, edges[i].Hi = inference.BlockBootstrap(len(values), resamples, 1-compare.Alpha, s.res.Run.Seed, func(index []int) float64 {
			return drawnMedian(values, index, count)
		})
	}
	return edges
}

// drawnMedian is the median of sorted[i] for all i of index, found by counting: sorting each draw took most of a figure's time.
// count is scratch, at least as long as sorted.
func drawnMedian(sorted []float64, index, count []int) float64 {
	count = count[:len(sorted)]
	clear(count)
	for _, i := range index {
		count[i]++
	}
	n, at, i := len(index), 0, -1
	for at <= (n-1)/2 {
		i++
		at += count[i]
	}
	lower := sorted[i]
	for at <= n/2 {
		i++
		at += count[i]
	}
	return (lower + sorted[i]) / 2
}
