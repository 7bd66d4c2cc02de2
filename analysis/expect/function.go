package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
)

// Function is one of the functions that statements are made of, each a figure of one variant.
type Function struct {
	Name string
	// Doc says what it is and in what unit.
	Doc string
	// Trial and Phase are the names of the metrics that it stands for: of a trial, in results.Metrics, and of one phase, in
	// analysis.PhaseMetrics. Empty where it can't be had so.
	Trial, Phase string
}

// Functions is the closed table of functions of a variant. Durations are in ns, sizes in bytes, rates a second. Read only.
var Functions = []Function{
	{"p50", "response time, median (ns)", "p50-latency-ns", "p50-latency-ns"},
	{"p90", "response time, 90th percentile (ns)", "p90-latency-ns", "p90-latency-ns"},
	{"p99", "response time, 99th percentile (ns)", "p99-latency-ns", "p99-latency-ns"},
	{"p999", "response time, 99.9th percentile (ns)", "p99_9-latency-ns", "p99_9-latency-ns"},
	{"max", "response time, largest (ns)", "max-latency-ns", "max-latency-ns"},
	{"connect_p50", "time to an open connection, median (ns)", "p50-connect-ns", "p50-connect-ns"},
	{"connect_p99", "time to an open connection, 99th percentile (ns)", "p99-connect-ns", "p99-connect-ns"},
	{"cpu", "server CPU time a request (ns)", "cpu-per-req-ns", "cpu-per-req-ns"},
	{"gc_share", "garbage collection's share of the server's CPU time", "gc-share", "gc-share"},
	{"rss", "resident memory, median over the phase (bytes)", "", "RSS-bytes"},
	{"rss_peak", "resident memory, largest (bytes)", "peak-RSS-bytes", "peak-RSS-bytes"},
	{"rss_end", "resident memory at the phase's end (bytes)", "", "end-RSS-bytes"},
	{"goroutines", "goroutines, median over the phase", "", "goroutines"},
	{"goroutines_peak", "goroutines, most", "peak-goroutines", "peak-goroutines"},
	{"goroutines_end", "goroutines at the phase's end", "", "end-goroutines"},
	{"bytes_user", "memory of the server per connection (bytes)", "user-bytes-per-conn", ""},
	{"bytes_kernel", "memory of the kernel per connection, both ends (bytes)", "kernel-bytes-per-conn", ""},
	{"achieved", "good replies a second (/s)", "achieved-rps", "achieved-rps"},
	{"goodput", "good replies a second until the burst is drained (/s)", "goodput-rps", ""},
	{"drain", "time from the burst's start until its last request has an outcome (ns)", "drain-time-ns", ""},
	{"refused_share", "share of the planned requests whose connection was refused or reset", "", "refused-share"},
	{"failed_share", "share of the planned requests without a good reply", "", "failed-share"},
	{"bystander_p50", "response time of the requests that ask for no work, median (ns)", "", "bystander-p50"},
	{"bystander_p99", "response time of the requests that ask for no work, 99th percentile (ns)", "", "bystander-p99"},
	{"work_p99", "response time of the requests that ask for work, 99th percentile (ns)", "", "work-p99"},
	{"trend_p50", "growth of the response time's median from one second of the phase to the next, by Theil–Sen (ns)", "", "trend-p50"},
	{"trend_p99", "growth of the response time's p99 from one second of the phase to the next, by Theil–Sen (ns)", "", "trend-p99"},
	{"metric", "any metric by its name: metric(VARIANT, NAME) of the trial, metric(VARIANT, NAME, PHASE) of one phase", "", ""},
}

// ofPhase are times of a phase, in ns, that analysis.PhaseMetrics doesn't have.
var ofPhase = map[string]func(*results.Trial, *results.Phase) (float64, error){
	"bystander-p50": func(_ *results.Trial, p *results.Phase) (float64, error) {
		return side(p.Bystander, func(s hist.Summary) *int64 { return s.P50 })
	},
	"bystander-p99": func(_ *results.Trial, p *results.Phase) (float64, error) {
		return side(p.Bystander, func(s hist.Summary) *int64 { return s.P99 })
	},
	"work-p99": func(_ *results.Trial, p *results.Phase) (float64, error) {
		return side(p.Work, func(s hist.Summary) *int64 { return s.P99 })
	},
	"trend-p50": func(t *results.Trial, p *results.Phase) (float64, error) {
		return trend(t, p, func(s hist.Summary) *int64 { return s.P50 })
	},
	"trend-p99": func(t *results.Trial, p *results.Phase) (float64, error) {
		return trend(t, p, func(s hist.Summary) *int64 { return s.P99 })
	},
}

func side(s *results.Side, value func(hist.Summary) *int64) (float64, error) {
	if s == nil {
		return 0, errors.New("all requests were of one kind, or the engine does not keep them apart")
	}
	if v := value(s.Response); v != nil {
		return float64(*v), nil
	}
	return 0, errors.New("too few replies, or too many requests without a good one")
}

