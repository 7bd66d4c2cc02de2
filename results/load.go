package results

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
)

// Result is a whole run as read from its directory. It is read-only and may be used by any number of goroutines.
type Result struct {
	Path string
	// Run is run.json, but for Rounds: these are what the last sitting planned, or has begun beyond that.
	Run *Run
	// Trials are in the order in which they ended. Of a trial that was run again, since it was interrupted or lost the other half
	// of its duet, only the later record.
	Trials []*Trial
	// Sessions are the sittings in order; none in a run of a millrace that did not record them.
	Sessions []Session
	// Warnings say what is missing because of a crash or was run again, a sentence each.
	Warnings []string
}

// Words of Trial.Status.
const (
	StatusDone        = "done"
	StatusFailed      = "failed"
	StatusInterrupted = "interrupted"
)

// HistogramKinds are the latencies that a trial keeps logs of.
var HistogramKinds = []string{"response", "service", "lag"}

// Load reads the run in the directory path. It is strict: what this version didn't write is an error with file, line and
// reason. Only a last line of trials.jsonl that a crash tore off is dropped, with a warning. A run without a trial is no
// error.
func Load(path string) (*Result, error) {
	run, err := readRun(filepath.Join(path, runFile))
	if err != nil {
		return nil, err
	}
	r := &Result{Path: path, Run: run}
	if err := r.readSessions(); err != nil {
		return nil, err
	}
	if err := r.readTrials(); err != nil {
		return nil, err
	}
	r.warnOfTorn()
	r.warnOfSittings()
	VoidRounds(r.Trials)
	return r, nil
}

// readTrials fills r.Trials.
func (r *Result) readTrials() error {
	file := filepath.Join(r.Path, trialsFile)
	type place struct{ line, index int }
	known := map[string]place{}
	most := r.mostRounds()
	err := eachLine(file, func(no int, line []byte) error {
		t := new(Trial)
		err := unmarshal(line, t)
		if err == nil {
			err = checkTrial(r.Run, most, t)
		}
		first, twice := known[t.ID]
		why := ""
		if err == nil && twice {
			if why = r.again(r.Trials[first.index]); why == "" {
				err = fmt.Errorf("trial %s stands in line %d already", t.ID, first.line)
			}
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, no, err)
		}
		if twice {
			r.Warnings = append(r.Warnings, fmt.Sprintf("trial %s %s (line %d of %s) and run again (line %d): the later one counts", t.ID, why, first.line, trialsFile, no))
			r.Trials[first.index] = nil
		}
		known[t.ID] = place{no, len(r.Trials)}
		r.Trials = append(r.Trials, t)
		r.Run.Rounds = max(r.Run.Rounds, t.Round)
		return nil
	})
	r.Trials = slices.DeleteFunc(r.Trials, func(t *Trial) bool { return t == nil })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s is missing: no trial of this run has finished", file))
	case errors.Is(err, ErrTorn):
		r.Warnings = append(r.Warnings, fmt.Sprintf("%v: the trial that was being written is left out", err))
	case err != nil:
		return fmt.Errorf("reading trials: %w", err)
	}
	return nil
}

// again says why a trial may stand in trials.jsonl once more, or "" if it may not: it was interrupted, or it is half of a
// duet whose other trial was not run to its end in the same sitting.
func (r *Result) again(t *Trial) string {
	switch {
	case t.Status == StatusInterrupted:
		return "was interrupted"
	case t.Duet != "" && !slices.ContainsFunc(r.Trials, func(other *Trial) bool {
		return other != nil && other.ID == t.Duet && other.Status != StatusInterrupted && other.Sitting == t.Sitting
	}):
		return "lost the other half of its duet"
	}
	return ""
}

// readRun reads a run.json.
func readRun(file string) (*Run, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading run: %w (want the directory of a run, which holds %s)", err, runFile)
	}
	if err != nil {
		return nil, fmt.Errorf("reading run: %w", err)
	}
	run := new(Run)
	if err := unmarshal(data, run); err != nil {
		return nil, fmt.Errorf("reading run: %s: %w", file, err)
	}
	if run.ID == "" || run.Scenario.Name == "" {
		return nil, fmt.Errorf("reading run: %s: id %q, scenario %q: want both", file, run.ID, run.Scenario.Name)
	}
	if run.Rounds < 1 || run.Rounds > MaxRounds {
		return nil, fmt.Errorf("reading run: %s: rounds %d: want 1 to %d", file, run.Rounds, MaxRounds)
	}
	return run, nil
}

