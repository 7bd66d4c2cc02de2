package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// Runs is the comparison of a run, the head, with another, the base.
type Runs struct {
	Base, Head *results.Run
	// Paired tells that both were made together, so that rounds can be compared in pairs; Why says why not. Without pairs
	// whatever changed on the host between the runs is in every difference.
	Paired bool
	Why    string
	// Pairs are the numbers of the rounds, from 1, that belong together.
	Pairs [][2]int
	// Differences of the two runs that the figures may come from, a line each: "kernel: 6.12 → 6.18".
	Differences []string
	// OnlyBase and OnlyHead are variants that the other run doesn't have.
	OnlyBase, OnlyHead []string
	// Changes are by metric and variant, in the order of the headline metrics, or of those asked for, and of the head's variants.
	Changes []Change
}

// Change is what became of a variant's metric from the base to the head.
type Change struct {
	Metric  results.Info
	Variant string
	Step    string // of a sweep; empty in runs without one
	// Base and Head are the values of the rounds that count, in order of the rounds.
	Base, Head []float64
	// Ratio is head ÷ base. Value is not a number where there is none, and Off says why.
	Ratio inference.Estimate
	Off   string
	// Rounds is how many the ratio rests on: the pairs that count in both, or without pairs those of the run that has fewer.
	Rounds int
	// Asked is the confidence that was asked of the interval: 1 − Alpha ÷ the number of variants that both runs have from
	// TierRounds on, 1 − Alpha from IntervalRounds on, and zero below, where no interval is.
	Asked float64
	// Smallest is the smallest ratio that these rounds could have seen, 0.05 for 5 %; not a number below IntervalRounds.
	Smallest float64
}

// Refused is the error of runs that can't be compared: Reasons say why, Differences what else is not the same.
type Refused struct {
	Base, Head           string // ids
	Reasons, Differences []string
}

func (r *Refused) Error() string {
	text := fmt.Sprintf("comparing %s with %s: %s", r.Head, r.Base, strings.Join(r.Reasons, "; "))
	if len(r.Differences) > 0 {
		text += "; other differences: " + strings.Join(r.Differences, "; ")
	}
	return text
}

// TwoRuns compares the variants that two runs share by metrics; none means the headline metrics of the scenario. It refuses runs
// of different methods, hosts, scenarios, engines or CPUs, and runs that were not made to measure, with a *Refused.
func TwoRuns(base, head *results.Result, metrics []string) (*Runs, error) {
	c := &Runs{Base: base.Run, Head: head.Run}
	c.Differences = differences(base.Run, head.Run)
	reasons := refusals(base.Run, head.Run)
	c.OnlyBase, c.OnlyHead = missing(base.Run, head.Run), missing(head.Run, base.Run)
	if len(c.OnlyHead) == len(head.Run.Variants) {
		reasons = append(reasons, fmt.Sprintf("they share no variant: %s and %s", strings.Join(c.OnlyBase, ", "), strings.Join(c.OnlyHead, ", ")))
	}
	if len(reasons) > 0 {
		return nil, &Refused{Base: base.Run.ID, Head: head.Run.ID, Reasons: reasons, Differences: c.Differences}
	}
	c.Pairs, c.Why = together(base, head)
	c.Paired = c.Why == ""
	if len(metrics) == 0 {
		metrics = head.Run.Headline()
	}
	for _, name := range metrics {
		info, ok := results.Metric(name)
		if !ok {
			return nil, fmt.Errorf("comparing runs: metric %q: want one of %s", name, strings.Join(names(), ", "))
		}
		for _, step := range head.Run.StepNames() {
			c.change(base.At(step), head.At(step), info, step)
		}
	}
	return c, nil
}

func names() []string {
	var list []string
	for _, m := range results.Metrics {
		list = append(list, m.Name)
	}
	return list
}

// change adds the changes of one metric at one step.
func (c *Runs) change(base, head *results.Result, info results.Info, step string) {
	was, is := Run(base, info.Name, ""), Run(head, info.Name, "")
	comparisons := len(is.Rows) - len(c.OnlyHead)
	for _, row := range is.Rows {
		i := slices.IndexFunc(was.Rows, func(r Row) bool { return r.Variant == row.Variant })
		if i < 0 {
			continue
		}
		ch := Change{Metric: info, Variant: row.Variant, Step: step, Base: known(was.Rows[i].Values), Head: known(row.Values), Ratio: none(), Smallest: math.NaN()}
		switch old := was.Rows[i]; {
		case !old.Placed:
			ch.Off = "not placed in the base"
		case !row.Placed:
			ch.Off = "not placed in the head"
		case len(ch.Base) == 0 || len(ch.Head) == 0:
			ch.Off = "not measured in both"
		case slices.Min(ch.Base) <= 0 || slices.Min(ch.Head) <= 0:
			ch.Off = "values that are zero or negative have no ratio"
		case c.Paired:
			ch.paired(old.Values, row.Values, c.Pairs, comparisons)
		default:
			ch.unpaired(comparisons)
		}
		c.Changes = append(c.Changes, ch)
	}
}

