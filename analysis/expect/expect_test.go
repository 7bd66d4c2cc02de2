package expect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// runOf is a run of the variants with so many rounds, all trials valid; value gives the metrics of each.
func runOf(rounds int, variants []string, value func(round int, variant string) map[string]float64) *Data {
	run := &results.Run{ID: "x", Rounds: rounds, Scenario: scenarios.Scenario{Name: "burst", Phases: []scenarios.Phase{{Name: "baseline"}, {Name: "recovery"}}}}
	d := &Data{Run: run}
	for _, v := range variants {
		run.Variants = append(run.Variants, results.Variant{Name: v})
	}
	for r := 1; r <= rounds; r++ {
		for _, v := range variants {
			d.Trials = append(d.Trials, &results.Trial{ID: fmt.Sprint(r, v), Round: r, Variant: v, Status: results.StatusDone, Verdict: validity.Valid, Metrics: value(r, v)})
		}
	}
	return d
}

func metrics(p99, cpu float64) map[string]float64 {
	return map[string]float64{"p99-latency-ns": p99, "cpu-per-req-ns": cpu, "residue-RSS-bytes": p99 - cpu}
}

func decideOne(t *testing.T, d *Data, that string) Decision {
	t.Helper()
	out := Decide([]scenarios.Expectation{{Name: "e", That: that}}, d, Alpha)
	if out[0].Why != "" {
		t.Fatalf("%s: %v", that, out[0].Why)
	}
	return out[0]
}

// ten rounds in which a's p99 is about 1 ms and b's about 2 ms, both at 10 µs of CPU a request.
func ten(rounds int) *Data {
	rng := rand.New(rand.NewPCG(1, 1))
	return runOf(rounds, []string{"a", "b/x"}, func(_ int, v string) map[string]float64 {
		p := 1e6 * math.Exp(0.02*rng.NormFloat64())
		if v != "a" {
			p *= 2
		}
		return metrics(p, 1e4*math.Exp(0.02*rng.NormFloat64()))
	})
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		that string
		want Verdict
	}{
		{"p99(a) < p99(b/x)", Confirmed},
		{`p99("a") < p99("b/x")`, Confirmed},
		{"p99(a) > p99(b/x)", Refuted},
		{"p99(a) < 1500us", Confirmed},
		{"p99(a) < 0.5ms", Refuted},
		{"p99(a) >= 0.5ms", Confirmed},
		{"cpu(a) < cpu(b/x)", Undecided},
		{"within(cpu(a), cpu(b/x), 10%)", Confirmed},
		{"within(p99(a), p99(b/x), 10%)", Refuted},
		{"within(p99(b/x) / p99(a), 2, 5%)", Confirmed},
		{"within(cpu(a), cpu(b/x), 1%)", Undecided},
		{"p99(b/x) - p99(a) > 0.5ms", Confirmed},
		{"-p99(a) < -0.5ms", Confirmed},
		{"lowest(p99(a), p99(b/x)) < 1.5ms and highest(p99(a), p99(b/x)) > 1.5ms", Confirmed},
		{"not (p99(a) < p99(b/x))", Refuted},
		{"p99(a) < p99(b/x) or cpu(a) < cpu(b/x)", Confirmed},
		{"p99(a) > p99(b/x) or cpu(a) < cpu(b/x)", Undecided},
		{"p99(a) > p99(b/x) and cpu(a) < cpu(b/x)", Refuted},
		{"p99(a) < p99(b/x) and cpu(a) < cpu(b/x)", Undecided},
		{"not (cpu(a) < cpu(b/x))", Undecided},
		{"0.5ms < p99(a) < 1.5ms", Confirmed},
		{"metric(a, p99-latency-ns) < metric(b/x, p99-latency-ns)", Confirmed},
		{"metric(a, residue-RSS-bytes) > 100KiB", Confirmed},
		{"p99(a) / (p99(a) - p99(a)) > 1", Undecided},
		{"(p99(a) - p99(a)) / p99(b/x) < 1%", Confirmed},
		{"within(p99(a), p99(b/x) - p99(b/x), 5%)", Undecided},
	} {
		if got := decideOne(t, ten(10), c.that); got.Verdict != c.want {
			t.Errorf("%s: %s, want %s: %+v", c.that, got.Verdict, c.want, got.Comparisons)
		}
	}
}

