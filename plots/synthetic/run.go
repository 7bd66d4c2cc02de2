// Package synthetic writes runs that nobody measured, for the tests of what reads runs: the same options give the same
// files. The figures in them look like a benchmark's and mean nothing.
package synthetic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// Options say which run to write. The zero value of a field takes its default.
type Options struct {
	Scenario string   // one of scenarios.Names without work, such as "burst", "idle", "churn" or, with steps, "mostly-idle"; default burst
	Full     bool     // not --quick
	Rounds   int      // default 1
	Variants []string // default Models
	// Invalid, Suspect and Failed name trials as VARIANT or VARIANT@ROUND.
	Invalid, Suspect, Failed []string
	// Lossy names variants of which one request in a thousand times out.
	Lossy []string
	// Scatter is the standard deviation of the logarithm of what a trial costs its server, CPU time and memory, beyond a
	// drift three times as large that all trials of a round share. Rates and latencies scatter by themselves.
	Scatter float64
	// Stop ends the run after so many trials; negative: before the first.
	Stop  int
	Scale []string
	// NotApplicable is put into the run as it is.
	NotApplicable map[string]string
}

// Models are the variants that a run has by default.
var Models = []string{"goroutine", "gnet", "netpoll", "fasthttp", "nethttp", "workers"}

// Mixed gives a run one INVALID, one SUSPECT and one failed trial.
func Mixed(o Options) Options {
	o.Invalid, o.Suspect, o.Failed = []string{"workers@1"}, []string{"gnet@1"}, []string{fmt.Sprintf("nethttp@%d", max(o.Rounds, 1))}
	return o
}

var started = time.Date(2026, 11, 21, 3, 15, 0, 0, time.UTC)

// Write makes the run's directory below root and returns its path.
func Write(root string, o Options) (string, error) {
	run, err := plan(&o)
	if err != nil {
		return "", err
	}
	dir, err := results.Create(root, run)
	if err != nil {
		return "", err
	}
	written := 0
	for r, order := range run.Order {
		for position, name := range order {
			step := ""
			if len(run.Steps) > 0 {
				step = run.StepOrder[r][position/len(run.Variants)]
			}
			if o.Stop < 0 || o.Stop > 0 && written == o.Stop {
				return dir.Path(), nil
			}
			if err := writeTrial(dir, run, &o, r+1, position+1, name, step); err != nil {
				return "", err
			}
			written++
		}
	}
	return dir.Path(), nil
}

func plan(o *Options) (*results.Run, error) {
	if o.Scenario == "" {
		o.Scenario = "burst"
	}
	if o.Rounds == 0 {
		o.Rounds = 1
	}
	if o.Variants == nil {
		o.Variants = Models
	}
	given, err := scenarios.Named(o.Scenario)
	if err != nil {
		return nil, err
	}
	s := given
	if !o.Full {
		if s, err = s.Quickened(); err != nil {
			return nil, err
		}
	}
	var steps []results.Step
	for _, step := range s.Sweep {
		one, err := s.At(step)
		if err == nil {
			one, err = one.Resolve()
		}
		if err != nil {
			return nil, err
		}
		steps = append(steps, results.Step{Name: step.Name, Value: step.Value, Scenario: *one})
	}
	if s, err = s.Resolve(); err != nil {
		return nil, err
	}
	run := &results.Run{
		Schema: results.Schema, ID: "20261121T031500Z-" + o.Scenario + "-k3f9", Method: 1, Started: started,
		Given: *given, Scenario: *s, Steps: steps, Quick: !o.Full, Scale: o.Scale, NotApplicable: o.NotApplicable, Engine: "epoll",
		Rounds: o.Rounds, Seed: 42, Split: results.CPUSplit{Server: []int{0}, Client: []int{1}},
		Env: results.Env{
			Host: "9f3c1a", CPU: "AMD EPYC 7B13", Cores: 2, MemBytes: 24 << 30, Kernel: "Linux 6.12.8", Virtual: "kvm", Go: "go1.26.0",
			Millrace: "0.1.0", Commit: "0123456789abcdef", Governor: "performance", GOMAXPROCS: "1", GOGC: "100",
			Sysctls: map[string]string{"net.core.somaxconn": "4096"}, Limits: map[string]uint64{"nofile": 20000},
			Modules: map[string]string{"github.com/panjf2000/gnet/v2": "v2.10.0", "github.com/valyala/fasthttp": "v1.74.0"},
		},
	}
	for _, name := range o.Variants {
		model, _, _ := strings.Cut(name, "/")
		run.Variants = append(run.Variants, results.Variant{
			Name: name, Model: model, Framework: frameworks[model], Doc: "synthetic " + name, Binary: "bin/servers/" + model, SHA256: strings.Repeat("ab", 32),
		})
	}
	for r := range o.Rounds {
		draw := rand.New(rand.NewPCG(42, uint64(r)))
		var order, across []string
		for range max(1, len(steps)) {
			for _, i := range draw.Perm(len(o.Variants)) {
				order = append(order, o.Variants[i])
			}
		}
		run.Order = append(run.Order, order)
		if len(steps) > 0 {
			for _, i := range draw.Perm(len(steps)) {
				across = append(across, steps[i].Name)
			}
			run.StepOrder = append(run.StepOrder, across)
		}
	}
	return run, nil
}

