package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
)

// untilConfidence is that of the intervals that --until looks at.
const untilConfidence = 0.95

// cpuMetric is the CPU time a request.
const cpuMetric = "cpu-per-req-ns"

// untilMetrics are those that a run goes on for unless told otherwise: the most telling headline of the scenario and, where
// it is a headline, cpuMetric.
func untilMetrics(run *results.Run) []string {
	all := run.Headline()
	metrics := all[:1:1]
	if slices.Contains(all[1:], cpuMetric) {
		metrics = append(metrics, cpuMetric)
	}
	return metrics
}

// untilEnough decides whether a run may end: the intervals of the ratios of all variants to the reference reach at most
// u.Width beyond them in every metric, and did so a round before. A variant that counts in less than half of the rounds is not
// waited for. Where that is so of all the run goes on, unless none counts in any round.
func untilEnough(u *results.Until) func(*results.Run, []*results.Trial) (bool, string) {
	return func(run *results.Run, trials []*results.Trial) (bool, string) {
		last := 0
		for _, t := range trials {
			last = max(last, t.Round)
		}
		now, before := untilWidths(run, trials, u.Metrics, last), untilWidths(run, trials, u.Metrics, last-1)
		outs := now.leftOut()
		switch {
		case len(now.ratios) == 0 && last < runner.MinUntilRounds:
			return false, "no ratio yet"
		case len(now.ratios) == 0 && now.counted:
			return false, "no variant counts in half of the rounds" + outs
		case len(now.ratios) == 0:
			return true, "nothing to wait for" + outs
		}
		w := slices.MaxFunc(now.ratios, func(a, b ratioWidth) int { return cmp.Compare(a.half, b.half) })
		widest := fmt.Sprintf("the widest 95 %% interval by itself, %s of %s, is ±%s, wanted ±%s", w.metric, w.variant, percent(math.Expm1(w.half)), percent(u.Width))
		limit := math.Log1p(u.Width)
		if w.half > limit {
			if more := w.more(limit); more <= runner.MaxRounds {
				return false, fmt.Sprintf("%s: about %d more rounds%s", widest, more, outs)
			}
			return false, fmt.Sprintf("%s: more rounds than a run may have%s", widest, outs)
		}
		if slices.ContainsFunc(before.ratios, func(r ratioWidth) bool { return r.half > limit }) || len(before.ratios) == 0 {
			return false, widest + ": one more round to confirm it" + outs
		}
		return true, widest + outs
	}
}

// ratioWidth is how well the ratio of a variant to the reference is known.
type ratioWidth struct {
	metric, variant string  // the variant with the step of a sweep
	n               int     // rounds in which both count
	half            float64 // half the width of the interval of ln ratio; +Inf below two rounds
}

// more is how many rounds, one to confirm it included, bring the half width to the limit, since it falls with 1/√n.
func (r ratioWidth) more(limit float64) int {
	if more := float64(r.n)*(r.half*r.half/(limit*limit)-1) + 1; more < math.MaxInt32 {
		return int(math.Ceil(more))
	}
	return math.MaxInt32
}

// widths are those of all ratios, and which are left out, a phrase each. Counted tells whether any round counts of these.
type widths struct {
	ratios  []ratioWidth
	out     []string
	counted bool
}

func (w widths) leftOut() string {
	if len(w.out) == 0 {
		return ""
	}
	return "; not waited for: " + strings.Join(w.out, ", ")
}

// halfWidth is that of the paired t interval of the mean of d: t(n−1)·sd(d)/√n, +Inf below two values.
func halfWidth(d []float64) float64 {
	n := float64(len(d))
	if n < 2 {
		return math.Inf(1)
	}
	return distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile((1+untilConfidence)/2) * stat.StdDev(d, nil) / math.Sqrt(n)
}

// untilWidths looks at the first rounds, at each step of a sweep for itself.
func untilWidths(run *results.Run, trials []*results.Trial, metrics []string, rounds int) widths {
	var w widths
	for _, metric := range metrics {
		for _, step := range run.StepNames() {
			w.add(run, trials, metric, step, rounds)
		}
	}
	return w
}

// add adds the widths of a metric at a step: of d = ln value − ln value of the reference in the rounds in which both count.
func (w *widths) add(run *results.Run, trials []*results.Trial, metric, step string, rounds int) {
	type key struct {
		variant string
		round   int
	}
	logs := map[key]float64{}
	for _, t := range trials {
		if v := t.Metrics[metric]; t.Step == step && t.LeftOut() == "" && v > 0 {
			logs[key{t.Variant, t.Round}] = math.Log(v)
		}
	}
	if info, _ := results.Metric(metric); len(logs) == 0 && step != "" && !info.In(run.ScenarioOf(step)) {
		return // not measured at this step
	}
	for _, v := range run.Variants {
		if v.Name == run.Reference {
			continue
		}
		name := v.Name
		if step != "" {
			name += " at " + step
		}
		var d []float64
		for round := 1; round <= rounds; round++ {
			a, counts := logs[key{v.Name, round}]
			b, refCounts := logs[key{run.Reference, round}]
			if counts && refCounts {
				d = append(d, a-b)
			}
		}
		if rounds >= runner.MinUntilRounds && !results.Placed(len(d), rounds) {
			w.counted = w.counted || len(d) > 0
			w.out = append(w.out, fmt.Sprintf("%s of %s (it and %s count together in %d of %d rounds)", metric, name, run.Reference, len(d), rounds))
			continue
		}
		w.ratios = append(w.ratios, ratioWidth{metric, name, len(d), halfWidth(d)})
	}
}

// percent writes a share for people; an interval without an end is wide.
func percent(share float64) string {
	if math.IsInf(share, 1) {
		return "∞"
	}
	return fmt.Sprintf("%.2g %%", share*100)
}