func TestFewRoundsDecideNothing(t *testing.T) {
	for n := range 9 {
		d := decideOne(t, ten(n), "p99(a) < p99(b/x)")
		c := d.Comparisons[0]
		if (n >= Rounds) != (d.Verdict == Confirmed) || (d.Verdict == Undecided) != (c.Why != "") {
			t.Errorf("%d rounds: %s, %q", n, d.Verdict, c.Why)
		}
		if n >= Rounds && (c.Lo == nil || *c.Lo > 0.5 || *c.Hi < 0.5 || !c.Ratio || c.Rounds != n) {
			t.Errorf("%d rounds: %+v", n, c)
		}
	}
	// Equal counts in every round have no scatter: they decide as soon as the rounds reach the confidence.
	same := runOf(6, []string{"a"}, func(int, string) map[string]float64 { return metrics(5, 5) })
	for that, want := range map[string]Verdict{"p99(a) <= 5ns": Confirmed, "p99(a) < 5ns": Refuted, "within(p99(a), 5ns, 1%)": Confirmed, "p99(a) <= 5ns and cpu(a) <= 5ns": Undecided} {
		if got := decideOne(t, same, that); got.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", that, got.Verdict, want, got.Comparisons)
		}
	}
}

func TestRoundsThatDontCount(t *testing.T) {
	d := ten(10)
	for _, tr := range d.Trials {
		if tr.Variant == "a" && tr.Round <= 5 {
			tr.Verdict = validity.Invalid
		}
	}
	c := decideOne(t, d, "p99(a) < p99(b/x)").Comparisons[0]
	if c.Verdict != Undecided || c.Rounds != 5 || !strings.Contains(c.Why, "5 of 10 rounds") || !strings.Contains(c.Why, "INVALID") {
		t.Errorf("five invalid rounds of ten: %+v", c)
	}
	d = ten(14)
	for _, tr := range d.Trials {
		if tr.Variant == "a" && tr.Round <= 8 {
			delete(tr.Metrics, "p99-latency-ns")
			tr.Notes = []string{"p99-latency-ns: nobody looked"}
		}
	}
	if c = decideOne(t, d, "p99(a) < p99(b/x)").Comparisons[0]; c.Verdict != Undecided || !strings.Contains(c.Why, "want half of them") || !strings.Contains(c.Why, "nobody looked") {
		t.Errorf("eight rounds of fourteen without the metric: %+v", c)
	}
	if c = decideOne(t, runOf(0, []string{"a"}, nil), "p99(a) < 1ms").Comparisons[0]; c.Verdict != Undecided || c.Left != nil {
		t.Errorf("no round: %+v", c)
	}
}

func TestAbsentVariants(t *testing.T) {
	d := ten(10)
	d.Run.NotApplicable = map[string]string{"fasthttp": "speaks no push"}
	for that, words := range map[string]string{"p99(a) < p99(gnet/ants)": "not in this run", "p99(a) < p99(fasthttp)": "speaks no push"} {
		list := []scenarios.Expectation{{Name: "e", That: that}}
		if err := Check(list, NamesOf(d.Run, []string{"gnet"})); err != nil {
			t.Errorf("%s: %v", that, err)
		}
		out := Decide(list, d, Alpha)
		if out[0].Verdict != Undecided || !strings.Contains(out[0].Comparisons[0].Why, words) {
			t.Errorf("%s: %+v", that, out)
		}
	}
}

