package plots

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// invented is a run of which only the headline metrics exist: value makes each, from the variant's place and the round, each
// from 0 on, and a random number of its own around 0; not a number is not measured.
func invented(t *testing.T, scenario string, variants []string, rounds int, value func(variant, round int, noise float64) float64) *results.Result {
	t.Helper()
	s, err := scenarios.Named(scenario)
	if err != nil {
		t.Fatal(err)
	}
	res := &results.Result{Run: &results.Run{ID: "20261121T031500Z-" + scenario + "-k3f9", Scenario: *s, Rounds: rounds, Seed: 42}}
	for _, name := range variants {
		model, _, _ := strings.Cut(name, "/")
		res.Run.Variants = append(res.Run.Variants, results.Variant{Name: name, Model: model})
	}
	bases := map[string]float64{"ns": 3e5, "bytes": 2e7}
	for r := range rounds {
		rng := rand.New(rand.NewPCG(42, uint64(r)))
		for i, name := range variants {
			trial := &results.Trial{
				ID: fmt.Sprintf("r%02d-%s-%s", r+1, scenario, name), Round: r + 1, Scenario: scenario, Variant: name,
				Status: results.StatusDone, Verdict: validity.Valid, Metrics: map[string]float64{},
			}
			for _, metric := range res.Run.Headline() {
				info, _ := results.Metric(metric)
				if v := value(i, r, rng.NormFloat64()); !math.IsNaN(v) {
					trial.Metrics[metric] = bases[info.Unit] * v
				}
			}
			res.Trials = append(res.Trials, trial)
		}
	}
	return res
}

// invalidate makes a variant's trials of those rounds, from 1 on, INVALID.
func invalidate(res *results.Result, variant string, rounds ...int) {
	for _, t := range res.Trials {
		for _, r := range rounds {
			if t.Variant == variant && t.Round == r {
				t.Verdict = validity.Invalid
				t.Checks = []validity.Check{{Name: "offered rate", State: validity.Fail, Reason: "arrivals 7.0 % below the plan in second 4"}}
			}
		}
	}
}

var six = []string{"goroutine", "gnet", "netpoll", "fasthttp", "nethttp", "workers"}

// speeds are ln ratios to the first variant; alike is a value that scatters by 3 % around them and with the round by 8 %.
var speeds = []float64{0, -0.35, -0.2, -0.18, 0.6, 0.02}

func alike(variant, round int, noise float64) float64 {
	return math.Exp(speeds[variant] + 0.08*math.Sin(2.3*float64(round)) + 0.03*noise)
}

// drawn are the words of one figure, or the note in its place.
func drawn(t *testing.T, res *results.Result, figure func(*sheet) (*frame.Page, string)) string {
	t.Helper()
	page, note := figure(newSheet(res))
	if page == nil {
		return "note: " + note + "\n"
	}
	f := Figure{Name: "figure"}
	var err error
	if f.SVG, f.PNG, err = page.Save(filepath.Join(t.TempDir(), "figure")); err != nil {
		t.Fatal(err)
	}
	return strings.Join(words(t, f), "\n") + "\n"
}

