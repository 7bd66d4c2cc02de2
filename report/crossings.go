package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/analysis/crossover"
	"github.com/millrace/millrace/results"
)

// crossingsFile has what is known of all pairs over the steps of a sweep.
const crossingsFile = "crossovers.json"

// crossing is a record of crossovers.json; what is not known is null.
type crossing struct {
	Metric   string            `json:"metric"`
	A        string            `json:"a"`
	B        string            `json:"b"`
	Verdict  crossover.Verdict `json:"verdict"`
	Sentence string            `json:"sentence"`
	Steps    []crossingStep    `json:"steps"`
	Changes  []crossingChange  `json:"changes,omitempty"`
}

type crossingStep struct {
	Step   string   `json:"step"`
	Value  float64  `json:"value"`
	Ratio  *float64 `json:"a_to_b"`
	Lo     *float64 `json:"lo"`
	Hi     *float64 `json:"hi"`
	Better string   `json:"better,omitempty"`
	Alike  bool     `json:"alike,omitempty"`
}

type crossingChange struct {
	Below  string   `json:"better_below"`
	Above  string   `json:"better_above"`
	From   float64  `json:"from_step"`
	To     float64  `json:"to_step"`
	Value  *float64 `json:"value"`
	Lo     *float64 `json:"lo"`
	Hi     *float64 `json:"hi"`
	Rounds int      `json:"rounds"`
}

// writeCrossings writes crossovers.json of a sweep over numbers, and nothing of other runs.
func writeCrossings(res *results.Result) error {
	if !res.Run.Numeric() {
		return nil
	}
	list := []crossing{}
	axis := crossover.AxisOf(res.Run)
	for _, metric := range res.Run.Headline() {
		for _, p := range crossover.Pairs(res, metric) {
			list = append(list, crossingOf(p, axis))
		}
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("writing crossovers: %w", err)
	}
	if err := os.WriteFile(filepath.Join(res.Path, crossingsFile), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing crossovers: %w", results.Remedied(err, res.Path))
	}
	return nil
}

func crossingOf(p *crossover.Pair, axis crossover.Axis) crossing {
	out := crossing{Metric: p.Metric.Name, A: p.A, B: p.B, Verdict: p.Verdict, Sentence: p.Sentence(axis)}
	for _, s := range p.Steps {
		out.Steps = append(out.Steps, crossingStep{
			Step: s.Name, Value: s.Value, Ratio: orNull(s.Ratio.Value), Lo: orNull(s.Ratio.Lo), Hi: orNull(s.Ratio.Hi), Better: s.Better, Alike: s.Alike,
		})
	}
	for _, c := range p.Crossings {
		out.Changes = append(out.Changes, crossingChange{
			Below: c.Below, Above: c.Above, From: p.Steps[c.From].Value, To: p.Steps[c.To].Value,
			Value: orNull(c.Value), Lo: orNull(c.Lo), Hi: orNull(c.Hi), Rounds: c.Rounds,
		})
	}
	return out
}

// orNull is nil for what JSON has no number for.
func orNull(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
