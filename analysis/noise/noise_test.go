package noise

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// aa makes a run of a server against itself whose rounds cost base ns of CPU time a request times exp of the given deviations.
func aa(id string, inject time.Duration, deviations ...[2]float64) *results.Result {
	run := &results.Run{
		ID: id, Method: 2, Purpose: results.PurposeAA, Scenario: scenarios.Scenario{Name: "steady"}, Rounds: len(deviations),
		Variants: []results.Variant{{Name: "gnet:A", SHA256: "x"}, {Name: "gnet:B", SHA256: "x"}},
	}
	if inject > 0 {
		run.Variants[1].Args, run.Injected = []string{"--inject", inject.String()}, float64(inject)/base
	}
	r := &results.Result{Run: run}
	start := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	for i, d := range deviations {
		for k, v := range run.Variants {
			r.Trials = append(r.Trials, &results.Trial{
				Round: i + 1, Variant: v.Name, Status: results.StatusDone, Verdict: validity.Valid, Seconds: 4,
				Started: start.Add(time.Duration(2*i+k) * 5 * time.Second),
				Metrics: map[string]float64{"cpu-per-req-ns": base * math.Exp(d[k]), "lag-p99-ns": 1},
			})
		}
	}
	return r
}

const base = 10000.0

// pairs are rounds in which A is at its base and B off by d.
func pairs(d ...float64) (out [][2]float64) {
	for _, v := range d {
		out = append(out, [2]float64{0, v})
	}
	return out
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %v, want %v ± %v", what, got, want, tolerance)
	}
}

func only(t *testing.T, list []*Study) (*Study, *Metric) {
	t.Helper()
	if len(list) != 1 || len(list[0].Metrics) != 1 {
		t.Fatalf("%d studies, want one with one metric", len(list))
	}
	return list[0], &list[0].Metrics[0]
}

func TestStudyOfARunAgainstItself(t *testing.T) {
	s, m := only(t, Studies([]*results.Result{aa("r1", 0, pairs(-0.03, -0.02, -0.01, 0.01, 0.02, 0.03, 0.5)...)}))
	if s.Server != "gnet" || s.Rounds != 7 || s.Left != 0 || m.Rounds != 7 {
		t.Errorf("study %+v", s)
	}
	if m.Info.Name != "cpu-per-req-ns" {
		t.Errorf("metric %s: lag judges the measurement and not the server", m.Info.Name)
	}
	// Seven rounds are one verdict, of the first six: it holds 1 and is not beyond.
	if m.Verdicts != 1 || m.Seen != 0 || m.Beyond != 0 {
		t.Errorf("verdicts %+v", m)
	}
	near(t, "0 in 1 at most", m.AtMost(0), 0.95, 1e-9)
	near(t, "0 in 1 at least", m.AtLeast(0), 0, 1e-9)
	near(t, "1 in 1 at least", m.AtLeast(1), 0.05, 1e-9)
	// 14 trials, the last of which begins 65 s after the first and takes 4 s.
	near(t, "a round", s.PerRound(m).Seconds(), 69.0/7, 1e-6)
	// The mean is 0.0714, the sum of squares 0.2528, so the variance (0.2528 − 7·0.0714²)/6.
	near(t, "scatter", m.Scatter, 0.1902, 1e-4)
	near(t, "unpaired", m.Unpaired, 0.1902, 1e-4) // A does not move
}

func TestSharedDriftIsInTheUnpairedScatterOnly(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var rounds [][2]float64
	for range 60 {
		drift := rnd.NormFloat64() * 0.3
		rounds = append(rounds, [2]float64{drift + rnd.NormFloat64()*0.02, drift + rnd.NormFloat64()*0.02})
	}
	_, m := only(t, Studies([]*results.Result{aa("r1", 0, rounds...)}))
	near(t, "scatter", m.Scatter, 0.02*math.Sqrt2, 0.008)
	near(t, "unpaired", m.Unpaired, 0.3*math.Sqrt2, 0.1)
	if m.Verdicts != 10 {
		t.Errorf("%d verdicts of 60 rounds, want 10", m.Verdicts)
	}
}