func TestPhases(t *testing.T) {
	d := ten(8)
	p99 := func(v int64) hist.Summary { return hist.Summary{P99: &v} }
	for _, tr := range d.Trials {
		tr.Phases = []results.Phase{
			{Name: "baseline", FromNs: 1e9, ToNs: 6e9, Response: p99(1e6 + int64(tr.Round)), Bystander: &results.Side{Response: p99(7e6)}},
			{Name: "recovery", FromNs: 6e9, ToNs: 12e9, Response: p99(5e6), Planned: 100, Outcomes: map[string]int64{"ok": 60, "refused": 40}},
		}
		for s := range int64(12) {
			tr.SecondsNs = append(tr.SecondsNs, p99(1e6+1e5*s))
		}
	}
	for that, want := range map[string]Verdict{
		"p99(a, recovery) < 1.1 * p99(a, baseline)":      Refuted,
		"p99(a, recovery) > 4 * p99(a, baseline)":        Confirmed,
		"refused_share(a, recovery) > 30%":               Confirmed,
		"metric(a, failed-share, recovery) < 30%":        Refuted,
		"bystander_p99(a, baseline) < 8ms":               Confirmed,
		"bystander_p99(a, recovery) < 8ms":               Undecided, // none there
		"within(trend_p99(a, baseline), 0.1ms, 1%)":      Confirmed,
		"rss(a, recovery) < 1MiB":                        Undecided, // no readings
		"p99(a, recovery) - p99(a, baseline) < 1000us":   Refuted,
		"p99(a, 'recovery') > 3ms && p99(b/x) > 1ms":     Confirmed,
		"p99(a, recovery) / p99(b/x, recovery) <= 1.001": Confirmed,
	} {
		if got := decideOne(t, d, that); got.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", that, got.Verdict, want, got.Comparisons)
		}
	}
}

// A peak is a figure of the whole trial where there is a burst, and of the last measured phase where there is none.
func TestPeakWithoutABurst(t *testing.T) {
	d := ten(8)
	rss := func(v int64) *int64 { return &v }
	d.Readings = func(string) ([]results.Reading, error) {
		return []results.Reading{{TNs: 1e9, RSSBytes: rss(1 << 20)}, {TNs: 7e9, RSSBytes: rss(3 << 20)}, {TNs: 9e9, RSSBytes: rss(2 << 20)}}, nil
	}
	for _, tr := range d.Trials {
		tr.Phases = []results.Phase{{Name: "baseline", FromNs: 0, ToNs: 6e9}, {Name: "recovery", Measure: true, FromNs: 6e9, ToNs: 12e9}}
	}
	for _, that := range []string{"rss_peak(a) > 2.9MiB", "rss_peak(a) < 3.1MiB"} {
		if got := decideOne(t, d, that); got.Verdict != Confirmed {
			t.Errorf("%s: %s: %+v", that, got.Verdict, got.Comparisons)
		}
	}
}

func TestSweeps(t *testing.T) {
	d := ten(0)
	for i, n := range []float64{1, 10, 100, 1000} {
		name := []string{"1", "10", "100", "1k"}[i]
		d.Run.Steps = append(d.Run.Steps, results.Step{Name: name, Value: &n, Scenario: d.Run.Scenario})
		for r := 1; r <= 8; r++ {
			for _, v := range []string{"a", "b/x"} {
				cpu := 1e4
				if v == "a" {
					cpu += 10 * n * (1 + 0.01*float64(r))
				}
				d.Trials = append(d.Trials, &results.Trial{Round: r, Variant: v, Step: name, Status: results.StatusDone, Verdict: validity.Valid, Metrics: metrics(1e6, cpu)})
			}
		}
	}
	for that, want := range map[string]Verdict{
		"at(1k, cpu(a)) > 1.5 * at(1, cpu(a))":                   Confirmed,
		`at("1k", cpu(a) / cpu(b/x)) < at(1, cpu(a) / cpu(b/x))`: Refuted,
		"within(slope(cpu(a)), 10.4ns, 5%)":                      Confirmed,
		"slope(cpu(b/x)) <= 0ns":                                 Confirmed,
	} {
		if got := decideOne(t, d, that); got.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", that, got.Verdict, want, got.Comparisons)
		}
	}
	for that, words := range map[string]string{
		"cpu(a) < 1ms":                `say at which step, at("1", cpu(a))`,
		"at(2, cpu(a)) < 1ms":         `no step "2" of the sweep: want one of 1, 10, 100, 1k`,
		"at(1, slope(cpu(a))) < 1ms":  "not within at",
		"at(1, at(10, cpu(a))) < 1ms": "not within another at",
	} {
		out := Decide([]scenarios.Expectation{{Name: "e", That: that}}, d, Alpha)
		if out[0].Verdict != Undecided || !strings.Contains(out[0].Why, words) {
			t.Errorf("%s: %+v, want %q", that, out, words)
		}
	}
}

