package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/known"
	"github.com/millrace/millrace/clients/reactor"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/clients/selfcheck"
	"github.com/millrace/millrace/internal/hostkey"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/host"
)

// selfcheckFlags are the flags of `millrace selfcheck`.
type selfcheckFlags struct {
	engines, only string
	quick, json   bool
}

const (
	// selfcheckEngines are checked by default: the engine that loads are made with, and the one that others wrote.
	selfcheckEngines = "epoll,vegeta"
	// selfcheckTries is how often a case is run until it passes.
	selfcheckTries = 3
	// selfcheckQuiet is how long it waits for other programs before a repetition.
	selfcheckQuiet = 5 * time.Second
)

func selfcheckCommand() *cobra.Command {
	var f selfcheckFlags
	c := &cobra.Command{
		Use:   "selfcheck",
		Short: "Hold the load client against known answers on this host",
		Long: `Load reflectors with scripted delays, freezes, queues and faults, and compare every figure with what arithmetic predicts. The
client runs on the CPUs that it has in a run, the reflectors in a process of their own on the others. A case that fails is
repeated up to twice, which is shown. The verdict is kept for this host, kernel and program, and every later load tells of it; one
that only went wrong while other programs were at work, or the host took the CPU away, is not.

Exit status: 0 every answer is right, 1 failed, 2 usage, 4 one is wrong.`,
		Example: `  millrace selfcheck
  millrace selfcheck --engine epoll --quick
  millrace selfcheck --engine all --json > selfcheck.json
  millrace selfcheck --case stalls`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return doSelfcheck(cmd, f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.engines, "engine", selfcheckEngines, "engines to check, separated by commas, or all: "+strings.Join(clients.Engines, ", "))
	fl.BoolVar(&f.quick, "quick", false, "fewer and shorter cases")
	fl.BoolVar(&f.json, "json", false, "print the results as JSON")
	fl.StringVar(&f.only, "case", "", "only the cases whose name contains this; no verdict is kept")
	c.AddCommand(reflectorsCommand())
	return c
}

// reflectorsCommand is the other process of a selfcheck.
func reflectorsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "reflectors",
		Short:  "Run reflectors as told on standard input, until that ends (started by selfcheck)",
		Args:   usageArgs(cobra.NoArgs),
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A reflector's thread keeps its processor while it waits; others must not wait for that.
			runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), reflectorProcs))
			goFirst()
			return reflect.Serve(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// reflectorProcs is more than the reflectors that are busy at once.
const reflectorProcs = 8

// selfcheckReport is what --json prints.
type selfcheckReport struct {
	Schema   int                 `json:"schema"`
	CPUs     results.CPUSplit    `json:"cpus"`
	Verdicts []selfcheck.Verdict `json:"verdicts"`
	Results  []known.Result      `json:"results"`
}

// undecided reports whether all that went wrong with an engine did so while others were at work: then nobody knows whose fault
// it is, and what was known before stands.
func (r *selfcheckReport) undecided(engine string) bool {
	n := 0
	for _, res := range r.Results {
		if res.Engine == engine && !res.Passed {
			if n++; !res.Disturbed {
				return false
			}
		}
	}
	return n > 0
}

func doSelfcheck(cmd *cobra.Command, f selfcheckFlags) error {
	engines, cases, err := f.choose()
	if err != nil {
		return usage(err)
	}
	split, err := host.AllowedCPUs(false)
	if err != nil {
		return err
	}
	program, err := self()
	if err != nil {
		return err
	}
	child, err := reflect.StartChild([]string{program, "selfcheck", "reflectors"}, split.Server, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := tuneForSelfcheck(split.Client); err != nil {
		return errors.Join(err, child.Close())
	}
	report, err := f.check(cmd.Context(), cmd.OutOrStdout(), child, engines, cases, split)
	if err := errors.Join(err, child.Close()); err != nil {
		return err
	}
	return f.conclude(cmd.OutOrStdout(), cmd.ErrOrStderr(), report)
}

// choose are the engines and the cases asked for.
func (f *selfcheckFlags) choose() ([]string, []known.Case, error) {
	engines := splitList(f.engines)
	if f.engines == "all" {
		engines = clients.Engines
	}
	if len(engines) == 0 {
		return nil, nil, fmt.Errorf("--engine: want all, or some of %s", strings.Join(clients.Engines, ", "))
	}
	for _, name := range engines {
		if err := knownEngine(name); err != nil {
			return nil, nil, err
		}
	}
	all := known.Cases(f.quick)
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	cases := slices.DeleteFunc(all, func(c known.Case) bool { return !strings.Contains(c.Name, f.only) })
	if len(cases) == 0 {
		return nil, nil, fmt.Errorf("--case %q: want a part of one of: %s", f.only, strings.Join(names, ", "))
	}
	return engines, cases, nil
}

// tuneForSelfcheck gives this process the CPUs and the runtime that a load agent of a run has.
func tuneForSelfcheck(cpus []int) error {
	tuneForLoad()
	runtime.GOMAXPROCS(min(len(cpus), reactor.MaxShards) + 1)
	goFirst()
	return host.PinSelf(cpus)
}

// goFirst gives this process the priority that load agents have, where it is allowed to.
func goFirst() {
	// Refused without CAP_SYS_NICE: then a busy host shows in the answers, and cases are repeated.
	_ = procfs.SetProcessNice(-20)
}

// check runs the cases through each engine, and prints each result as it comes unless all are wanted as JSON.
func (f *selfcheckFlags) check(ctx context.Context, w io.Writer, child *reflect.Child, engines []string, cases []known.Case, split results.CPUSplit) (*selfcheckReport, error) {
	report := &selfcheckReport{Schema: selfcheck.Schema, CPUs: split}
	for _, engine := range engines {
		b := known.Bench{
			Engine: engine, New: newEngine, Tries: selfcheckTries, QuietWithin: selfcheckQuiet, Spin: !split.Shared,
			Start: func(s reflect.Script) (known.Server, error) { return child.Start(s) },
		}
		v := selfcheck.Verdict{Engine: engine, Quick: f.quick, Passed: []string{}, Failed: []string{}}
		begun, skipped := time.Now(), 0
		if !f.json {
			fmt.Fprintf(w, "engine %s on CPUs %s, reflectors on CPUs %s\n\n", engine, cpuList(split.Client), cpuList(split.Server))
			printSelfcheckHead(w)
		}
		err := b.Run(ctx, cases, func(r known.Result) {
			report.Results = append(report.Results, r)
			switch {
			case r.Skipped: // it says nothing
				skipped++
			case r.Passed:
				v.Passed = append(v.Passed, r.Case)
			default:
				v.Failed = append(v.Failed, r.Case)
			}
			if !f.json {
				printSelfcheck(w, r)
			}
		})
		if err != nil {
			return report, err
		}
		v.At = time.Now().UTC().Truncate(time.Second)
		report.Verdicts = append(report.Verdicts, v)
		if !f.json {
			fmt.Fprintf(w, "\n%s: %d of %s gave the known answers, in %.0f s\n\n", engine, len(v.Passed), quantity.Count(len(cases)-skipped, "case"), time.Since(begun).Seconds())
		}
	}
	return report, nil
}

// conclude keeps the verdicts and says how it ended.
func (f *selfcheckFlags) conclude(w, notes io.Writer, report *selfcheckReport) error {
	var wrong []string
	for _, v := range report.Verdicts {
		for _, name := range v.Failed {
			wrong = append(wrong, v.Engine+": "+name)
		}
		switch {
		case f.only != "":
		case report.undecided(v.Engine):
			fmt.Fprintf(notes, "millrace: the verdict on engine %s is not kept: other programs were at work, or the CPU stood still, in every try of what went wrong\n", v.Engine)
		case v.Hides(f.last(v.Engine)):
			fmt.Fprintf(notes, "millrace: the verdict on engine %s is not kept: the last one failed in more cases than --quick has: run `millrace selfcheck --engine %s`\n", v.Engine, v.Engine)
		default:
			if err := selfcheck.Store(hostkey.Dir(), v); err != nil {
				return err
			}
		}
	}
	if f.json {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		if err := out.Encode(report); err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
	}
	if len(wrong) > 0 {
		return &statusError{exitInvalid, fmt.Errorf("the client gave wrong answers, or this host is too busy to tell: %s", strings.Join(wrong, "; "))}
	}
	return nil
}

// last is the verdict that is kept on an engine, the zero value where there is none.
func (f *selfcheckFlags) last(engine string) selfcheck.Verdict {
	v, err := selfcheck.Last(engine)
	if err != nil {
		return selfcheck.Verdict{} // what can't be read is replaced
	}
	return v
}

// selfcheckRow is the layout of the table.
const selfcheckRow = "%-38s %-20s %10s %10s  %-20s %s\n"

func printSelfcheckHead(w io.Writer) {
	fmt.Fprintf(w, selfcheckRow, "CASE", "FIGURE", "PREDICTED", "MEASURED", "ACCEPTED", "VERDICT")
}

// printSelfcheck prints a case with a line for each answer.
func printSelfcheck(w io.Writer, r known.Result) {
	name := r.Case
	row := func(figure, predicted, measured, accepted string, ok bool) {
		verdict := "ok"
		if !ok {
			verdict = "WRONG"
		}
		fmt.Fprintf(w, selfcheckRow, name, figure, predicted, measured, accepted, verdict)
		name = ""
	}
	if r.Skipped {
		fmt.Fprintf(w, "%-38s not run: %s\n", name, r.Instead)
		return
	}
	for _, a := range r.Answers {
		row(a.What, a.PredictedText(), a.MeasuredText(), a.ToleranceText(), a.OK)
	}
	if r.Error != "" {
		row("no trial: "+r.Error, "", "", "", false)
	}
	for _, text := range r.Books {
		row("books: "+text, "", "", "", false)
	}
	if r.Instead != "" {
		fmt.Fprintf(w, "%-38s held to what this engine shows instead: %s\n", "", r.Instead)
	}
	if !r.Passed && r.Others > known.QuietShare {
		fmt.Fprintf(w, "%-38s meanwhile other programs took %.0f %% of a CPU: repeat it on a quiet host\n", "", 100*r.Others)
	}
	if !r.Passed && r.Stalled > known.StallShare {
		fmt.Fprintf(w, "%-38s meanwhile the reflector's CPU stood still for %.2g %% of the time: repeat it when the machine below is quiet\n", "", 100*r.Stalled)
	}
	for i, text := range r.Earlier {
		fmt.Fprintf(w, "%-38s try %d of %d went wrong: %s\n", "", i+1, r.Tries, text)
	}
}

// cpuList is CPUs for people.
func cpuList(cpus []int) string { return strings.Trim(fmt.Sprint(cpus), "[]") }