// checkTrial refuses a trial that isn't of the run, whose last round is most, or whose words are not ours.
func checkTrial(run *Run, most int, t *Trial) error {
	if err := checkTrialID(t.ID); err != nil {
		return err
	}
	if !slices.ContainsFunc(run.Variants, func(v Variant) bool { return v.Name == t.Variant }) {
		return fmt.Errorf("trial %s: variant %q: the run has none of that name", t.ID, t.Variant)
	}
	if t.Scenario != run.Scenario.Name {
		return fmt.Errorf("trial %s: scenario %q: the run is of %q", t.ID, t.Scenario, run.Scenario.Name)
	}
	if run.ScenarioOf(t.Step) == nil {
		return fmt.Errorf("trial %s: step %q: want one of %q", t.ID, t.Step, run.StepNames())
	}
	if t.Round < 1 || t.Round > most {
		return fmt.Errorf("trial %s: round %d: want 1 to %d", t.ID, t.Round, most)
	}
	if s := []string{StatusDone, StatusFailed, StatusInterrupted}; !slices.Contains(s, t.Status) {
		return fmt.Errorf("trial %s: status %q: want one of %s", t.ID, t.Status, strings.Join(s, ", "))
	}
	if v := []validity.Verdict{validity.Valid, validity.Suspect, validity.Invalid}; !slices.Contains(v, t.Verdict) {
		return fmt.Errorf("trial %s: verdict %q: want one of %v", t.ID, t.Verdict, v)
	}
	return checkMetrics(t)
}

// checkMetrics refuses metrics that the table doesn't have: no report would show them.
func checkMetrics(t *Trial) error {
	for _, name := range slices.Sorted(maps.Keys(t.Metrics)) {
		if _, ok := Metric(name); !ok {
			return fmt.Errorf("trial %s: metric %q: want one of the table Metrics", t.ID, name)
		}
	}
	return nil
}

// Trial returns the trial of that id.
func (r *Result) Trial(id string) (*Trial, error) {
	for _, t := range r.Trials {
		if t.ID == id {
			return t, nil
		}
	}
	return nil, fmt.Errorf("run %s has no trial %q", r.Run.ID, id)
}

// Readings reads the readings of a trial, as ReadReadings does.
func (r *Result) Readings(trialID string) ([]Reading, error) {
	path, err := r.file(trialID, readingsFile)
	if err != nil {
		return nil, err
	}
	return ReadReadings(path)
}

// Histogram reads the latencies of one of HistogramKinds in a trial's phase, merged over its intervals. The phase "" is
// all phases together.
func (r *Result) Histogram(trialID, kind, phase string) (*hist.Histogram, error) {
	if !slices.Contains(HistogramKinds, kind) {
		return nil, fmt.Errorf("reading histogram of %s: kind %q: want one of %s", trialID, kind, strings.Join(HistogramKinds, ", "))
	}
	entries, err := r.Log(trialID, kind)
	if err != nil {
		return nil, err
	}
	h := hist.New()
	var tags []string
	for _, e := range entries {
		if !slices.Contains(tags, e.Tag) {
			tags = append(tags, e.Tag)
		}
		if phase == "" || e.Tag == phase {
			h.Merge(e.Histogram)
		}
	}
	if phase != "" && !slices.Contains(tags, phase) {
		return nil, fmt.Errorf("reading histogram of %s: phase %q: want one of %s", trialID, phase, strings.Join(tags, ", "))
	}
	return h, nil
}

// Log reads the intervals of one of HistogramKinds in a trial. The tag of an interval is its phase.
func (r *Result) Log(trialID, kind string) ([]hist.Entry, error) {
	path, err := r.file(trialID, kind+".hlog")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading histogram log: %w", err)
	}
	defer f.Close()
	entries, err := hist.ReadLog(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return entries, nil
}

// file is the path of a file in a trial's directory.
func (r *Result) file(trialID, name string) (string, error) {
	if _, err := r.Trial(trialID); err != nil {
		return "", err
	}
	return filepath.Join(r.Path, trialsDir, trialID, name), nil
}
