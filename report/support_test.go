package report

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/plots/synthetic"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// altered writes a run, lets f change its trials, and reads it again.
func altered(t *testing.T, o synthetic.Options, f func(*results.Trial)) *results.Result {
	t.Helper()
	res := load(t, o)
	var lines bytes.Buffer
	for _, trial := range res.Trials {
		f(trial)
		line, err := json.Marshal(trial)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	if err := os.WriteFile(filepath.Join(res.Path, "trials.jsonl"), lines.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	res, err := results.Load(res.Path)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// scattered are values around a base that differs by variant, the same ones each time: relative scatter sd.
func scattered(variant string, round int, base, sd float64) float64 {
	seed := uint64(round)
	for _, c := range variant {
		seed = seed*31 + uint64(c)
	}
	return base * math.Exp(sd*rand.New(rand.NewPCG(seed, 1)).NormFloat64())
}

var three = []string{"goroutine", "gnet", "netpoll"}

// b scatters so much that it can be told neither from a nor from c, which are 14 % apart.
func TestIntransitive(t *testing.T) {
	if testing.Short() {
		t.Skip("ten rounds take a while to make")
	}
	bases := map[string]float64{"goroutine": 1e6, "gnet": 1.07e6, "netpoll": 1.14e6}
	scatter := map[string]float64{"goroutine": 0.01, "gnet": 0.12, "netpoll": 0.01}
	res := altered(t, synthetic.Options{Scenario: "churn", Rounds: 10, Variants: three}, func(trial *results.Trial) {
		for name := range trial.Metrics {
			trial.Metrics[name] = scattered(trial.Variant, trial.Round, bases[trial.Variant], scatter[trial.Variant])
		}
	})
	out := text(t, res, false)
	golden.Equal(t, "churn-intransitive.txt", out)
	for _, want := range []string{"goroutine  1  ", "gnet       1–2  ", "netpoll      2  "} {
		if !strings.Contains(out, want) {
			t.Errorf("no tiers %q in:\n%s", want, out)
		}
	}
}

func TestBadInput(t *testing.T) {
	churn := func(rounds int, variants ...string) synthetic.Options {
		return synthetic.Options{Scenario: "churn", Rounds: rounds, Variants: variants, Scatter: 0.02}
	}
	allInvalid := churn(8, three...)
	allInvalid.Invalid = three
	reference := churn(8, three...)
	reference.Invalid = []string{"goroutine"}
	cut := churn(10, three...)
	cut.Stop = 26 // eight rounds and two trials
	early := churn(10, three...)
	early.Stop = 20
	set := func(v float64) func(*results.Trial) {
		return func(trial *results.Trial) {
			for name := range trial.Metrics {
				trial.Metrics[name] = v
			}
		}
	}
	for _, c := range []struct {
		name    string
		options synthetic.Options
		alter   func(*results.Trial)
		want    []string
		not     []string
	}{
		{"one round", churn(1, three...), nil, []string{"1 round: points, no ranking"}, []string{"×", "Tiers", "Smallest"}},
		{"one variant", churn(10, "gnet"), nil, []string{"10 rounds: no ratios, one variant: nothing to compare it with"}, []string{"×", "Tiers", "Smallest"}},
		{"one variant, one round", churn(1, "gnet"), nil, []string{"1 round: points"}, []string{"×", "Tiers"}},
		{"all invalid", allInvalid, nil, []string{"8 rounds: no ratios, the reference goroutine is not placed (--reference takes another)", "[invalid]"},
			[]string{"×", "Tiers", "Smallest"}},
		{"reference invalid", reference, nil, []string{"the reference goroutine is not placed (--reference takes another)", "[invalid]", "Tiers"}, []string{"×", "Smallest"}},
		{"zeros", churn(8, three...), set(0), []string{"8 rounds: no ratios, fewer than two variants have values that can be compared"}, []string{"×", "Tiers", "Smallest", "NaN", "Inf"}},
		{"negative", churn(8, three...), set(-5e3), []string{"8 rounds: no ratios, fewer than two"}, []string{"×", "Tiers", "NaN", "Inf"}},
		{"one zero", churn(8, three...), func(trial *results.Trial) {
			if trial.Variant == "gnet" && trial.Round == 3 {
				trial.Metrics["p50-latency-ns"] = 0
			}
		}, []string{"no ratio: a value is zero or negative", "no tier: a value is zero or negative", "×"}, []string{"NaN", "Inf"}},
		{"ties everywhere", churn(10, three...), set(5e6), []string{"×1.00 [1.00–1.00]", "0 % (no scatter)", "No order of the variants supported (Friedman): connect p50 (p = 1)",
			"gnet       1            1"}, []string{"NaN", "Inf", "  2  "}},
		{"cut off after eight rounds", cut, nil, []string{"Not finished: 26 of 30", "97.5 % interval", "all 2 hold together", "Tiers"}, nil},
		{"cut off after six", early, nil, []string{"Not finished: 20 of 30", "95 % interval, each by itself", "Tiers need 8 rounds"}, []string{"Tiers\n"}},
		{"missing rounds of a metric", churn(10, three...), func(trial *results.Trial) {
			if trial.Variant == "gnet" && trial.Round <= 2 {
				delete(trial.Metrics, "p99-connect-ns")
			}
			if trial.Variant == "netpoll" && trial.Round <= 6 {
				delete(trial.Metrics, "p50-connect-ns")
			}
		}, []string{"missing in 2 of 10 rounds", "ratio over 8 of 10 rounds, in which both it and goroutine count",
			"no ratio: in only 4 of 10 rounds both it and goroutine count, an interval needs 6", "no tier: fewer than 8 rounds"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.options.Rounds > 3 {
				t.Skip("many rounds take a while to make")
			}
			alter := c.alter
			if alter == nil {
				alter = func(*results.Trial) {}
			}
			res := altered(t, c.options, alter)
			out := text(t, res, false)
			page, err := Markdown(res, figures(res))
			if err != nil {
				t.Fatal(err)
			}
			unwrapped := strings.Join(strings.Fields(out), " ")
			for _, want := range c.want {
				if !strings.Contains(out, want) && !strings.Contains(unwrapped, want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
			for _, not := range c.not {
				if strings.Contains(out, not) {
					t.Errorf("%q in:\n%s", not, out)
				}
			}
			for _, not := range []string{"NaN", "+Inf", "%!"} {
				if strings.Contains(out, not) || bytes.Contains(page, []byte(not)) {
					t.Errorf("%s in:\n%s\n%s", not, out, page)
				}
			}
		})
	}
}

func TestAgainst(t *testing.T) {
	res := load(t, synthetic.Options{Scenario: "churn", Rounds: 6, Variants: three})
	other, err := Against(res, "gnet")
	if err != nil {
		t.Fatal(err)
	}
	if out := text(t, other, false); !strings.Contains(out, "gnet (reference)") || !strings.Contains(out, "ratio to gnet") {
		t.Errorf("not against gnet:\n%s", out)
	}
	if out := text(t, res, false); !strings.Contains(out, "goroutine (reference)") {
		t.Errorf("the run itself was changed:\n%s", out)
	}
	if _, err := Against(res, "nginx"); err == nil || !strings.Contains(err.Error(), "want one of goroutine, gnet, netpoll") {
		t.Errorf("an unknown reference: %v, want the known ones named", err)
	}
}

// A run.json that names a reference that it hasn't got is reported on, without ratios.
func TestReferenceGone(t *testing.T) {
	if testing.Short() {
		t.Skip("six rounds take a while to make")
	}
	res := load(t, synthetic.Options{Scenario: "churn", Rounds: 6, Variants: three})
	res.Run.Reference = "nginx"
	if out := text(t, res, false); !strings.Contains(out, "6 rounds: no ratios, the run has no variant nginx, its reference (--reference takes another)") || strings.Contains(out, "×") {
		t.Errorf("got:\n%s", out)
	}
}

// "No order supported" stands only where nothing in the report supports one.
func TestNoOrderContradictsNoInterval(t *testing.T) {
	metric := (&results.Run{}).Headline()[0]
	check := func(what string, want bool, change func(*compare.Comparison)) {
		t.Helper()
		d := newDocument(&results.Result{Run: &results.Run{}})
		c := &compare.Comparison{Friedman: 0.3, Blocks: 8, Rows: []compare.Row{
			{Ratio: inference.Estimate{Value: 1, Lo: math.NaN(), Hi: math.NaN()}}, {Ratio: inference.Estimate{Value: 1.02, Lo: 0.99, Hi: 1.04}},
		}, Pairs: []compare.Pair{{A: 0, B: 1}}}
		change(c)
		d.comparisons[metric] = c
		d.addNoOrder([]string{metric})
		if (len(d.support) > 0) != want {
			t.Errorf("%s: %q, want it said %v", what, d.support, want)
		}
	}
	check("nothing apart", true, func(*compare.Comparison) {})
	check("an interval without 1", false, func(c *compare.Comparison) { c.Rows[1].Ratio.Lo = 1.001 })
	check("an interval below 1", false, func(c *compare.Comparison) { c.Rows[1].Ratio.Lo, c.Rows[1].Ratio.Hi = 0.9, 0.99 })
	check("a pair apart", false, func(c *compare.Comparison) { c.Pairs[0].Apart = true })
	check("seven rounds", false, func(c *compare.Comparison) { c.Blocks = 7 })
	check("Friedman", false, func(c *compare.Comparison) { c.Friedman = 0.04 })
}

func TestRoundSeconds(t *testing.T) {
	d := newDocument(&results.Result{Run: &results.Run{Variants: []results.Variant{{Name: "a"}, {Name: "b"}}}, Trials: []*results.Trial{
		{Variant: "a", Round: 1, Status: results.StatusDone, Seconds: 10}, {Variant: "a", Round: 2, Status: results.StatusDone, Seconds: 20, Wait: &results.Wait{Seconds: 4}},
		{Variant: "b", Round: 1, Status: results.StatusDone, Seconds: 5}, {Variant: "b", Round: 2, Status: results.StatusFailed, Seconds: 1},
	}})
	if got := d.roundSeconds(); got != 22 {
		t.Errorf("a round takes %v s, want 17 and 5", got)
	}
}

func TestRatioDigits(t *testing.T) {
	check := func(value, lo, hi float64, want string) {
		t.Helper()
		e := inference.Estimate{Value: value, Lo: lo, Hi: hi}
		n := decimalsOf(e)
		if got := fixed(value, n) + " " + bracket(e, n); got != want {
			t.Errorf("%v [%v, %v] reads %s, want %s", value, lo, hi, got, want)
		}
	}
	check(0.98, 0.96, 1, "0.98 [0.96–1.00]")
	check(0.98, 0.96, 0.998, "0.980 [0.960–0.998]") // not 1.00: it is below
	check(1.02, 1.001, 1.04, "1.020 [1.001–1.040]")
	check(1, 1, 1, "1.00 [1.00–1.00]")
	check(3.25, 2.8, 3.9, "3.25 [2.80–3.90]")
	check(9.9, 8.1, 12.3, "9.9 [8.1–12.3]")
	check(120, 80, 140, "120 [80–140]")
	check(0.052, 0.04, 0.07, "0.052 [0.040–0.070]")
	check(0.00043, 0.00038, 0.00051, "0.00043 [0.00038–0.00051]")
	check(0.47, 0.0016, 0.67, "0.47 [0.002–0.67]") // not 0.00
}

func TestHeadlinesHaveNames(t *testing.T) {
	for _, scenario := range scenarios.Names {
		s, err := scenarios.Named(scenario)
		if err != nil {
			t.Fatal(err)
		}
		d := newDocument(&results.Result{Run: &results.Run{Scenario: *s}})
		for _, m := range d.res.Run.Headline() {
			if d.nameOf(m) == m {
				t.Errorf("%s: the headline metric %s has no column", scenario, m)
			}
		}
	}
}