// paired takes the rounds that belong together and count in both.
func (ch *Change) paired(base, head []float64, pairs [][2]int, comparisons int) {
	var d []float64
	for _, p := range pairs {
		if p[0] > len(base) || p[1] > len(head) || math.IsNaN(base[p[0]-1]) || math.IsNaN(head[p[1]-1]) {
			continue
		}
		d = append(d, math.Log(head[p[1]-1]/base[p[0]-1]))
	}
	if len(d) == 0 {
		ch.Off = "no pair of rounds counts in both"
		return
	}
	confidence := confidenceOf(len(d), comparisons)
	ch.Ratio = estimate(d, confidence)
	ch.Smallest = math.Expm1(smallest(deviation(d), len(d), confidence))
	ch.over(len(d), confidence)
}

// unpaired shifts one sample of logarithms on the other.
func (ch *Change) unpaired(comparisons int) {
	was, is := logs(ch.Base), logs(ch.Head)
	fewest := min(len(was), len(is))
	confidence := confidenceOf(fewest, comparisons)
	ch.Ratio = exp(inference.Shift(is, was, confidence))
	// The deviation that both would have if they scattered alike, and their means differed by as much as they do.
	a, b := 1/float64(len(was)), 1/float64(len(is))
	sd := math.Hypot(deviation(was)*math.Sqrt(a), deviation(is)*math.Sqrt(b)) / math.Sqrt(a+b)
	ch.Smallest = math.Expm1(inference.ShiftMDE(sd, len(was), len(is), 1-confidence, Power))
	ch.over(fewest, confidence)
}

// over notes what the ratio rests on, and takes the interval away where the rounds are too few for one.
func (ch *Change) over(rounds int, confidence float64) {
	ch.Rounds, ch.Asked = rounds, confidence
	if rounds < IntervalRounds {
		nan := math.NaN()
		ch.Ratio.Lo, ch.Ratio.Hi, ch.Ratio.Confidence, ch.Ratio.P = nan, nan, nan, nan
		ch.Asked, ch.Smallest = 0, nan
	}
}

func known(values []float64) []float64 { return slices.DeleteFunc(slices.Clone(values), math.IsNaN) }

func logs(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = math.Log(v)
	}
	return out
}

// refusals say why two runs can't be compared at all.
func refusals(a, b *results.Run) []string {
	var list []string
	differ := func(what string, x, y any) {
		if !reflect.DeepEqual(x, y) {
			list = append(list, fmt.Sprintf("%s: %v and %v", what, x, y))
		}
	}
	for _, r := range []*results.Run{a, b} {
		if r.Purpose != "" {
			list = append(list, fmt.Sprintf("%s was not made to measure: its purpose is %q", r.ID, r.Purpose))
		}
	}
	if a.ID == b.ID {
		list = append(list, "they are the same run")
	}
	differ("different methods", a.Method, b.Method)
	differ("different hosts", a.Env.Host, b.Env.Host)
	if a.Scenario.Name != b.Scenario.Name {
		differ("different scenarios", a.Scenario.Name, b.Scenario.Name)
	} else if !slices.Equal(a.StepNames(), b.StepNames()) {
		differ("different steps of the sweep", strings.Join(a.StepNames(), ", "), strings.Join(b.StepNames(), ", "))
	} else {
		for _, step := range a.StepNames() {
			if fields := fieldsThatDiffer(scenarioFields(a.ScenarioOf(step)), scenarioFields(b.ScenarioOf(step))); len(fields) > 0 {
				list = append(list, strings.TrimSuffix("different scenarios at "+step, " at ")+": "+strings.Join(fields, ", "))
			}
		}
	}
	if a.Duet != b.Duet {
		list = append(list, "one ran in duets and the other did not")
	}
	differ("different load engines", a.Engine, b.Engine)
	differ("different CPUs of the server", a.Split.Server, b.Split.Server)
	differ("different CPUs of the client", a.Split.Client, b.Split.Client)
	return list
}

// differences lists what else is not the same, and may be what the figures come from.
func differences(a, b *results.Run) []string {
	list := fieldsThatDiffer(environment(a), environment(b))
	for _, v := range b.Variants {
		i := slices.IndexFunc(a.Variants, func(w results.Variant) bool { return w.Name == v.Name })
		if i < 0 {
			continue
		}
		w := a.Variants[i]
		if w.SHA256 != v.SHA256 {
			list = append(list, "program of "+v.Name+": another binary")
		}
		if !slices.Equal(w.Settings(), v.Settings()) {
			list = append(list, fmt.Sprintf("flags of %s: %q → %q", v.Name, strings.Join(w.Settings(), " "), strings.Join(v.Settings(), " ")))
		}
	}
	return list
}

