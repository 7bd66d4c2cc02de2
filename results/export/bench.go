// Package export writes what a run measured in the formats of other tools.
package export

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/perf/benchfmt"

	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

// benchFile is the name of the export in a run's directory.
const benchFile = "bench.txt"

// WriteBench writes the run in the Go benchmark format, which benchstat reads: `benchstat -col /variant bench.txt`, or
// `benchstat -ignore run,commit OLD/bench.txt NEW/bench.txt` for two runs. First the direction of every metric, then
// host, commit, scenario and run, then a line for each trial that counts. A variant's slashes become "+", because a slash
// begins the next part of a benchmark's name. Trials that don't count stand at the end as "# left out: ID: why", which
// every reader of the format skips.
func WriteBench(w io.Writer, r *results.Result) error {
	out := benchfmt.NewWriter(w)
	for _, record := range unitLines(r.Trials) {
		if err := out.Write(record); err != nil {
			return fmt.Errorf("writing benchmarks: %w", err)
		}
	}
	config := benchConfig(r.Run)
	for _, t := range r.Trials {
		if leftOut(t) != "" {
			continue
		}
		res := &benchfmt.Result{Config: config, Name: benchName(t), Iters: 1}
		for _, m := range results.Metrics {
			if v, ok := t.Metrics[m.Name]; ok {
				res.Values = append(res.Values, benchfmt.Value{Value: v, Unit: m.Name})
			}
		}
		if err := out.Write(res); err != nil {
			return fmt.Errorf("writing benchmarks: %w", err)
		}
	}
	for _, t := range r.Trials {
		if why := leftOut(t); why != "" {
			if _, err := fmt.Fprintf(w, "# left out: %s: %s\n", t.ID, oneLine(why)); err != nil {
				return fmt.Errorf("writing benchmarks: %w", err)
			}
		}
	}
	return nil
}

// Bench writes bench.txt into the run's directory and returns its path.
func Bench(r *results.Result) (string, error) {
	path := filepath.Join(r.Path, benchFile)
	var b strings.Builder
	if err := WriteBench(&b, r); err != nil {
		return "", err
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return "", fmt.Errorf("writing benchmarks: %w", results.Remedied(err, r.Path))
	}
	return path, nil
}

// leftOut says why a trial does not count, or "".
func leftOut(t *results.Trial) string {
	switch {
	case t.Failure != nil:
		return t.Status + ": " + t.Failure.Reason
	case t.Status != results.StatusDone:
		return t.Status
	case t.Verdict == validity.Invalid:
		_, reasons := validity.Judge(t.Checks)
		return strings.Join(append([]string{string(t.Verdict)}, reasons...), ": ")
	case len(t.Metrics) == 0:
		return "it has no metrics"
	}
	return ""
}

// unitLines are the "Unit NAME better=… assume=nothing" lines of the metrics that the trials have.
func unitLines(trials []*results.Trial) []*benchfmt.UnitMetadata {
	var lines []*benchfmt.UnitMetadata
	for _, m := range results.Metrics {
		for _, t := range trials {
			if _, ok := t.Metrics[m.Name]; !ok || leftOut(t) != "" {
				continue
			}
			if m.Better != results.BetterNone {
				lines = append(lines, &benchfmt.UnitMetadata{UnitMetadataKey: benchfmt.UnitMetadataKey{Key: "better"}, OrigUnit: m.Name, Value: m.Better})
			}
			lines = append(lines, &benchfmt.UnitMetadata{UnitMetadataKey: benchfmt.UnitMetadataKey{Key: "assume"}, OrigUnit: m.Name, Value: "nothing"})
			break
		}
	}
	return lines
}

// benchConfig is what all trials of a run share. What is not known is left out.
func benchConfig(run *results.Run) []benchfmt.Config {
	commit := run.Env.Commit
	if run.Env.Dirty && commit != "" {
		commit += "+dirty"
	}
	var config []benchfmt.Config
	for _, c := range [][2]string{
		{"goos", run.Env.GOOS}, {"goarch", run.Env.GOARCH}, {"cpu", run.Env.CPU}, {"commit", commit},
		{"scenario", run.Scenario.Name}, {"run", run.ID}, {"method", strconv.Itoa(run.Method)},
	} {
		if v := oneLine(c[1]); v != "" {
			config = append(config, benchfmt.Config{Key: c[0], Value: []byte(v), File: true})
		}
	}
	return config
}

// procsSuffix is what benchmark names end with to tell GOMAXPROCS; a variant such as pool-64 must not.
var procsSuffix = regexp.MustCompile(`-(\d+)$`)

// benchName is Burst/variant=gnet+ants, and of a sweep Burst/variant=gnet+ants/step=10k.
func benchName(t *results.Trial) benchfmt.Name {
	scenario := []rune(results.FileName(t.Scenario))
	scenario[0] = unicode.ToUpper(scenario[0])
	name := string(scenario) + "/variant=" + procsSuffix.ReplaceAllString(results.FileName(t.Variant), "_$1")
	if t.Step != "" {
		name += "/step=" + procsSuffix.ReplaceAllString(results.FileName(t.Step), "_$1")
	}
	return benchfmt.Name(name)
}

// oneLine is text without line breaks or other white space at length.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