// TestCompared keeps the words of the forest plot and of the strip of rounds, from which a reader learns what is tied.
func TestCompared(t *testing.T) {
	long := []string{"goroutine", "gnet/reuseport+numloops=4+lockosthread,GOGC=400"}
	unplaced := invented(t, "burst", six, 10, alike)
	invalidate(unplaced, "workers", 1, 2, 3, 4, 5, 6)
	invalidate(unplaced, "gnet", 3)
	noReference := invented(t, "burst", six, 10, alike)
	invalidate(noReference, "goroutine", 1, 2, 3, 4, 5, 6)
	// One metric has seven rounds of the reference: its bars are each for itself, those of the other panels hold together.
	levels := invented(t, "churn", six, 8, alike)
	for _, trial := range levels.Trials {
		if trial.Variant == six[0] && trial.Round == 2 {
			delete(trial.Metrics, "p50-connect-ns")
		}
	}
	// Six and six rounds of which four are common: not compared, so not in one tier.
	strangers := invented(t, "churn", six, 12, alike)
	invalidate(strangers, "gnet", 1, 2, 3, 4)
	invalidate(strangers, "netpoll", 9, 10, 11, 12)
	for _, c := range []struct {
		name string
		res  *results.Result
	}{
		{"levels-differ", levels},
		{"no-common-rounds", strangers},
		{"two-rounds", invented(t, "burst", six, 2, alike)},
		{"six-rounds", invented(t, "idle", six, 6, alike)},
		{"eight-rounds", invented(t, "churn", six, 8, alike)},
		{"long-names", invented(t, "burst", long, 10, alike)},
		{"not-placed", unplaced},
		{"reference-not-placed", noReference},
		{"one-variant", invented(t, "burst", six[:1], 10, alike)},
		{"all-equal", invented(t, "steady", six, 10, func(int, int, float64) float64 { return 1 })},
		{"zeros", invented(t, "idle", six, 10, func(variant, round int, noise float64) float64 {
			if variant == 4 || variant == 2 && round == 3 {
				return 0
			}
			return alike(variant, round, noise)
		})},
		{"all-zero", invented(t, "idle", six, 10, func(int, int, float64) float64 { return 0 })},
		{"partly-measured", invented(t, "burst", six, 8, func(variant, round int, noise float64) float64 {
			if variant == 3 && round > 3 || variant == 4 && round > 5 {
				return math.NaN()
			}
			return alike(variant, round, noise)
		})},
		{"far-off", invented(t, "steady", six, 10, func(variant, round int, noise float64) float64 {
			return alike(variant, round, noise) * []float64{1, 1, 1, math.Exp(3 * noise), 300, 0.001}[variant]
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			golden.Equal(t, "compared/"+c.name+".txt", "== forest ==\n"+drawn(t, c.res, forestFigure)+"== rounds ==\n"+drawn(t, c.res, roundsFigure))
		})
	}
}

func TestForestNeedsSixRounds(t *testing.T) {
	for rounds, want := range map[int]bool{1: false, 5: false, 6: true, 20: true} {
		page, note := forestFigure(newSheet(invented(t, "steady", six[:2], rounds, alike)))
		if (page != nil) != want || (note == "") != want {
			t.Errorf("%d rounds: drawn %v with the note %q, want drawn %v", rounds, page != nil, note, want)
		}
		if page == nil && !strings.Contains(note, "6 rounds") {
			t.Errorf("%d rounds: the note %q does not say how many are needed", rounds, note)
		}
	}
}

// TestBand compares the band with the plain way: draw, sort, take the middle.
func TestBand(t *testing.T) {
	const rounds = 9
	rng := rand.New(rand.NewPCG(1, 2))
	lines := make([]plotter.XYs, rounds)
	for r := range lines {
		lines[r] = plotter.XYs{{X: 1, Y: 100 * math.Exp(0.2*rng.NormFloat64())}, {X: 2, Y: 7}, {X: 3, Y: math.NaN()}}
		if r < compare.IntervalRounds-1 {
			lines[r][2].Y = 1 // one round fewer than an interval needs
		}
	}
	s := &sheet{res: &results.Result{Run: &results.Run{Seed: 42}}}
	edges := s.band(lines)
	var values []float64
	for _, l := range lines {
		values = append(values, l[0].Y)
	}
	slices.Sort(values)
	lo, hi := inference.BlockBootstrap(rounds, resamples, 0.95, 42, func(index []int) float64 {
		var drawn []float64
		for _, i := range index {
			drawn = append(drawn, values[i])
		}
		slices.Sort(drawn)
		return drawn[rounds/2]
	})
	if edges[0].Lo != lo || edges[0].Hi != hi || !(lo < values[rounds/2] && values[rounds/2] < hi) {
		t.Errorf("band %v, want %g to %g around the median %g", edges[0], lo, hi, values[rounds/2])
	}
	if edges[1].Lo != 7 || edges[1].Hi != 7 {
		t.Errorf("band %v of equal values, want 7 to 7", edges[1])
	}
	if !math.IsNaN(edges[2].Lo) || !math.IsNaN(edges[2].Hi) {
		t.Errorf("band %v of five rounds, want none", edges[2])
	}
}

// Who has five rounds where others have ten is drawn as five thin lines, and named; it isn't drawn as if its median were certain.
func TestBandOrThinLinesForEachVariant(t *testing.T) {
	line := func(n int) (rounds []plotter.XYs) {
		for r := range n {
			rounds = append(rounds, plotter.XYs{{X: 1, Y: float64(10 + r)}, {X: 2, Y: float64(20 + r)}})
		}
		return rounds
	}
	res := invented(t, "churn", six[:2], 10, alike)
	invalidate(res, "gnet", 1, 2, 3, 4, 5)
	s := newSheet(res)
	for i, c := range []struct {
		rounds int
		band   bool
		top    float64 // of the thin lines
	}{{10, true, math.Inf(-1)}, {5, false, 24}} {
		if got := len(s.shown[i].trials); got != c.rounds {
			t.Fatalf("%d trials, want %d", got, c.rounds)
		}
		p := frame.NewPanel("", "")
		if band := s.addRounds(p.Plot, i, line(c.rounds)); band != c.band || p.Y.Max != c.top {
			t.Errorf("%d rounds: band %v, lines up to %v, want %v and %v", c.rounds, band, p.Y.Max, c.band, c.top)
		}
	}
	want := []string{"no band but thin lines, each a round: gnet (5), fewer than 6 rounds that count."}
	if got := s.bandless(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDrawnMedian(t *testing.T) {
	sorted := []float64{1, 2, 4, 8, 16, 32}
	for _, c := range []struct {
		index []int
		want  float64
	}{
		{[]int{0, 1, 2, 3, 4, 5}, 6},
		{[]int{5, 5, 5, 5, 5, 5}, 32},
		{[]int{0, 0, 0, 5, 5, 5}, 16.5},
		{[]int{3, 0, 0, 5, 3}, 8},
	} {
		if got := drawnMedian(sorted, c.index, make([]int, len(sorted))); got != c.want {
			t.Errorf("median of %v is %g, want %g", c.index, got, c.want)
		}
	}
}
