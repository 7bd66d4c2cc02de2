package compare

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

var morning = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

// roundOf begins at minute at, and has a trial of half a minute for each variant.
type roundOf struct {
	at     int
	values map[string]float64
}

func runOf(id string, rounds ...roundOf) *results.Result {
	r := &results.Result{Run: &results.Run{
		ID: id, Method: 2, Engine: "epoll", Rounds: len(rounds), Scenario: scenarios.Scenario{Name: "steady", Why: "of " + id, Phases: []scenarios.Phase{{Name: "steady", For: 5e9}}},
		Variants: []results.Variant{{Name: "gnet", SHA256: "x"}, {Name: "nethttp", SHA256: "y"}},
		Env:      results.Env{Host: "h", Kernel: "6.18", Sysctls: map[string]string{"net.core.somaxconn": "4096"}},
		Split:    results.CPUSplit{Server: []int{0}, Client: []int{1}},
	}}
	for i, round := range rounds {
		for k, v := range r.Run.Variants {
			value, ok := round.values[v.Name]
			if !ok {
				continue
			}
			r.Trials = append(r.Trials, &results.Trial{
				Round: i + 1, Variant: v.Name, Status: results.StatusDone, Verdict: validity.Valid, Seconds: 25,
				Started: morning.Add(time.Duration(round.at)*time.Minute + time.Duration(k)*30*time.Second),
				Metrics: map[string]float64{"cpu-per-req-ns": value},
			})
		}
	}
	return r
}

// both are rounds of both variants at these minutes, with values of gnet, and nethttp constant.
func both(at []int, gnet ...float64) (out []roundOf) {
	for i, v := range gnet {
		out = append(out, roundOf{at[i], map[string]float64{"gnet": v, "nethttp": 20}})
	}
	return out
}

func upTo(n, first, step int) (out []int) {
	for i := range n {
		out = append(out, first+i*step)
	}
	return out
}

// One host whose speed goes up and down by a factor of ten: in pairs 10 % are seen, without pairs they are not.
func TestRunsMadeInTurnsArePaired(t *testing.T) {
	was := []float64{1, 2, 4, 8, 10, 5, 3, 1.5}
	var is []float64
	for i, v := range was {
		is = append(is, v*1.1*math.Exp(0.001*float64(i)))
	}
	c, err := TwoRuns(runOf("base", both(upTo(8, 0, 2), was...)...), runOf("head", both(upTo(8, 1, 2), is...)...), []string{"cpu-per-req-ns"})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Paired || len(c.Pairs) != 8 || len(c.Changes) != 2 {
		t.Fatalf("paired %v (%s), pairs %v, %d changes", c.Paired, c.Why, c.Pairs, len(c.Changes))
	}
	if e := c.Changes[0].Ratio; !(e.Lo > 1.099 && e.Hi < 1.12 && e.P < 0.01) {
		t.Errorf("gnet: %+v, want about 1.104 and nothing else", e)
	}
	if c.Changes[0].Smallest > 0.02 {
		t.Errorf("smallest difference %v of rounds that hardly scatter", c.Changes[0].Smallest)
	}
	later, err := TwoRuns(runOf("base", both(upTo(8, 0, 1), was...)...), runOf("head", both(upTo(8, 20, 1), is...)...), []string{"cpu-per-req-ns"})
	if err != nil {
		t.Fatal(err)
	}
	if later.Paired || !strings.Contains(later.Why, "not made in turns") {
		t.Fatalf("paired %v (%s): one was made after the other", later.Paired, later.Why)
	}
	if e := later.Changes[0].Ratio; !(e.Lo < 1 && e.Hi > 1) || e.Method != "mann-whitney" {
		t.Errorf("unpaired: %+v, want an interval with 1", e)
	}
}

func TestRoundsBelongTogetherWithoutAPause(t *testing.T) {
	check := func(base, head []int, paired bool, why string) {
		t.Helper()
		v := []float64{1, 2, 3, 4}
		_, got := together(runOf("a", both(base, v[:len(base)]...)...), runOf("b", both(head, v[:len(head)]...)...))
		if (got == "") != paired || !strings.Contains(got, why) {
			t.Errorf("base at %v, head at %v: %q, want paired %v, %q", base, head, got, paired, why)
		}
	}
	check([]int{0, 3, 4, 7}, []int{1, 2, 5, 6}, true, "") // ABBA
	check([]int{0, 2, 4, 6}, []int{1, 3, 5}, true, "")    // broken off: the last has no partner
	check([]int{0, 1, 4}, []int{2, 3, 5}, false, "not made in turns")
	check([]int{0, 10}, []int{5, 15}, false, "lie between their rounds")
	check([]int{0}, []int{1440}, false, "lie between their rounds")
	check([]int{0}, nil, false, "has no rounds")
}

