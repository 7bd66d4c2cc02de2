package crossover

import (
	"fmt"
	"math"
	"strings"

	"github.com/millrace/millrace/analysis/compare"
)

// Sentence says in words what is known of the pair, without its metric: "goroutine is better below 3.1 k connections
// (2.4 k–4 k), gnet above". The axis is the one of the run.
func (p *Pair) Sentence(axis Axis) string {
	pair := p.A + " and " + p.B
	switch p.Verdict {
	case Alike:
		return fmt.Sprintf("%s are alike within ±%g %% at every step (%s)", pair, 100*compare.Tau, p.span(axis))
	case Everywhere:
		return fmt.Sprintf("no crossing: %s is better than %s at every step (%s)", p.Steps[0].Better, p.other(p.Steps[0].Better), p.span(axis))
	case Somewhere:
		winner := p.at(axis, func(s *Step) bool { return s.Better != "" })
		text := ""
		for i := range p.Steps {
			if b := p.Steps[i].Better; b != "" {
				text = fmt.Sprintf("%s is better than %s at %s", b, p.other(b), winner)
				break
			}
		}
		return text + p.ties(axis)
	case Once, Several:
		return p.crossed(axis)
	}
	return fmt.Sprintf("UNDECIDED: between %s no difference is supported at any step (%s)%s", pair, p.span(axis), p.tooFew())
}

// crossed is of a pair with crossings.
func (p *Pair) crossed(axis Axis) string {
	var parts []string
	for i, c := range p.Crossings {
		part := fmt.Sprintf("%s is better below %s", c.Below, p.where(c, axis))
		if i == len(p.Crossings)-1 {
			part += fmt.Sprintf(", %s above", c.Above)
		}
		parts = append(parts, part)
	}
	if p.Verdict == Several {
		return fmt.Sprintf("%d crossings: %s", len(parts), strings.Join(parts, "; "))
	}
	return parts[0]
}

// where is a crossing with its interval, or the steps that it lies between.
func (p *Pair) where(c Crossing, axis Axis) string {
	noun := axis.Label
	if math.IsNaN(c.Value) {
		return fmt.Sprintf("some %s between %s and %s (no interval: %d rounds count at all steps, it needs %d)",
			noun, axis.Text(p.Steps[c.From].Value), axis.Text(p.Steps[c.To].Value), c.Rounds, compare.IntervalRounds)
	}
	return fmt.Sprintf("%s %s (%s–%s)", axis.Text(c.Value), noun, axis.Text(c.Lo), axis.Text(c.Hi))
}

// ties says of the steps without a winner what they are.
func (p *Pair) ties(axis Axis) string {
	text := ""
	if list := p.at(axis, func(s *Step) bool { return s.Alike }); list != "" {
		text += "; alike at " + list
	}
	if list := p.at(axis, func(s *Step) bool { return !s.Alike && s.Better == "" }); list != "" {
		text += "; no difference supported at " + list
	}
	return text
}

// tooFew says that the rounds are too few for any interval.
func (p *Pair) tooFew() string {
	most := 0
	for i := range p.Steps {
		most = max(most, p.Steps[i].Ratio.N)
	}
	if most >= compare.IntervalRounds {
		return ""
	}
	return fmt.Sprintf(": %d rounds, an interval needs %d", most, compare.IntervalRounds)
}

// at lists the steps that are so.
func (p *Pair) at(axis Axis, is func(*Step) bool) string {
	var list []string
	for i := range p.Steps {
		if is(&p.Steps[i]) {
			list = append(list, axis.Text(p.Steps[i].Value))
		}
	}
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
	return strings.Join(list, "")
}

// span is from the first step to the last.
func (p *Pair) span(axis Axis) string {
	return axis.Text(p.Steps[0].Value) + "–" + axis.Text(p.Steps[len(p.Steps)-1].Value) + " " + axis.Label
}

func (p *Pair) other(name string) string {
	if name == p.A {
		return p.B
	}
	return p.A
}
