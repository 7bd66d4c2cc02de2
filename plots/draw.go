// Package plots draws a run: results in, SVG and PNG figures out. A model has the same colour and dash in every figure,
// what may not be drawn is named below it, and every axis says its unit.
package plots

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/plots/compared"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/plots/swept"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// Figure is a figure that was drawn, or, where SVG is empty, one that could not be and Note saying why.
type Figure struct {
	Name    string // of the files, without extension: "rss"
	Title   string
	Caption string // a sentence or two: how to read it
	SVG     string // path of the file
	PNG     string
	Note    string
}

// kind is a figure that a run may have: make returns nil and a note where the run lacks the data.
type kind struct {
	name    string
	applies func(*scenarios.Scenario) bool
	caption string
	make    func(*sheet) (*frame.Page, string)
}

// kinds is the one table of figures, in the order of the report.
var kinds = []kind{
	{"forest", always, "One row a variant: the mark is the ratio to the reference, estimated from the rounds that both have (Hodges–Lehmann), the bar its confidence interval, the number at the right the absolute median. An arrow is an interval that goes beyond the axis. A bar that crosses the line at 1, or lies within the shade, supports no difference beyond ±5 % from the reference; one that crosses the line and reaches far beyond the shade supports no equality either. Tiers, from 8 rounds on, rest on the comparisons of all pairs, of which there are more, so they may leave together what one bar sets apart.", forestFigure},
	{"rounds", always, "One column a variant, numbered as in the legend; a dot is a round, the first at the left of its column, a ring is an INVALID one that does not count, and the bar is the median. A grey line joins a round from variant to variant: lines that run side by side are noise that a whole round shared, which a comparison within rounds takes out; dots that climb or fall within a column are a drift.", roundsFigure},
	{"burst", has(scenarios.Overload), "One row a variant; a small dot is a round, the large mark the median. Drain time ends with the last answer to the burst; goodput counts good replies until then, those of the base load included. Where some rounds have no value, as when a burst was not drained before the end, the number says how many have: (2/5). Recovery is the time after the burst's end until p99 is within 10 % of the baseline's.", burstFigure},
	{"memory", has(scenarios.Ladder), "Each mark is a step of the ladder, the median over the second half of its phase; the line is fitted by Theil and Sen, and its slope is the cost of one more connection. Kernel bytes are those of both ends, since client and server are on one host.", memoryFigure},
	{"active", has(scenarios.Ladder), "The latency of the few active connections while all the others are idle, and what an idle connection costs in goroutines. One row a variant; a small dot is a round, the large mark the median.", activeFigure},
	{"churn", has(scenarios.Churn), "One row a variant; a small dot is a round, the large mark the median; p50 is hollow and p99 is filled. Connecting is part of the response time.", churnFigure},
	{"percentiles", always, "Response time from the intended time, by nines: each step to the right is a request ten times rarer. Requests without a good reply count as infinite, and a line ends where too few requests support the next percentile. The bold line is the median over rounds at each percentile. Of a variant with 6 rounds or more the band around it is where that median lies with 95 % confidence at each percentile for itself (pointwise: not the whole line at once), by drawing whole rounds with replacement; bands that overlap are no tie, since noise that a round shares widens all of them, and the ratios take it out. Thin lines are single rounds of a variant that has fewer than 6.", percentileFigure},
	{"throughput", always, "Good replies in each interval, against the planned rate in black. The bold line is the median over rounds, thin lines are single rounds.", throughputFigure},
	{"rss", always, "Resident memory of the server process, from connecting to the end. The bold line is the median over rounds, thin lines are single rounds.", rssFigure},
	{"goroutines", always, "Goroutines of the server process, from its own readings. The bold line is the median over rounds, thin lines are single rounds.", goroutineFigure},
}

func always(*scenarios.Scenario) bool { return true }

// has is true of scenarios with the trait; of all where that is empty.
func has(t scenarios.Trait) func(*scenarios.Scenario) bool {
	return func(s *scenarios.Scenario) bool { return t == "" || s.Has(t) }
}

// sweepKinds are the figures of a sweep: one a headline metric.
func sweepKinds(run *results.Run) []kind {
	var list []kind
	for _, metric := range run.Headline() {
		list = append(list, kind{"sweep-" + metric, has(""), sweepCaption, func(s *sheet) (*frame.Page, string) {
			var shown []swept.Contender
			for _, c := range s.shown {
				shown = append(shown, swept.Contender{Name: c.name, Style: c.style})
			}
			f, note := swept.Figure(s.res, metric, compared.Heading(metric), shown)
			if f != nil {
				f.Foot = s.foot(f.Foot...)
			}
			return f, note
		}})
	}
	return list
}

const sweepCaption = "One line a variant: the mark is the median over the rounds of a step, the band reaches from the smallest round to the largest. Bands that overlap are no tie, since noise that a round shares widens both, and the ratios take it out; where the winner changes, and how sure that is, stands with the tables."

// Draw draws all figures of a run's scenario into dir, which it makes, as NAME.svg and NAME.png; of a sweep the headline metrics
// over its steps. A figure that lacks its
// data is in the result with a Note. The same run gives the same bytes.
func Draw(res *results.Result, dir string) ([]Figure, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making plots directory: %w", err)
	}
	s := newSheet(res)
	var figures []Figure
	list := kinds
	if len(res.Run.Steps) > 0 {
		list = sweepKinds(res.Run)
	}
	for _, k := range list {
		if !k.applies(&res.Run.Scenario) {
			continue
		}
		fig := Figure{Name: k.name, Caption: k.caption}
		if len(s.shown) == 0 {
			fig.Note = "no trial that may be drawn"
			figures = append(figures, fig)
			continue
		}
		f, note := k.make(s)
		if f == nil {
			fig.Note = note
			figures = append(figures, fig)
			continue
		}
		fig.Title = f.Title
		var err error
		if fig.SVG, fig.PNG, err = f.Save(filepath.Join(dir, k.name)); err != nil {
			return nil, err
		}
		figures = append(figures, fig)
	}
	return figures, nil
}