// Two runs in two terminals disturb each other, and a round that was completed in another sitting is no stretch of time.
func TestRoundsThatOverlapAreNoPairs(t *testing.T) {
	v := []float64{1, 2, 3}
	base, head := runOf("base", both([]int{0, 3, 6}, v...)...), runOf("head", both([]int{1, 4, 7}, v...)...)
	if _, why := together(base, head); why != "" {
		t.Fatal(why)
	}
	for _, tr := range head.Trials {
		tr.Started = tr.Started.Add(-10 * time.Second) // the rounds of the base end 5 s before the minute
	}
	if _, why := together(base, head); !strings.Contains(why, "round 1 of head began before the round of the other run had ended") {
		t.Errorf("overlapping: %q", why)
	}
	base, head = runOf("base", both([]int{0, 3, 6}, v...)...), runOf("head", both([]int{1, 4, 700}, v...)...)
	for _, tr := range append(base.Trials, head.Trials...) {
		tr.Sitting = 1
	}
	last := base.Trials[len(base.Trials)-1]
	last.Started, last.Sitting = last.Started.Add(11*time.Hour), 2
	if _, why := together(base, head); why != "round 3 of base was measured in more than one sitting" {
		t.Errorf("two sittings: %q", why)
	}
}

// Of eight and eight rounds five pairs count in both: that is no interval, and says five. Rows are at the level of their own rounds.
func TestChangesSayWhatTheyRestOn(t *testing.T) {
	v := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	base, head := runOf("base", both(upTo(8, 0, 2), v...)...), runOf("head", both(upTo(8, 1, 2), 1, 2.1, 3, 4.2, 5, 6.1, 7, 8)...)
	drop := func(r *results.Result, variant string, rounds ...int) {
		for _, tr := range r.Trials {
			if tr.Variant == variant && slices.Contains(rounds, tr.Round) {
				tr.Verdict = validity.Invalid
			}
		}
	}
	drop(base, "gnet", 1, 2)
	drop(head, "gnet", 3)
	changes := func() []Change {
		c, err := TwoRuns(base, head, []string{"cpu-per-req-ns"})
		if err != nil {
			t.Fatal(err)
		}
		return c.Changes
	}
	c := changes()
	if c[0].Rounds != 5 || c[0].Asked != 0 || !math.IsNaN(c[0].Smallest) || !math.IsNaN(c[0].Ratio.Lo) {
		t.Errorf("five pairs: %+v", c[0])
	}
	if c[1].Rounds != 8 || c[1].Asked != 0.975 {
		t.Errorf("eight pairs of one of two variants: %+v", c[1])
	}
	for _, tr := range head.Trials {
		tr.Started = tr.Started.Add(time.Hour)
	}
	c = changes()
	if c[0].Rounds != 6 || c[0].Asked != 0.95 || c[1].Asked != 0.975 {
		t.Errorf("unpaired: %+v", c)
	}
	// Six and seven rounds are compared at 95 %, and so is what they could have seen.
	sd := math.Hypot(deviation(logs(c[0].Base))*math.Sqrt(1.0/6), deviation(logs(c[0].Head))*math.Sqrt(1.0/7)) / math.Sqrt(1.0/6+1.0/7)
	near(t, "smallest, unpaired", c[0].Smallest, math.Expm1(inference.ShiftMDE(sd, 6, 7, 0.05, 0.8)))
}

func TestTwoRunsRefuses(t *testing.T) {
	check := func(change func(*results.Result), want ...string) {
		t.Helper()
		head := runOf("head", both(upTo(6, 1, 2), 1, 2, 3, 4, 5, 6)...)
		change(head)
		_, err := TwoRuns(runOf("base", both(upTo(6, 0, 2), 1, 2, 3, 4, 5, 6)...), head, nil)
		var refused *Refused
		if !errors.As(err, &refused) {
			t.Errorf("%v: want a refusal because of %q", err, want)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: want %q in it", err, w)
			}
		}
	}
	check(func(r *results.Result) { r.Run.Method = 3 }, "different methods: 2 and 3")
	check(func(r *results.Result) { r.Run.Env.Host, r.Run.Env.Kernel = "other", "6.19" }, "different hosts: h and other", "other differences: kernel: 6.18 → 6.19")
	check(func(r *results.Result) { r.Run.Scenario.Phases[0].For = 7e9 }, "different scenarios: phases.steady.for: 5s → 7s")
	check(func(r *results.Result) { r.Run.Scenario.Name = "idle" }, "different scenarios: steady and idle")
	check(func(r *results.Result) { r.Run.ID = "base" }, "they are the same run")
	check(func(r *results.Result) { r.Run.Engine = "uring" }, "different load engines: epoll and uring")
	check(func(r *results.Result) { r.Run.Split.Server = []int{0, 2} }, "different CPUs of the server: [0] and [0 2]")
	check(func(r *results.Result) { r.Run.Purpose = results.PurposeAA }, `head was not made to measure: its purpose is "aa"`)
	check(func(r *results.Result) { r.Run.Variants[0].Name, r.Run.Variants[1].Name = "a", "b" }, "they share no variant: gnet, nethttp and a, b")
}