var frameworks = map[string]string{
	"goroutine": "net go1.26.0", "gnet": "github.com/panjf2000/gnet/v2 v2.10.0", "netpoll": "github.com/cloudwego/netpoll v0.7.2",
	"fasthttp": "github.com/valyala/fasthttp v1.74.0", "nethttp": "net/http go1.26.0", "workers": "net go1.26.0",
}

func writeTrial(dir *results.Dir, whole *results.Run, o *Options, round, position int, name, step string) error {
	one := *whole // the run as its step has it
	run := &one
	run.Scenario = *whole.ScenarioOf(step)
	t := &results.Trial{
		Schema: results.Schema, ID: whole.TrialID(round, name, step),
		Round: round, Position: position, Scenario: run.Scenario.Name, Variant: name, Step: step,
		Started: started.Add(time.Duration((round-1)*len(run.Variants)+position) * time.Minute), Seconds: run.Scenario.Duration().Seconds() + 3,
		Status: results.StatusDone, Outcomes: map[string]int64{}, Metrics: map[string]float64{},
		Checks: []validity.Check{{Name: "generator lag", State: validity.OK, Value: 21e3, Limit: 50e3, Unit: "ns"}},
	}
	if err := os.MkdirAll(dir.TrialDir(t.ID), 0o755); err != nil {
		return err
	}
	mark(t, o)
	if t.Status == results.StatusFailed {
		return dir.Append(t)
	}
	m := simulate(t, run, o)
	if err := m.writeLogs(dir.TrialDir(t.ID)); err != nil {
		return err
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for i := range m.readings {
		if err := enc.Encode(&m.readings[i]); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir.TrialDir(t.ID), "readings.jsonl"), lines.Bytes(), 0o644); err != nil {
		return err
	}
	analysis.Measure(t, m.readings, &run.Scenario)
	return dir.Append(t)
}

// mark gives the trial the verdict that the options ask for.
func mark(t *results.Trial, o *Options) {
	named := func(list []string) bool {
		for _, s := range list {
			if s == t.Variant || s == fmt.Sprintf("%s@%d", t.Variant, t.Round) {
				return true
			}
		}
		return false
	}
	switch {
	case named(o.Failed):
		t.Status = results.StatusFailed
		t.Failure = &results.Failure{Reason: "the server ended with exit status 2 before it was ready", Log: []string{"panic: listen: address in use"}}
		t.Checks = []validity.Check{{Name: "server health", State: validity.Fail, Reason: "exit status 2", Remedy: "see server.log"}}
	case named(o.Invalid):
		t.Checks = append(t.Checks, validity.Check{Name: "offered rate", State: validity.Fail, Value: 0.07, Limit: 0.01, Unit: "share",
			Reason: "arrivals 7.0 % below the plan in second 4", Remedy: "lower the rate or give the client another CPU"})
	case named(o.Suspect):
		t.Checks = append(t.Checks, validity.Check{Name: "generator CPU", State: validity.Warn, Value: 0.85, Limit: 0.8, Unit: "share",
			Reason: "a load thread took 85 % of its CPU", Remedy: "give the client more CPUs"})
	}
	t.Verdict, _ = validity.Judge(t.Checks)
}
