package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/results"
)

// Data is what statements are decided on. It is used by one goroutine at a time.
type Data struct {
	Run *results.Run
	// Trials are those that ended, in any order.
	Trials []*results.Trial
	// Readings of a trial by its ID, in order of time.
	Readings func(id string) ([]results.Reading, error)

	phases map[string]phaseValues // by trial and phase, of one round
}

// Of is the data of a run as read from its directory.
func Of(res *results.Result) *Data {
	return &Data{Run: res.Run, Trials: res.Trials, Readings: res.Readings}
}

// NamesOf are the names that statements about a run may use. Absent are the models that there are beyond those of the run.
func NamesOf(run *results.Run, absent []string) Names {
	n := Names{Absent: absent}
	for _, v := range run.Variants {
		n.Variants = append(n.Variants, v.Name)
	}
	for _, step := range run.StepNames() {
		for _, p := range run.ScenarioOf(step).Phases {
			if !slices.Contains(n.Phases, p.Name) {
				n.Phases = append(n.Phases, p.Name)
			}
		}
	}
	for name := range run.NotApplicable {
		n.Absent = append(n.Absent, name)
	}
	for _, s := range run.Steps {
		n.Steps = append(n.Steps, s.Name)
	}
	return n
}

// rounds is how many rounds were begun.
func (d *Data) rounds() int {
	n := 0
	for _, t := range d.Trials {
		n = max(n, t.Round)
	}
	return n
}

// cell is where an expression is evaluated: one round, and in a sweep one step.
type cell struct {
	data  *Data
	round int
	step  string
}

func (c *cell) at(step string) *cell { return &cell{data: c.data, round: c.round, step: step} }

type phaseValues struct {
	values map[string]float64
	notes  []string
}

// errNoTrial is what is said where there is no trial that counts.
var errNoTrial = errors.New("no trial")

// errAbsent is what is said of a variant that the run doesn't have.
var errAbsent = fmt.Errorf("%w: not in this run", errNoTrial)

// trial is the variant's trial of the round, and an error if there is none that counts.
func (c *cell) trial(variant string) (*results.Trial, error) {
	known := false
	for _, v := range c.data.Run.Variants {
		known = known || v.Name == variant
	}
	if !known {
		if why := c.data.Run.NotApplicable[variant]; why != "" {
			return nil, fmt.Errorf("%w: %s", errAbsent, why)
		}
		return nil, errAbsent
	}
	for _, t := range c.data.Trials {
		if t.Round == c.round && t.Variant == variant && t.Step == c.step {
			if why := t.LeftOut(); why != "" {
				return nil, fmt.Errorf("%w that counts: %s", errNoTrial, why)
			}
			return t, nil
		}
	}
	return nil, errNoTrial
}

// value is a figure of a variant in the round.
func (c *cell) value(f *Function, ref reference) (float64, error) {
	t, err := c.trial(ref.variant)
	if err != nil {
		return 0, err
	}
	if ref.phase == "" {
		if v, ok := t.Metrics[f.Trial]; ok {
			return v, nil
		}
		if ref.phase = c.ownPhase(f, t); ref.phase == "" {
			return 0, errors.New(noteOf(t.Notes, f.Trial))
		}
	}
	if own := ofPhase[f.Phase]; own != nil {
		i := slices.IndexFunc(t.Phases, func(p results.Phase) bool { return p.Name == ref.phase })
		if i < 0 {
			return 0, fmt.Errorf("the trial has no phase %q", ref.phase)
		}
		return own(t, &t.Phases[i])
	}
	p, err := c.data.phase(t, ref.phase)
	if err != nil {
		return 0, err
	}
	if v, ok := p.values[f.Phase]; ok {
		return v, nil
	}
	return 0, errors.New(noteOf(p.notes, f.Phase))
}

// ownPhase is the last measured phase of a trial where that stands for the whole: where scenarios of its kind have no such metric
// of a trial, but of phases. Empty elsewhere.
func (c *cell) ownPhase(f *Function, t *results.Trial) string {
	info, known := results.Metric(f.Trial)
	if !known || f.Phase == "" || info.In(c.data.Run.ScenarioOf(c.step)) {
		return ""
	}
	name := ""
	for _, p := range t.Phases {
		if p.Measure {
			name = p.Name
		}
	}
	return name
}

// noteOf is what the notes say of a metric that is absent.
func noteOf(notes []string, name string) string {
	for _, n := range notes {
		if rest, ok := strings.CutPrefix(n, name+": "); ok {
			return rest
		}
	}
	return "not measured"
}

// phase returns the figures of a phase of a trial, which it keeps until forget.
func (d *Data) phase(t *results.Trial, name string) (phaseValues, error) {
	key := t.ID + "\x00" + name
	if p, ok := d.phases[key]; ok {
		return p, nil
	}
	var readings []results.Reading
	if d.Readings != nil {
		var err error
		if readings, err = d.Readings(t.ID); err != nil {
			return phaseValues{}, err
		}
	}
	values, notes, err := analysis.Phase(t, readings, name)
	if err != nil {
		return phaseValues{}, err
	}
	if d.phases == nil {
		d.phases = map[string]phaseValues{}
	}
	d.phases[key] = phaseValues{values, notes}
	return d.phases[key], nil
}

// forget drops what is kept of a round.
func (d *Data) forget() { d.phases = nil }