func TestTwoRunsListsEveryDifference(t *testing.T) {
	base, head := runOf("base", both(upTo(6, 0, 2), 1, 2, 3, 4, 5, 6)...), runOf("head", both(upTo(6, 1, 2), 1, 2, 3, 4, 5, 6)...)
	e := &head.Run.Env
	e.Kernel, e.Go, e.Sysctls = "6.19", "go1.27", map[string]string{"net.core.somaxconn": "128"}
	e.Limits, e.Modules, e.Dirty = map[string]uint64{"nofile": 9}, map[string]string{"gnet": "v3"}, true
	head.Run.Variants[0].SHA256, head.Run.Variants[1].Args = "z", []string{"--x"}
	c, err := TwoRuns(base, head, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Go: none → go1.27", "kernel: 6.18 → 6.19", "limit nofile: none → 9", "module gnet: none → v3", "sysctl net.core.somaxconn: 4096 → 128",
		"uncommitted changes: false → true", "program of gnet: another binary", `flags of nethttp: "" → "--x"`,
	}
	if !slices.Equal(c.Differences, want) {
		t.Errorf("differences %q\nwant %q", c.Differences, want)
	}
}

func TestChangesThatHaveNoRatio(t *testing.T) {
	base, head := runOf("base", both(upTo(6, 0, 2), 1, 2, 3, 4, 5, 6)...), runOf("head", both(upTo(6, 1, 2), 1, 2, 0, 4, 5, 6)...)
	for _, tr := range head.Trials {
		if tr.Variant == "nethttp" && tr.Round > 2 {
			tr.Verdict = validity.Invalid
		}
	}
	c, err := TwoRuns(base, head, []string{"cpu-per-req-ns"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Changes[0].Off; got != "values that are zero or negative have no ratio" {
		t.Errorf("gnet: %q", got)
	}
	if got := c.Changes[1].Off; got != "not placed in the head" {
		t.Errorf("nethttp: %q", got)
	}
	if _, err := TwoRuns(base, head, []string{"cpu"}); err == nil || !strings.Contains(err.Error(), `metric "cpu": want one of drain-time-ns`) {
		t.Errorf("unknown metric: %v", err)
	}
}

func TestFewRoundsAreAPoint(t *testing.T) {
	at, later := upTo(5, 0, 2), upTo(5, 1, 2)
	c, err := TwoRuns(runOf("base", both(at, 1, 2, 3, 4, 5)...), runOf("head", both(later, 2, 4, 6, 8, 10)...), []string{"cpu-per-req-ns"})
	if err != nil {
		t.Fatal(err)
	}
	if e := c.Changes[0].Ratio; math.Abs(e.Value-2) > 1e-9 || !math.IsNaN(e.Lo) || !math.IsNaN(e.P) {
		t.Errorf("%+v: want the point 2 without interval", e)
	}
}

// Runs of a sweep are compared step by step, and only where they have the same steps.
func TestRunsOfSweeps(t *testing.T) {
	sweep := func(id string, first int, factor float64, steps ...string) *results.Result {
		r := runOf(id, both(upTo(8, first, 2), 10, 10, 10, 10, 10, 10, 10, 10)...)
		var trials []*results.Trial
		for k, name := range steps {
			s := *r.Run.Scenario.Clone()
			s.Payload = k + 1
			r.Run.Steps = append(r.Run.Steps, results.Step{Name: name, Scenario: s})
			for _, x := range r.Trials {
				y := *x
				y.Step, y.Metrics = name, map[string]float64{"cpu-per-req-ns": x.Metrics["cpu-per-req-ns"] * math.Pow(factor, float64(k))}
				trials = append(trials, &y)
			}
		}
		r.Trials = trials
		return r
	}
	c, err := TwoRuns(sweep("base", 0, 1, "a", "b"), sweep("head", 1, 2, "a", "b"), []string{"cpu-per-req-ns"})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Changes) != 4 || c.Changes[0].Step != "a" || c.Changes[0].Ratio.Value != 1 || c.Changes[2].Step != "b" || math.Abs(c.Changes[2].Ratio.Value-2) > 1e-9 {
		t.Errorf("got %+v", c.Changes)
	}
	if _, err := TwoRuns(sweep("base", 0, 1, "a", "b"), sweep("head", 1, 1, "a", "c"), nil); err == nil || !strings.Contains(err.Error(), "different steps of the sweep: a, b and a, c") {
		t.Errorf("other steps: %v", err)
	}
	if whole := Run(sweep("base", 0, 1, "a", "b"), "cpu-per-req-ns", ""); whole.Why != "a sweep is compared step by step" || !math.IsNaN(whole.Rows[0].Median) {
		t.Errorf("a sweep as a whole: %s, median %v", whole.Why, whole.Rows[0].Median)
	}
}