func TestVerdictsAccumulateOverRunsOfOneKind(t *testing.T) {
	six := pairs(-0.03, -0.02, -0.01, 0.01, 0.02, 0.03)
	other := aa("r3", 0, six...)
	other.Run.Env.Kernel = "another"
	faster := aa("r4", 0, six...)
	faster.Run.Scenario.Payload = 64
	spun, again := aa("r5", 800, six...), aa("r6", 800, six...)
	again.Run.Variants[1].Args = []string{"--inject", "812ns"} // another pilot's
	list := Studies([]*results.Result{aa("r1", 0, six...), aa("r2", 0, six...), other, faster, spun, again})
	if len(list) != 4 {
		t.Fatalf("%d studies: want four, of two kernels, of two loads and of a spin", len(list))
	}
	if m := list[3].Metrics[0]; len(list[3].Runs) != 2 || m.Verdicts != 2 {
		t.Errorf("the study with a spin has runs %v and %d verdicts", list[3].Runs, m.Verdicts)
	}
	if m := list[0].Metrics[0]; len(list[0].Runs) != 2 || m.Verdicts != 2 {
		t.Errorf("the first study has runs %v and %d verdicts", list[0].Runs, m.Verdicts)
	}
	near(t, "0 of 59", (&Metric{Verdicts: 59}).AtMost(0), 0.0495, 1e-4)
	// Rounds of two runs make no verdict together.
	short := Studies([]*results.Result{aa("r1", 0, six[:4]...), aa("r2", 0, six[:4]...)})
	if m := short[0].Metrics[0]; m.Verdicts != 0 || m.Rounds != 8 {
		t.Errorf("4 and 4 rounds: %+v", m)
	}
}

func TestWhatASpinMakes(t *testing.T) {
	ln := math.Log(1.08)
	s, m := only(t, Studies([]*results.Result{aa("r1", 800, pairs(ln-0.01, ln-0.006, ln-0.002, ln+0.002, ln+0.006, ln+0.01)...)}))
	if s.Injected != 0.08 || m.Seen != 1 || m.Beyond != 1 {
		t.Errorf("study %+v, metric %+v", s, m)
	}
	near(t, "ratio", m.Ratio.Value, 1.08, 1e-3)
}

// Five rounds on one side of 1 are no verdict, however far off.
func TestFewRoundsHaveNoInterval(t *testing.T) {
	_, m := only(t, Studies([]*results.Result{aa("r1", 0, pairs(1, 1.1, 1.2, 1.3, 1.4)...)}))
	if !math.IsNaN(m.Ratio.Lo) || compare.Beyond(m.Ratio) || m.Verdicts != 0 {
		t.Errorf("metric %+v", m)
	}
	near(t, "ratio", m.Ratio.Value, math.Exp(1.2), 1e-9)
}

func TestAMetricWithAZeroHasNoRatio(t *testing.T) {
	r := aa("r1", 0, pairs(0.1, 0.2, 0.3)...)
	r.Trials[1].Metrics["cpu-per-req-ns"] = 0
	list := Studies([]*results.Result{r})
	if s := list[0]; len(s.Metrics) != 0 || len(s.Off) != 1 || s.Off[0] != "cpu-per-req-ns" {
		t.Errorf("metrics %v, without a ratio %v", s.Metrics, s.Off)
	}
}

func TestARoundWithATrialThatDoesNotCountIsLeftOut(t *testing.T) {
	r := aa("r1", 0, pairs(0.1, 0.2, 0.3)...)
	r.Trials[2].Verdict = validity.Invalid
	r.Trials = r.Trials[:5] // broken off in round 3
	s, m := only(t, Studies([]*results.Result{r}))
	if s.Rounds != 1 || s.Left != 2 || m.Rounds != 1 || m.Verdicts != 0 {
		t.Errorf("study %+v, metric %+v", s, m)
	}
	if !math.IsNaN(m.Scatter) {
		t.Errorf("scatter %v of one round", m.Scatter)
	}
	if list := Studies(nil); len(list) != 0 {
		t.Error("a study of nothing")
	}
}

func TestTimeIsRoundsTimesTheirLength(t *testing.T) {
	s, m := &Study{Took: 200 * time.Second}, &Metric{Scatter: 0.06, Rounds: 20}
	// 60 rounds: (t₀.₉₇₅,₅₉ + t₀.₈,₅₉)·0.06/√60 = (2.0010 + 0.8478)·0.007746
	near(t, "smallest in 10 min", s.Smallest(m, 10*time.Minute), math.Expm1(0.02207*math.Sqrt(math.Pi/3)), 1e-4) // the signed-rank test needs π/3 of the t test's rounds
	if d := s.Takes(m, 0.05); d < 2*time.Minute || d > 3*time.Minute {
		t.Errorf("5 %% takes %v", d)
	}
	quiet := &Metric{Scatter: 1e-6, Rounds: 20}
	if d := s.Takes(quiet, 0.05); d != VerdictRounds*10*time.Second {
		t.Errorf("hardly any noise takes %v: want the rounds of an interval", d)
	}
	// Where half of the rounds were INVALID, each that counts takes twice as long.
	half := &Metric{Scatter: 0.06, Rounds: 10}
	near(t, "a round of half of them", s.PerRound(half).Seconds(), 20, 0)
	if v := s.Smallest(m, 50*time.Second); !math.IsNaN(v) {
		t.Errorf("five rounds see %v: they have no interval", v)
	}
	// A foreign file whose trials took no time.
	if v, d := (&Study{}).Smallest(m, time.Minute), (&Study{}).Takes(m, 0.05); !math.IsNaN(v) || d != 0 {
		t.Errorf("without times: %v, %v", v, d)
	}
}