// The largest step that holds an objective: the first that doesn't ends it, and so does one without the figure.
func TestUpto(t *testing.T) {
	d := ten(0)
	d.Run.Split.Server = []int{0, 1}
	for i, n := range []float64{100, 200, 1000} {
		d.Run.Steps = append(d.Run.Steps, results.Step{Name: fmt.Sprint(n), Value: &n, Scenario: d.Run.Scenario})
		for r := 1; r <= 8; r++ {
			for v, p99s := range map[string][]float64{"a": {1e6, 2e6, 3e6}, "b/x": {1e6, 9e6, 1e6}} {
				m := metrics(p99s[i], 1)
				if v == "a" && n == 1000 && r%2 == 0 {
					delete(m, "p99-latency-ns")
				}
				d.Trials = append(d.Trials, &results.Trial{Round: r, Variant: v, Step: fmt.Sprint(n), Status: results.StatusDone, Verdict: validity.Valid, Metrics: m})
			}
		}
	}
	for that, want := range map[string]Verdict{
		"within(upto(p99(a), 2ms), 200, 1%)":            Confirmed,
		"within(upto(p99(b/x), 5ms), 100, 1%)":          Confirmed,
		"upto(p99(a), 2ms) >= 5 * upto(p99(b/x), 5ms)":  Refuted,
		"within(upto(p99(a), 5ms), 1000, 1%)":           Undecided, // without the figure in every other round
		"upto(p99(a), 0.5ms) >= upto(p99(b/x), 0.5ms)":  Undecided, // neither holds the first step
		"at(100, p99(a)) / server_cpus() < 0.6ms":       Confirmed,
		"at(100, p99(a)) / (3 * server_cpus()) > 0.2ms": Refuted,
	} {
		if got := decideOne(t, d, that); got.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", that, got.Verdict, want, got.Comparisons)
		}
	}
	for i := range d.Trials {
		if d.Trials[i].Step == "200" && d.Trials[i].Variant == "a" {
			d.Trials[i].Verdict = validity.Invalid
		}
	}
	if got := decideOne(t, d, "upto(p99(a), 5ms) > 1"); got.Verdict != Undecided || got.Comparisons[0].Rounds != 0 {
		t.Errorf("a step whose trials don't count is not one that failed: %+v", got)
	}
}

