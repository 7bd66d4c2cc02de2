package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/capacity"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
)

// capacityFlags are the flags of `millrace load` that run many trials instead of one.
type capacityFlags struct {
	find, sweep, plot string
	budget            time.Duration
	trials            int

	objective capacity.Objective
	loads     []capacity.Load
	poisson   bool
	figure    *output
	length    time.Duration // of a full trial, or of a sweep's points; zero: a sweep chooses
}

func (f *capacityFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.find, "find", "", "search the highest rate that meets an objective: p50, p90, p95, p99 or p99.9 below a time, ok above a share, such as 'p99<5ms,ok>99.9%'")
	fl.DurationVar(&f.budget, "budget", 2*time.Minute, "with --find: time that all trials may take")
	fl.IntVar(&f.trials, "trials", 40, "with --find: how many trials there may be")
	fl.StringVar(&f.sweep, "sweep", "", "run a trial at each rate (1k,5k,10k) or share of the closed-loop capacity (10%,50%,90%; auto: 10% to 120%) and find the knee")
	fl.StringVar(&f.plot, "plot", "", "with --sweep: draw the load–latency curve into FILE.svg or FILE.png")
}

func (f *capacityFlags) asked() bool { return f.find != "" || f.sweep != "" }

// shortTrial is the shortest trial of a search: ten windows of the validity checks.
const shortTrial = time.Second

// prepare checks the flags against each other and takes from those of a single load what is a search's own.
func (f *capacityFlags) prepare(l *loadFlags, changed func(string) bool) error {
	given := func(names ...string) string {
		for _, name := range names {
			if changed(name) {
				return "--" + name
			}
		}
		return ""
	}
	var err error
	switch other := given("rate", "trace", "logs"); {
	case given("find") != "" && given("sweep") != "":
		return errors.New("--find with --sweep: want one of them")
	case given("find", "sweep") == "":
		if name := given("budget", "trials", "plot"); name != "" {
			return fmt.Errorf("%s without --find or --sweep: has no effect", name)
		}
		return nil
	case other == "--logs":
		return fmt.Errorf("--logs with %s: every trial would write the same files: run the rate of interest with --rate", given("find", "sweep"))
	case other != "":
		return fmt.Errorf("%s with %s: the rates of its trials are its own: want one of them", other, given("find", "sweep"))
	case given("sweep") != "" && given("budget", "trials") != "":
		return fmt.Errorf("%s with --sweep: a sweep runs every point: want fewer points, or a shorter -d", given("budget", "trials"))
	case given("find") != "" && given("plot") != "":
		return errors.New("--plot with --find: only a sweep draws a curve")
	case given("plot") != "" && !slices.Contains([]string{".svg", ".png"}, filepath.Ext(f.plot)):
		return fmt.Errorf("--plot %q: want FILE.svg or FILE.png", f.plot)
	case given("find") != "":
		if f.objective, err = capacity.ParseObjective(f.find); err != nil {
			return fmt.Errorf("--find: %w", err)
		}
		_, err = capacity.NewSearch(f.config(l.duration))
	default:
		if f.loads, err = capacity.ParseSweep(f.sweep); err != nil {
			return fmt.Errorf("--sweep: %w", err)
		}
	}
	if err != nil {
		return err
	}
	if l.arrival == "poisson" {
		f.poisson, l.arrival = true, "constant" // the closed loop has none
	}
	if f.length = l.duration; f.sweep != "" && !changed("duration") {
		f.length = 0
	}
	if f.plot != "" {
		f.figure, err = newOutput("plot", f.plot)
	}
	return err
}

func (f *capacityFlags) config(full time.Duration) capacity.Config {
	return capacity.Config{Objective: f.objective, Full: full, Short: min(shortTrial, full), Budget: f.budget, Trials: f.trials}
}

// run searches or sweeps with trials like a plan, which is of a closed loop, and tells what came out.
func (f *capacityFlags) run(cmd *cobra.Command, plan *clients.Plan, l *loadFlags, file *output) error {
	rows := cmd.OutOrStdout()
	if l.json == "-" {
		rows = cmd.ErrOrStderr()
	}
	p := &prober{ctx: cmd.Context(), plan: plan, reword: l.rewordReport, poisson: f.poisson, patience: 2 * f.objective.Longest()}
	rec := &capacity.Record{
		Schema: capacity.Schema, URL: plan.URL, Engine: plan.Engine, Connections: plan.Scenario.Connections.Count,
		Arrival: map[bool]string{false: "constant", true: "poisson"}[f.poisson], Seed: plan.Seed,
	}
	t := newTrialTable(rows, f.objective)
	t.head(rec)
	work := f.sweepAll
	if f.find != "" {
		work = f.search
	}
	err := work(p, rec, t)
	if len(rec.Trials) == 0 && err != nil {
		return err
	}
	rec.Interrupted = p.ctx.Err() != nil
	fmt.Fprintln(rows)
	if rec.Answer != nil {
		fmt.Fprintf(rows, "answer     %s\n", rec.Answer.Text)
	}
	if rec.Knee != nil {
		fmt.Fprintf(rows, "closed     %s\nknee       %s\n", quantity.Format(rec.ClosedLoopRPS, quantity.PerSecond), kneeText(rec.Knee))
	}
	err = errors.Join(err, drawSweep(rec, f.figure), l.writeJSON(cmd.OutOrStdout(), file, rec))
	return f.outcome(rec, err)
}

