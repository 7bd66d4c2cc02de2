package plots

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/plots/glyph"
	"github.com/millrace/millrace/results"
)

// sheet is a run prepared for drawing: who is drawn, who is not and why. Drawing only reads it.
type sheet struct {
	res   *results.Result
	shown []contender // in the order in which the variants were given
	notes []string    // who is left out, SUSPECT, or not applicable
}

// contender is a variant with its trials that may be drawn: done, and not INVALID, at least half of its rounds.
type contender struct {
	name   string
	style  glyph.Style
	trials []*results.Trial
}

func newSheet(res *results.Result) *sheet {
	s := &sheet{res: res}
	styles := glyph.Styles(res.Run.Variants)
	var suspect, partly []string
	for _, v := range res.Run.Variants {
		c := contender{name: v.Name, style: styles[v.Name]}
		var out []string
		all, doubtful := 0, false
		for _, t := range res.Trials {
			if t.Variant != v.Name {
				continue
			}
			all++
			if why := t.LeftOut(); why != "" {
				at := fmt.Sprintf("round %d", t.Round)
				if t.Step != "" {
					at += " at " + t.Step
				}
				out = append(out, at+" "+why)
				continue
			}
			c.trials = append(c.trials, t)
			doubtful = doubtful || t.Verdict == validity.Suspect
		}
		switch {
		case all == 0:
			s.notes = append(s.notes, fmt.Sprintf("not drawn: %s, no trial.", v.Name))
			continue
		case len(c.trials) == 0:
			s.notes = append(s.notes, fmt.Sprintf("not drawn: %s, %s.", v.Name, strings.Join(out, "; ")))
			continue
		case !results.Placed(len(c.trials), all):
			s.notes = append(s.notes, fmt.Sprintf("not drawn: %s, valid in %d of %d rounds; %s.", v.Name, len(c.trials), all, strings.Join(out, "; ")))
			continue
		case len(out) > 0:
			partly = append(partly, fmt.Sprintf("left out: %s %s.", v.Name, strings.Join(out, "; ")))
		}
		if doubtful {
			suspect = append(suspect, v.Name)
		}
		s.shown = append(s.shown, c)
	}
	s.notes = append(s.notes, partly...) // behind those who are not drawn at all
	for _, v := range sortedKeys(res.Run.NotApplicable) {
		s.notes = append(s.notes, fmt.Sprintf("not applicable: %s, %s.", v, res.Run.NotApplicable[v]))
	}
	if len(suspect) > 0 {
		s.notes = append(s.notes, "SUSPECT, for the reasons in the report: "+strings.Join(suspect, ", ")+".")
	}
	return s
}

// source is the last line of the small print: run, machine and scale.
func (s *sheet) source() string {
	r := s.res.Run
	parts := []string{r.ID}
	machine := strings.TrimSpace(r.Env.CPU)
	if r.Env.Cores > 0 {
		machine = strings.TrimPrefix(fmt.Sprintf("%s, %d cores", machine, r.Env.Cores), ", ")
	}
	for _, part := range []string{machine, r.Env.Virtual, r.Env.Kernel, r.Env.Go, split(r.Split), rounds(r.Rounds)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	line := strings.Join(parts, " · ")
	if r.Quick {
		line += " · quick"
	}
	if r.Duet {
		line += " · duets"
	}
	if r.Purpose != "" {
		line += " · made for " + r.Purpose
	}
	if len(r.Set) > 0 {
		line += " · changed: " + strings.Join(r.Set, ", ")
	}
	if r.Sweep != "" {
		line += " · swept: " + r.Sweep
	}
	if len(r.Scale) > 0 {
		line += " · scaled down: " + strings.Join(r.Scale, "; ")
	}
	for _, step := range r.Steps {
		if len(step.Scale) > 0 {
			line += " · step " + step.Name + " scaled down: " + strings.Join(step.Scale, "; ")
		}
	}
	return line
}

func split(c results.CPUSplit) string {
	if c.Shared {
		return "client and server share their CPUs"
	}
	if len(c.Server) == 0 {
		return ""
	}
	return fmt.Sprintf("server on CPU %s, client on CPU %s", join(c.Server), join(c.Client))
}

func join(cpus []int) string {
	var s []string
	for _, c := range cpus {
		s = append(s, fmt.Sprint(c))
	}
	return strings.Join(s, ", ")
}

func rounds(n int) string {
	if n == 1 {
		return "1 round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// foot is the small print of a figure: its own notes, the sheet's, and the source.
func (s *sheet) foot(own ...string) []string {
	return append(append(slices.Clone(own), s.notes...), s.source())
}

// phases returns the phases of the first trial shown; those of the others are the same.
func (s *sheet) phases() []results.Phase {
	if len(s.shown) == 0 {
		return nil
	}
	return s.shown[0].trials[0].Phases
}

// bands are the phases in s after T0, preceded by connecting.
func (s *sheet) bands() glyph.Phases {
	var b glyph.Phases
	for i, p := range s.phases() {
		if i == 0 && p.FromNs > 0 {
			b = append(b, glyph.Phase{Name: "connect", To: float64(p.FromNs) / 1e9})
		}
		b = append(b, glyph.Phase{Name: p.Name, From: float64(p.FromNs) / 1e9, To: float64(p.ToNs) / 1e9, Overload: p.Load == "overload"})
	}
	return b
}

// phase returns a trial's phase by name, or nil.
func phase(t *results.Trial, name string) *results.Phase {
	for i := range t.Phases {
		if t.Phases[i].Name == name {
			return &t.Phases[i]
		}
	}
	return nil
}

// maxCells bounds the points of a line over time.
const maxCells = 600

// cellSeconds is the distance in s of the points of a line over time: a reading's, or more in a long trial.
func cellSeconds(end float64) float64 { return max(0.1, end/maxCells) }

// medians returns the median line of several rounds on one grid: at each x the median of those rounds that have a value
// there, and nothing where fewer than half of them have.
func medians(rounds []plotter.XYs) plotter.XYs {
	if len(rounds) == 0 {
		return nil
	}
	line := make(plotter.XYs, len(rounds[0]))
	for i := range line {
		var values []float64
		for _, r := range rounds {
			if !math.IsNaN(r[i].Y) {
				values = append(values, r[i].Y)
			}
		}
		line[i] = plotter.XY{X: rounds[0][i].X, Y: math.NaN()}
		if 2*len(values) >= len(rounds) {
			line[i].Y = inference.Median(values)
		}
	}
	return line
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