// environment is what stands about host, kernel, limits and versions in a run, by name.
func environment(r *results.Run) map[string]string {
	e := r.Env
	fields := map[string]string{
		"CPU": e.CPU, "cores": fmt.Sprint(e.Cores), "memory": fmt.Sprint(e.MemBytes), "kernel": e.Kernel, "virtual machine": e.Virtual, "Go": e.Go,
		"millrace": e.Millrace, "commit": e.Commit, "uncommitted changes": fmt.Sprint(e.Dirty), "governor": e.Governor, "GOGC": e.GOGC, "GOMAXPROCS": e.GOMAXPROCS,
		"order of the variants": r.Design,
	}
	for k, v := range e.Sysctls {
		fields["sysctl "+k] = v
	}
	for k, v := range e.Limits {
		fields["limit "+k] = fmt.Sprint(v)
	}
	for k, v := range e.Modules {
		fields["module "+k] = v
	}
	return fields
}

// scenarioFields flattens the resolved scenario to paths and values.
func scenarioFields(s *scenarios.Scenario) map[string]string {
	data, err := json.Marshal(s)
	var tree any
	if err == nil {
		err = json.Unmarshal(data, &tree)
	}
	if err != nil {
		panic("compare: a scenario that was read can be written: " + err.Error())
	}
	fields := map[string]string{}
	flatten("", tree, fields)
	// What says nothing of the load, and what a millrace that recorded less had as its only way.
	maps.DeleteFunc(fields, func(path, value string) bool {
		return path == "why" || strings.HasPrefix(path, "expect") || strings.HasPrefix(path, "servers") ||
			path == "replicas" && value == "1" || path == "request.method" && value == "GET"
	})
	return fields
}

func flatten(path string, tree any, into map[string]string) {
	switch v := tree.(type) {
	case map[string]any:
		for k, sub := range v {
			flatten(strings.TrimPrefix(path+"."+k, "."), sub, into)
		}
	case []any:
		for i, sub := range v {
			name := fmt.Sprint(i)
			if m, ok := sub.(map[string]any); ok && m["name"] != nil {
				name = fmt.Sprint(m["name"])
			}
			flatten(path+"."+name, sub, into)
		}
	default:
		into[path] = fmt.Sprint(v)
	}
}

// fieldsThatDiffer lists "name: a → b" in order of the names.
func fieldsThatDiffer(a, b map[string]string) []string {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if a[k] != b[k] {
			list = append(list, fmt.Sprintf("%s: %s → %s", k, cmp.Or(a[k], "none"), cmp.Or(b[k], "none")))
		}
	}
	return list
}

// missing lists the variants of a that b doesn't have.
func missing(a, b *results.Run) []string {
	var list []string
	for _, v := range a.Variants {
		if !slices.ContainsFunc(b.Variants, func(w results.Variant) bool { return w.Name == v.Name }) {
			list = append(list, v.Name)
		}
	}
	return list
}

// turn is a round of one of two runs in time, which sitting began it and whether another completed it.
type turn struct {
	run, round int
	from, to   time.Time
	sitting    int
	several    bool
}

// apartAtMost is how many times its length may lie between the begins of two rounds that belong together.
const apartAtMost = 3

// together pairs the rounds of two runs that were made in turns: ordered by their begins, each begins when the one before has
// ended, each two that follow are one of each run, and no pause is between them. It says why not where they were not.
func together(a, b *results.Result) (pairs [][2]int, why string) {
	all := append(turns(0, a), turns(1, b)...)
	slices.SortFunc(all, func(x, y turn) int { return x.from.Compare(y.from) })
	for i, y := range all {
		run := []*results.Result{a, b}[y.run].Run
		if y.several {
			return nil, fmt.Sprintf("round %d of %s was measured in more than one sitting", y.round, run.ID)
		}
		if i > 0 && y.from.Before(all[i-1].to) {
			return nil, fmt.Sprintf("round %d of %s began before the round of the other run had ended: they disturbed each other", y.round, run.ID)
		}
	}
	for i := 0; i+1 < len(all); i += 2 {
		x, y := all[i], all[i+1]
		if x.run == y.run {
			return nil, "their rounds were not made in turns"
		}
		if y.from.Sub(x.from) > apartAtMost*max(x.to.Sub(x.from), y.to.Sub(y.from)) {
			return nil, fmt.Sprintf("%v lie between their rounds", y.from.Sub(x.to).Round(time.Second))
		}
		if x.run == 1 {
			x, y = y, x
		}
		pairs = append(pairs, [2]int{x.round, y.round})
	}
	if len(pairs) == 0 {
		return nil, "one of them has no rounds"
	}
	return pairs, ""
}

// turns lists the rounds of a run that were begun.
func turns(run int, r *results.Result) []turn {
	by := map[int]*turn{}
	for _, t := range r.Trials {
		end := t.Started.Add(time.Duration(t.Seconds * float64(time.Second)))
		k := by[t.Round]
		if k == nil {
			k = &turn{run: run, round: t.Round, from: t.Started, to: end, sitting: t.Sitting}
			by[t.Round] = k
		}
		k.several = k.several || t.Sitting != k.sitting
		if t.Started.Before(k.from) {
			k.from = t.Started
		}
		if end.After(k.to) {
			k.to = end
		}
	}
	var list []turn
	for _, n := range slices.Sorted(maps.Keys(by)) {
		list = append(list, *by[n])
	}
	return list
}