// Composed are the functions that take expressions and not names, with what they do.
var Composed = [][2]string{
	{"at(STEP, a)", "a at one step of the sweep; where the run is swept each figure needs it, or slope"},
	{"slope(a)", "Theil–Sen slope of a over the numbers that are swept, by one of them"},
	{"upto(a, 100ms)", "the largest of the swept numbers up to which a is at or below the limit at every step; a step without the figure is not"},
	{"server_cpus()", "how many CPUs the servers had"},
	{"lowest(a, b, …), highest(a, b, …)", "the smallest and the largest of several"},
	{"within(a, b, 5%)", "a comparison: the ratio of a to b is from 1 ÷ 1.05 to 1.05"},
}

func functionNames() string {
	var list []string
	for _, f := range Functions {
		list = append(list, f.Name)
	}
	return strings.Join(append(list, "at", "slope", "upto", "server_cpus", "lowest", "highest"), ", ")
}

// measured compiles a call of a function of the table.
func (c *compiler) measured(f *Function, args []ast.Node) (term, error) {
	var names []string
	for i, a := range args {
		name, ok := nameOf(a)
		if !ok {
			return term{}, fmt.Errorf("%s: argument %d: want a name, in quotes where it has other signs than letters, digits, / and -", f.Name, i+1)
		}
		names = append(names, name)
	}
	text := f.Name + "(" + strings.Join(names, ", ") + ")"
	figure := *f
	if f.Name == "metric" {
		if len(names) < 2 || len(names) > 3 {
			return term{}, fmt.Errorf("%s: want metric(VARIANT, NAME) or metric(VARIANT, NAME, PHASE)", text)
		}
		figure.Trial, figure.Phase = names[1], names[1]
		names = slices.Delete(names, 1, 2)
	}
	if len(names) < 1 || len(names) > 2 {
		return term{}, fmt.Errorf("%s: want %s", text, f.usage())
	}
	ref := reference{text: text, variant: names[0], step: c.step, everyStep: c.every}
	if len(names) == 2 {
		ref.phase = names[1]
	}
	unit, err := figure.unit(ref.phase != "")
	if err != nil {
		return term{}, fmt.Errorf("%s: %w", text, err)
	}
	c.refs = append(c.refs, ref)
	return term{text: text, unit: unit, eval: func(c *cell) (float64, error) {
		v, err := c.value(&figure, ref)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", text, err)
		}
		return finite(v, nil)
	}}, nil
}

func (f *Function) usage() string {
	switch {
	case f.Phase == "":
		return f.Name + "(VARIANT)"
	case f.Trial == "":
		return f.Name + "(VARIANT, PHASE)"
	}
	return f.Name + "(VARIANT) or " + f.Name + "(VARIANT, PHASE)"
}

// unit of the figure, of a phase or of the whole trial.
func (f *Function) unit(inPhase bool) (string, error) {
	if name := f.Trial; !inPhase {
		info, known := results.Metric(name)
		switch {
		case name == "":
			return "", fmt.Errorf("want %s", f.usage())
		case !known:
			return "", fmt.Errorf("no metric %q: want one of %s", name, strings.Join(metricNames(results.Metrics), ", "))
		}
		return unitWord(info.Unit), nil
	}
	info, known := analysis.PhaseMetric(f.Phase)
	switch {
	case f.Phase == "":
		return "", fmt.Errorf("want %s", f.usage())
	case ofPhase[f.Phase] != nil:
		return nanoseconds, nil
	case !known:
		return "", fmt.Errorf("no metric %q of a phase: want one of %s", f.Phase, strings.Join(metricNames(analysis.PhaseMetrics), ", "))
	}
	return unitWord(info.Unit), nil
}

func metricNames(list []results.Info) []string {
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
	}
	return names
}

// unitWord is the unit of a metric in statements: counts and shares are plain numbers.
func unitWord(unit string) string {
	switch {
	case unit == nanoseconds || unit == bytes:
		return unit
	case strings.HasSuffix(unit, "/s"):
		return perSecond
	}
	return number
}

// fewestSeconds is how many one-second windows a trend needs.
const fewestSeconds = 4

// trend is the Theil–Sen slope over a percentile of the seconds of a phase, in ns a second.
func trend(t *results.Trial, p *results.Phase, value func(hist.Summary) *int64) (float64, error) {
	var x, y []float64
	const second = int64(1e9)
	for s := (p.FromNs + second - 1) / second; (s+1)*second <= p.ToNs && s < int64(len(t.SecondsNs)); s++ {
		if v := value(t.SecondsNs[s]); v != nil {
			x, y = append(x, float64(s)), append(y, float64(*v))
		}
	}
	if len(x) < fewestSeconds {
		return 0, fmt.Errorf("%d seconds of the phase have enough replies for the percentile (100 ÷ (1 − q)), a trend needs %d", len(x), fewestSeconds)
	}
	return inference.TheilSen(x, y, 0.95).Slope, nil
}