func TestHostileStatements(t *testing.T) {
	names := NamesOf(ten(1).Run, []string{"gnet"})
	for that, words := range map[string]string{
		"":                                 "",
		"p99(a)":                           "want a comparison",
		"1 < 2":                            "nothing measured",
		"p99(a) < 5":                       "a time (ns) compared with a plain number",
		"p99(a) < 5MiB":                    "same unit",
		"p99(a) + 5 < 5ms":                 "want the same unit",
		"p99(a) * p99(a) < 5ms":            "want a plain number for one of them",
		"p99(a) / cpu(a) < 5ms":            "a plain number compared with a time",
		"p99(c) < 5ms":                     `no variant "c": want one of a, b/x`,
		"p99(a, later) < 5ms":              `no phase "later": want one of baseline, recovery`,
		"at(1k, p99(a)) < 5ms":             "nothing is swept",
		"slope(p99(a)) < 5ms":              "nothing is swept",
		"p98(a) < 5ms":                     `no function "p98": want one of p50, p90, p99`,
		"metric(a, qps) > 3":               `no metric "qps": want one of drain-time-ns`,
		"metric(a, qps, recovery) > 3":     `no metric "qps" of a phase: want one of p50-latency-ns`,
		"metric(a) > 3":                    "want metric(VARIANT, NAME)",
		"rss(a) > 3MiB":                    "want rss(VARIANT, PHASE)",
		"drain(a, recovery) > 3s":          "want drain(VARIANT)",
		"p99() < 5ms":                      "want p99(VARIANT)",
		"p99(1 + 1) < 5ms":                 "want a name",
		"p99(a) < gnet":                    `"gnet" is no number`,
		"p99(a) % 3 < 5ms":                 "want one of + - * /",
		"p99(a) ** 3 < 5ms":                "want one of + - * /",
		"not p99(a) < 5ms":                 "want not (…) around",
		"p99(a) == 5ms":                    "want a comparison",
		"within(p99(a), 5ms)":              "2 arguments",
		"within(p99(a), 5ms, p99(a))":      "want a share",
		"within(p99(a), 5ms, 0%)":          "want a share",
		"within(p99(a), 5ms, 5%) < 3":      "within is a comparison",
		"p99(a) < 1 / 0 * 1ms":             "division by zero",
		"lowest(p99(a)) < 3ms":             "want two or more",
		"upto(p99(a), p99(a)) > 3":         "want a number with the unit of",
		"upto(p99(a), 3) > 3":              "want a number with the unit of",
		"upto(p99(a)) > 3":                 "want upto(expression, limit)",
		"upto(p99(a), 3ms) > 3":            "nothing is swept",
		"p99(a) / server_cpus(2) < 3ms":    "want none",
		"lowest(p99(a), 3) < 3ms":          "want the same unit",
		"let x = 3; x < p99(a)":            "want a comparison",
		"all([1], # < 2)":                  "want a comparison",
		"count(1..1000000000, true) < 5":   "no function",
		"p99(a) < 5parsec":                 "",
		"p99(a) < 5ms ms":                  "",
		"p99(a) < literal(3)":              "no function",
		`p99(a) < literal("3 lightyears")`: "want a number and one of ns",
		"p99(a) < 'x":                      "",
		strings.Repeat("(", 3000):          "",
		"p99(a) < " + strings.Repeat("-", 200) + "5ms":             "deep",
		"p99(a) < 1ms" + strings.Repeat(" and p99(a) < 1ms", 16):   "17 comparisons: want at most 16",
		"p99(a) < 1ms" + strings.Repeat(" and p99(a) < 1ms", 100):  "deep",
		"p99(a) < 1ms" + strings.Repeat(" ", 5000):                 "want at most 4096",
		"p99(a) < 99999999999999999999999999999999999999999 * 1ms": "",
		"p99(a) < 1e308 * 1e308 * 1ms":                             "not finite",
	} {
		s, err := Parse(that)
		if err == nil {
			err = s.Check(names)
		}
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: error %v, want %q in it", that, err, words)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"p99(a, recovery) < 1.1 * p99(a, baseline)", "within(slope(cpu(a)), 5µs, 5%)", "not (drain(gnet/ants) < 2s and at(1k, rss(a, 'x y')) >= 2MiB)", "goodput(a) > 10k/s", "a | max()"} {
		f.Add(s)
	}
	d := ten(1)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		if s.Check(NamesOf(d.Run, nil)) != nil {
			return
		}
		if out := Decide([]scenarios.Expectation{{Name: "e", That: text}}, d, Alpha); out[0].Why != "" {
			t.Errorf("%q was checked and then refused: %v", text, out[0].Why)
		}
	})
}
