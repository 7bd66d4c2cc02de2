package claimed

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/claims"
	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

func f(v float64) *float64 { return &v }

func decisions() []expect.Decision {
	return []expect.Decision{
		{Expectation: scenarios.Expectation{Name: "fast"}, Verdict: expect.Confirmed, Comparisons: []expect.Comparison{
			{Text: "p99(a) < p99(b)", Verdict: expect.Confirmed, Left: f(1.5e6), Right: f(3e6), Unit: "ns", Ratio: true, Value: f(0.5), Lo: f(0.48), Hi: f(0.531), Rounds: 10, Of: 10}}},
		{Expectation: scenarios.Expectation{Name: "small"}, Verdict: expect.Undecided, Comparisons: []expect.Comparison{
			{Text: "metric(a, residue-RSS-bytes) < 1MiB", Verdict: expect.Confirmed, Left: f(-4096), Right: f(1 << 20), Unit: "bytes", Value: f(-1.05e6), Lo: f(-1.1e6), Hi: f(-1e6), Rounds: 9, Of: 10},
			{Text: "achieved(a) > 10k/s", Verdict: expect.Undecided, Left: f(1e4), Right: f(1e4), Unit: "/s", Ratio: true, Value: f(1), Lo: f(0.9), Hi: f(1.1), Rounds: 10, Of: 10, Why: "the interval holds both"}}},
		{Expectation: scenarios.Expectation{Name: "odd", That: "p99(c) < 1"}, Verdict: expect.Undecided, Why: "no variant c"},
		{Expectation: scenarios.Expectation{Name: "few"}, Verdict: expect.Undecided, Comparisons: []expect.Comparison{
			{Text: "gc_share(a) < 1%", Verdict: expect.Undecided, Rounds: 0, Of: 3, Why: "0 of 3 rounds have it | want 6"}}},
	}
}

func TestTable(t *testing.T) {
	table := Table(decisions())
	var b strings.Builder
	for _, row := range table.Rows {
		var list []string
		for _, c := range row {
			list = append(list, c.Text)
		}
		b.WriteString(strings.Join(list, " ; ") + "\n")
	}
	golden.Equal(t, "table.txt", b.String())
	if len(table.Rows[0]) != len(table.Head) {
		t.Errorf("%d cells below %d heads", len(table.Rows[0]), len(table.Head))
	}
}

func findings() *Findings {
	d := decisions()
	res := &results.Result{Run: &results.Run{ID: "20260101T000000Z-burst-aaaa", Scenario: scenarios.Scenario{Name: "burst", Connections: scenarios.Connections{Count: 2000}},
		Set: []string{"connections.count=2000"}, Scale: []string{"2000 connections instead of 10000: files"}, Env: results.Env{CPU: "a  CPU", Cores: 2, MemBytes: 24 << 30, Kernel: "Linux 6.18", Go: "go1.26"},
		Split: results.CPUSplit{Server: []int{0}, Client: []int{1}}}, Trials: []*results.Trial{{ID: "r01-burst-a", Round: 1, Status: results.StatusInterrupted}, {Round: 2, Status: results.StatusDone},
		{Round: 2, Status: results.StatusDone, Verdict: validity.Suspect, Checks: []validity.Check{{Name: "client-bound", State: validity.Warn}, {Name: "lag", State: validity.NotApplicable}}}}}
	part := func(i int, name string) claims.Part {
		return claims.Part{Statement: claims.Statement{Name: name, Run: "burst", That: "p99(c) < 1", Reading: "as it says"}, RunID: res.Run.ID, Decision: d[i]}
	}
	return &Findings{
		Catalogue: &claims.Catalogue{Runs: []claims.Run{{Name: "burst", Scenario: "burst"}, {Name: "later", Scenario: "someday"}}},
		Made:      map[string]claims.Made{"burst": {Result: res, LeftOut: map[string]string{"gin": "no such server"}}, "later": {Why: "no scenario someday"}},
		Outcomes: []claims.Outcome{
			{Row: claims.Row{ID: "A1", Says: "It is | fast.", Read: "The p99.", Statements: []claims.Statement{{Run: "burst"}}}, Verdict: expect.Confirmed, Parts: []claims.Part{part(0, "fast")}, Shown: []claims.Part{part(1, "small")}},
			{Row: claims.Row{ID: "B1", Says: "It scales.", Read: "Cores.", Statements: []claims.Statement{{Run: "burst"}, {Run: "later"}}}, Verdict: expect.Undecided, Why: "the server has 1 CPU", Needs: []claims.Part{part(0, "surge")}, Parts: []claims.Part{part(2, "odd"), part(3, "few")}},
		},
		Mechanisms: map[string]string{"A1": "It does less."},
	}
}

func TestPage(t *testing.T) { golden.Equal(t, "claims.md", Page(findings())) }

func TestText(t *testing.T) {
	var b strings.Builder
	if err := Text(&b, findings(), false); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "claims.txt", b.String())
}

// What decides a row is a comparison that is as the row, even behind one of the same statement that is not.
func TestDeciding(t *testing.T) {
	comparison := func(text string, v expect.Verdict) expect.Comparison {
		return expect.Comparison{Text: text, Verdict: v, Ratio: true, Value: f(0.5)}
	}
	row := func(v, statement expect.Verdict, list ...expect.Comparison) *claims.Outcome {
		return &claims.Outcome{Verdict: v, Parts: []claims.Part{{Decision: expect.Decision{Verdict: expect.Confirmed, Comparisons: []expect.Comparison{comparison("other", expect.Confirmed)}}},
			{Decision: expect.Decision{Verdict: statement, Comparisons: list}}}}
	}
	for want, o := range map[string]*claims.Outcome{
		"served: ×0.5": row(expect.Refuted, expect.Refuted, comparison("failed", expect.Confirmed), comparison("served", expect.Refuted)),
		"is not: ×0.5": row(expect.Refuted, expect.Refuted, comparison("wide", expect.Undecided), comparison("is not", expect.Confirmed)), // behind not
		"wide: ×0.5":   row(expect.Undecided, expect.Undecided, comparison("yes", expect.Confirmed), comparison("wide", expect.Undecided)),
		"other: ×0.5":  row(expect.Undecided, expect.Refuted, comparison("no", expect.Refuted)),
	} {
		if got := deciding(o); got != want {
			t.Errorf("deciding figure %q, want %q", got, want)
		}
	}
	o := row(expect.Undecided, expect.Confirmed)
	o.Needs = []claims.Part{{Decision: expect.Decision{Verdict: expect.Refuted, Comparisons: []expect.Comparison{comparison("surge", expect.Refuted)}}}}
	if got := deciding(o); got != "control: surge: ×0.5" {
		t.Errorf("a control that is not met: %q", got)
	}
}