// search asks for trials until the answer is known.
func (f *capacityFlags) search(p *prober, rec *capacity.Record, t *trialTable) error {
	s, err := capacity.NewSearch(f.config(f.length))
	if err != nil {
		return usage(err)
	}
	for {
		step, more := s.Next()
		if !more {
			break
		}
		m, took, failure := p.trial(step)
		if p.ctx.Err() != nil {
			s.Stop("interrupted")
			break
		} else if failure != nil {
			s.Stop("a trial could not be run")
			err = failure
			break
		}
		tr := capacity.NewTrial(step, m, took, &f.objective)
		s.Add(tr)
		t.row(&tr)
	}
	rec.Objective, rec.Trials = f.objective.String(), s.Trials()
	rec.ClosedLoopRPS, _, _ = capacity.Ceiling(rec.Trials)
	a := s.Answer()
	rec.Answer = &a
	return err
}

// sweepAll runs the closed loop and every point.
func (f *capacityFlags) sweepAll(p *prober, rec *capacity.Record, t *trialTable) error {
	steps := []capacity.Step{{Kind: capacity.Closed, Length: capacity.EstimateFor}}
	var err error
	for len(steps) > 0 {
		step := steps[0]
		steps = steps[1:]
		m, took, failure := p.trial(step)
		if p.ctx.Err() != nil {
			break
		} else if failure != nil {
			err = failure
			break
		}
		tr := capacity.NewTrial(step, m, took, nil)
		rec.Trials = append(rec.Trials, tr)
		t.row(&tr)
		if step.Kind != capacity.Closed {
			continue
		}
		ceiling, again, why := capacity.Ceiling(rec.Trials)
		switch {
		case again:
			steps = append(steps, step)
			continue
		case why != "" && slices.ContainsFunc(f.loads, func(l capacity.Load) bool { return l.Share > 0 }):
			err = &statusError{exitInvalid, fmt.Errorf("estimating the capacity, of which --sweep %s wants shares: %s", f.sweep, why)}
			continue // to the end: there are no steps
		}
		rec.ClosedLoopRPS = ceiling
		steps = capacity.Points(f.loads, ceiling, f.length)
	}
	knee := capacity.FindKnee(rec.Trials)
	rec.Knee = &knee
	return err
}

// outcome is the error that stands for how it ended, with the exit statuses of a single load: what could not be done comes
// before what can't be trusted.
func (f *capacityFlags) outcome(rec *capacity.Record, err error) error {
	switch why := worthless(rec); {
	case rec.Interrupted:
		return &statusError{exitInterrupted, errors.New("interrupted: the answer is of what was measured until then")}
	case err != nil:
		return err
	case why != "":
		if rec.Answer != nil && strings.Contains(rec.Answer.Text, why) { // where it stands at length
			why, _, _ = strings.Cut(why, ": ")
		}
		return &statusError{exitInvalid, fmt.Errorf("no trial is VALID or SUSPECT: %s", why)}
	case rec.Answer != nil && rec.Answer.Outcome == capacity.Unknown:
		return fmt.Errorf("finding %s: %s", rec.Objective, rec.Answer.Ended)
	}
	return nil
}

// worthless says why no rate that was tried can be trusted, or, where none was, why the closed loop can't; empty where one can.
func worthless(rec *capacity.Record) string {
	last := ""
	for i := range rec.Trials {
		t := &rec.Trials[i]
		why := t.Limit
		if why == "" && t.Verdict == validity.Invalid {
			why = strings.Join(t.Reasons, "; ")
		}
		switch {
		case t.OfferedRPS != nil && why == "":
			return ""
		case t.OfferedRPS != nil || rec.ClosedLoopRPS == 0:
			last = why
		}
	}
	return last
}

func kneeText(k *capacity.Knee) string {
	if k.RPS == nil {
		return k.Why
	}
	return fmt.Sprintf("%s (%s to %s: rate ÷ mean response time within 5 %% of its best), mean response time there %s",
		quantity.Format(*k.RPS, quantity.PerSecond), quantity.Format(k.FromRPS, quantity.PerSecond), quantity.Format(k.ToRPS, quantity.PerSecond),
		quantity.Format(k.MeanNs, quantity.Time))
}
