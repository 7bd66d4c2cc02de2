package expect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/results"
)

const page = `# Expectations

Made from analysis/expect by a test. An ` + "`expect`" + ` block in a scenario holds statements about its results:

` + "```yaml" + `
expect:
  - {name: recovers, that: "p99(gnet, recovery) < 1.1 * p99(gnet, baseline)"}
  - {name: small,    that: "rss_peak(gnet) < 64MiB and goroutines_peak(gnet) < 100"}
  - {name: as-fast,  that: "within(p50(gnet/ants), p50(gnet), 10%%)"}
` + "```" + `

They are decided at the end of ` + "`millrace run`" + `, and a run of which one is REFUTED ends with status 3. A variant, phase, step, metric or unit that is wrong
is refused before the run starts; a model that the run leaves out makes what is said of it UNDECIDED.

## What stands in them

- Comparisons: ` + "`< <= > >=`" + ` and ` + "`within(a, b, 5%%)`" + `, joined by ` + "`and`, `or`, `not (…)`" + `. At most %d in a statement.
- Numbers with units, without a blank: %s. Times are in ns, sizes in bytes, rates a second; counts and shares are plain numbers. Both
  sides of a comparison, of + and of − have the same unit.
- ` + "`+ - * /`" + ` and brackets.
- Names of variants, phases and steps: as they are where they are made of letters, digits, / and -, else in quotes: ` + "`p99('goroutine/GOGC=400')`" + `.

| function | what it is | of the trial | of a phase |
|---|---|---|---|
`

const decided = `
Of the trial means of its headline phase: the overload, else the last measured phase with arrivals.

## How they are decided

1. In each round both sides are computed from that round's trials. Trials that are INVALID, failed or lack the figure leave the round out.
2. d = ln(left ÷ right) where both sides are above zero in all rounds, else left − right. Its interval is that of Wilcoxon's signed-rank test.
3. A comparison is CONFIRMED where the whole interval fulfils it, REFUTED where none of it does, UNDECIDED otherwise; with fewer than %d rounds, or where less
   than half of the rounds count, always.
4. The comparisons of all statements are decided together (Holm): of m the first at 5 %% ÷ m, and with each that is decided the others at one less. So the chance of
   any wrong one is at most 5 %%. Statements with the same ` + "`claim`" + ` are a family of their own. n rounds can decide at most %s at once.
5. ` + "`and`, `or`, `not`" + ` by three-valued logic: what one side settles needs no other.

The paired t, which fewer rounds could reach, is not used: where a server has two states, as some do, it was wrong in 7 %% of simulated runs of 6 rounds.
` + "`analysis/expect`" + ` has the simulations.

## Metrics

Of the trial: %s.

Of a phase: %s.
`

// TestPage holds docs/EXPECT.md against the tables: `go test ./analysis/expect -update`.
func TestPage(t *testing.T) {
	var units []string
	for _, s := range suffixes {
		units = append(units, "`"+s.word+"`")
	}
	var b strings.Builder
	fmt.Fprintf(&b, page, maxComparisons, strings.Join(units, " "))
	cell := func(name string) string {
		if name == "" {
			return "–"
		}
		return "`" + name + "`"
	}
	for _, f := range Functions {
		if f.Name == "metric" {
			fmt.Fprintf(&b, "| `metric` | %s | any | any |\n", f.Doc)
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Doc, cell(f.Trial), cell(f.Phase))
	}
	for _, c := range Composed {
		fmt.Fprintf(&b, "| `%s` | %s | | |\n", c[0], c[1])
	}
	var most []string
	for n := Rounds; n <= 10; n++ {
		m := 1
		for RoundsFor(Alpha, m+1) <= n {
			m++
		}
		most = append(most, fmt.Sprintf("%d: %d", n, m))
	}
	fmt.Fprintf(&b, decided, Rounds, "("+strings.Join(most, ", ")+") comparisons", strings.Join(metricNames(results.Metrics), ", "), strings.Join(metricNames(analysis.PhaseMetrics), ", "))
	golden.Equal(t, "../../../docs/EXPECT.md", b.String())
}

// Every function stands for metrics that there are.
func TestFunctionsAreOfMetrics(t *testing.T) {
	for _, f := range Functions {
		if f.Name == "metric" {
			continue
		}
		for _, inPhase := range []bool{false, true} {
			if name := map[bool]string{false: f.Trial, true: f.Phase}[inPhase]; name != "" {
				if _, err := f.unit(inPhase); err != nil {
					t.Errorf("%s: %v", f.Name, err)
				}
			}
		}
	}
}
