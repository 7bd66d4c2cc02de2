package claims

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

func mustDefault(t *testing.T) *Catalogue {
	t.Helper()
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// All claims are there, in the order in which they are told.
func TestAllClaimsAreThere(t *testing.T) {
	var ids []string
	for _, r := range mustDefault(t).Rows {
		ids = append(ids, r.ID)
	}
	want := "A1 A2 A3 A4 A5 A6 A7 B1 B2 B3 B4 B5 B6 B7 B8 C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 D1 D2 D3 E1 E2 E3 flood rr rpc"
	if got := strings.Join(ids, " "); got != want {
		t.Errorf("claims %s, want %s", got, want)
	}
}

// Statements fit the runs that they are about: variants that the run has, phases and steps of its scenario, in both forms where
// the quick one has the same servers.
func TestStatementsFitTheirRuns(t *testing.T) {
	c := mustDefault(t)
	for _, r := range c.Runs {
		if !slices.Contains(scenarios.Names, r.Scenario) {
			t.Logf("run %s: no scenario %s yet", r.Name, r.Scenario)
			continue
		}
		run, err := planned(r)
		if err != nil {
			t.Errorf("run %s: %v", r.Name, err)
			continue
		}
		var all []scenarios.Expectation
		for _, row := range c.Rows {
			all = append(all, row.expectations(row.all(), r.Name)...)
		}
		for _, e := range all {
			if err := expect.Check([]scenarios.Expectation{e}, expect.NamesOf(run, nil)); err != nil {
				t.Errorf("run %s: %v", r.Name, err)
			}
		}
		if _, err := planned(r.As(true)); err != nil {
			t.Errorf("run %s, quick: %v", r.Name, err)
		}
	}
}

// planned is what a run of the catalogue resolves to, without a host.
func planned(r Run) (*results.Run, error) {
	s, err := scenarios.Named(r.Scenario)
	if err != nil {
		return nil, err
	}
	if r.Sweep != "" {
		s = s.Clone()
		if s.Sweep, err = scenarios.ParseSweep(r.Sweep); err != nil {
			return nil, err
		}
	}
	if s, err = s.Apply(r.Set); err != nil {
		return nil, err
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, err
	}
	run := &results.Run{Scenario: *resolved}
	for _, step := range s.Sweep {
		one, err := s.At(step)
		if err == nil {
			one, err = one.Resolve()
		}
		if err != nil {
			return nil, err
		}
		run.Steps = append(run.Steps, results.Step{Name: step.Name, Value: step.Value, Scenario: *one})
	}
	for _, name := range r.Servers {
		run.Variants = append(run.Variants, results.Variant{Name: name})
	}
	return run, nil
}

// Rounds must be enough for as many comparisons as a row has in a run, its controls apart, also where the machine must be a larger one.
func TestRoundsCanDecide(t *testing.T) {
	c := mustDefault(t)
	for _, r := range c.Runs {
		for _, row := range c.Rows {
			for what, list := range map[string][]Statement{"": row.Statements, "'s controls": row.Needs} {
				of := map[string]bool{} // the runs
				for _, s := range list {
					of[s.Run] = true
				}
				n := 0
				for _, e := range row.expectations(list, r.Name) {
					s, err := expect.Parse(e.That)
					if err != nil {
						t.Fatal(err)
					}
					n += s.Comparisons()
				}
				if need := expect.RoundsFor(expect.Alpha/float64(max(1, len(of))), n); n > 0 && r.Rounds < need {
					t.Errorf("%s%s has %d comparisons in %s, which need %d rounds and have %d", row.ID, what, n, r.Name, need, r.Rounds)
				}
			}
		}
	}
}

func TestBadCatalogues(t *testing.T) {
	const runs = "runs:\n  - {name: x, scenario: burst, rounds: 6}\n"
	row := func(statement string) string {
		return runs + "rows:\n  - id: A\n    says: s\n    read: r\n    statements:\n      - " + statement + "\n"
	}
	for text, words := range map[string]string{
		"":                     "0 runs and 0 rows",
		"runs: 3":              "",
		runs + "colour: red\n": "colour",
		row("{name: a, run: y, that: 'p99(a) < 1ms', reading: r}"):                                                                                 `no run "y"`,
		row("{name: a, run: x, that: 'p99(a) < 1', reading: r}"):                                                                                   "same unit",
		row("{name: a, run: x, that: 'p99(a) < 1ms'}"):                                                                                             "no reading",
		row("{name: a, run: x, that: 'p99(a) < 1ms', reading: r}") + "  - id: A\n":                                                                 `row "A": want an id, each once`,
		row("{name: a, run: x, that: 'p99(a) < 1ms', reading: r}") + "    cant: never\n":                                                           "together",
		strings.Replace(row("{name: a, run: x, that: 'p99(a) < 1ms', reading: r}"), "rounds: 6", "rounds: 0", 1):                                   "rounds 0",
		strings.Replace(row("{name: a, run: x, that: 'p99(a) < 1ms', reading: r}"), "rows:", "  - {name: y, scenario: idle, rounds: 6}\nrows:", 1): "run y: no row needs it",
	} {
		if _, err := Decode("own.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "own.yaml") {
			t.Errorf("%q: error %v, want %q in it", text, err, words)
		}
	}
}

func TestOnly(t *testing.T) {
	c, err := mustDefault(t).Only([]string{"B2", "A1"})
	if err != nil || len(c.Rows) != 2 || len(c.Runs) != 2 || c.Rows[0].ID != "A1" {
		t.Errorf("A1 and B2: %+v, %v", c, err)
	}
	if _, err = mustDefault(t).Only([]string{"Z9"}); err == nil || !strings.Contains(err.Error(), `no claim "Z9": want some of A1, A2`) {
		t.Errorf("an unknown claim: %v", err)
	}
}

// Runs whose rows all need a larger machine decide nothing; those that another row shares do.
func TestDecides(t *testing.T) {
	c := mustDefault(t)
	for run, cpus := range map[string]int{"churn-limit": 4, "churn-low": 4, "ingest-million": 3, "blocking-pools": 2, "ingest": 1, "burst": 1} {
		for n := 1; n <= 4; n++ {
			if got := c.Decides(run, n); got != (n >= cpus) {
				t.Errorf("%s with %d CPUs for the server decides something: %v", run, n, got)
			}
		}
	}
}

// judged is a run of a and b, b's p99 twice a's, on so many server CPUs.
func judged(rounds, cpus int) *results.Result {
	res := &results.Result{Run: &results.Run{ID: "20260101T000000Z-burst-aaaa", Variants: []results.Variant{{Name: "a"}, {Name: "b"}}, Split: results.CPUSplit{Server: make([]int, cpus)}}}
	for r := 1; r <= rounds; r++ {
		for i, v := range []string{"a", "b"} {
			res.Trials = append(res.Trials, &results.Trial{Round: r, Variant: v, Status: results.StatusDone, Verdict: validity.Valid,
				Metrics: map[string]float64{"p99-latency-ns": float64((i + 1) * (1e6 + r))}})
		}
	}
	return res
}

func TestJudge(t *testing.T) {
	statement := func(run, that string) Statement {
		return Statement{Name: run + that[:6], Run: run, That: that, Reading: "r"}
	}
	less, more := statement("x", "p99(a) < p99(b)"), statement("x", "p99(b) < p99(a)")
	c := &Catalogue{Rows: []Row{
		{ID: "yes", Statements: []Statement{less}},
		{ID: "no", Statements: []Statement{less, more}},
		{ID: "unmade", Statements: []Statement{less, statement("y", "p99(a) < p99(b)")}},
		{ID: "small", Statements: []Statement{less}, ServerCPUs: 4, Cant: "it is one.", Machine: "a large one."},
		{ID: "shown", Statements: []Statement{less}, Shown: []Statement{more}},
		{ID: "controlled", Statements: []Statement{less}, Needs: []Statement{more}},
		{ID: "refuted", Statements: []Statement{more}, Needs: []Statement{{Name: "made", Run: "y", That: less.That, Reading: "it did not arise"}}},
		{ID: "met", Statements: []Statement{more}, Needs: []Statement{less}},
	}}
	made := map[string]Made{"x": {Result: judged(8, 1)}, "y": {Why: "no scenario y"}}
	want := []expect.Verdict{expect.Confirmed, expect.Refuted, expect.Undecided, expect.Undecided, expect.Confirmed, expect.Undecided, expect.Undecided, expect.Refuted}
	out := Judge(c, made)
	for i, o := range out {
		if o.Verdict != want[i] {
			t.Errorf("%s is %s, want %s: %+v", o.Row.ID, o.Verdict, want[i], o.Parts)
		}
	}
	if p := out[2].Parts[1]; p.Why != "no scenario y" || p.RunID != "" {
		t.Errorf("what was not made: %+v", p)
	}
	if o := out[5]; !strings.Contains(o.Why, "control") || !strings.Contains(o.Why, "REFUTED") || o.Parts[0].Verdict != expect.Confirmed || o.Needs[0].Verdict != expect.Refuted {
		t.Errorf("a control that is refuted: %+v", o)
	}
	if o := out[6]; !strings.Contains(o.Why, `"made" is UNDECIDED, and if it is not met: it did not arise`) {
		t.Errorf("a control without a run: %+v", o)
	}
	if o := out[3]; !regexp.MustCompile(`1 CPU.*needs 4.*it is one.*a large one`).MatchString(o.Why) || o.Parts[0].Verdict != expect.Confirmed {
		t.Errorf("too few CPUs: %+v", o)
	}
	if out = Judge(c, map[string]Made{"x": {Result: judged(5, 4)}}); out[0].Verdict != expect.Undecided || out[3].Why != "" {
		t.Errorf("five rounds on four CPUs: %+v", out)
	}
}

func TestMechanismsAreOfClaims(t *testing.T) {
	list, err := Mechanisms()
	if err != nil {
		t.Fatal(err)
	}
	for id := range list {
		if _, err := mustDefault(t).Only([]string{id}); err != nil {
			t.Error(errors.New("mechanisms.yaml"), err)
		}
	}
}
