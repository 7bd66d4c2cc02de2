// Package report writes what a run found: a table for the terminal and report.md with figures. Rows stand in the order
// in which the variants were given, never sorted by result; what was not measured or may not be compared is marked, with
// the reason in a footnote.
package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// Write reads the run in the directory dir, draws its figures into dir/plots and writes dir/report.md, whose path it
// returns; of a sweep over numbers dir/crossovers.json as well. Both are derived, and written over if they exist.
func Write(dir string) (path string, err error) {
	res, err := results.Load(dir)
	if err != nil {
		return "", err
	}
	return WriteResult(res)
}

// WriteResult is Write for a run that was read before.
func WriteResult(res *results.Result) (path string, err error) {
	dir := res.Path
	figures, err := plots.Draw(res, filepath.Join(dir, "plots"))
	if err != nil {
		return "", err
	}
	page, err := Markdown(res, figures)
	if err != nil {
		return "", err
	}
	if err := writeCrossings(res); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "report.md")
	if err := os.WriteFile(path, page, 0o644); err != nil {
		return "", fmt.Errorf("writing report: %w", err)
	}
	return path, nil
}

// purposes say what a run that was not made to measure is for.
var purposes = map[string]string{
	results.PurposeAA:      "Not a comparison: a server against itself, by `millrace aa`, to learn how large the noise is.",
	results.PurposePilot:   "Not a measurement: it only found out what a request costs, for `millrace aa --inject`.",
	results.PurposeExplain: "Not a measurement: its trials were looked at while they ran, by `millrace explain`.",
}

// preface is what stands above every table: machine, scale, how many rounds and how to read the figures.
func (d *document) preface() []string {
	r := d.res.Run
	lines := []string{machine(r)}
	if s, ok := purposes[r.Purpose]; ok {
		lines = append(lines, s)
	}
	if r.Duet {
		lines = append(lines, "Duets: both variants ran at the same time on the same CPUs, the load going from one to the other every 100 ms. Their figures are not to be held against those of trials by themselves.")
	}
	if r.Quick {
		lines = append(lines, "Quick: a small version of the scenario, to see that all works; not for conclusions.")
	}
	if len(r.Set) > 0 {
		lines = append(lines, "Changed: "+strings.Join(r.Set, ", "))
	}
	for _, s := range r.Scale {
		lines = append(lines, "Scaled down: "+s)
	}
	for _, step := range r.Steps {
		for _, s := range step.Scale {
			lines = append(lines, fmt.Sprintf("Scaled down: step %s: %s", step.Name, s))
		}
	}
	if len(r.Steps) > 0 {
		lines = append(lines, d.sweepReading())
	}
	course, rounds := d.course()
	lines = append(lines, course...)
	for _, s := range d.res.Warnings {
		lines = append(lines, "Warning: "+strings.ReplaceAll(s, d.res.Path+string(filepath.Separator), ""))
	}
	text := d.reading(rounds)
	if r.Rounds == 1 {
		text += d.slopeReading()
	}
	return append(lines, text)
}

// slopeReading explains the interval beside a single round's slopes, or is empty where there is none.
func (d *document) slopeReading() string {
	for _, t := range d.res.Trials {
		for _, s := range t.Slopes {
			return fmt.Sprintf(" In brackets: the interval of the slope through %d steps, confidence %s (Theil–Sen).", s.N, quantity.Share(s.Confidence))
		}
	}
	return ""
}

func machine(r *results.Run) string {
	var parts []string
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			parts = append(parts, s)
		}
	}
	add(r.Env.CPU)
	if r.Env.Cores > 0 {
		add(fmt.Sprintf("%d %s", r.Env.Cores, sheet.Plural(r.Env.Cores, "core")))
	}
	add(r.Env.Virtual)
	add(r.Env.Kernel)
	add(r.Env.Go)
	add(splitText(r.Split))
	return strings.Join(parts, " · ")
}

func splitText(c results.CPUSplit) string {
	if c.Shared {
		return "co-located: client and server share their CPUs"
	}
	if len(c.Server)+len(c.Client) == 0 {
		return ""
	}
	return fmt.Sprintf("server on CPU %s, client on CPU %s", cpus(c.Server), cpus(c.Client))
}

func cpus(list []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]")
}

// command is how to run the same again: the same scenario, order and arrivals.
func command(r *results.Run) string {
	args := []string{"millrace", "run", r.Given.Name}
	if r.Quick {
		args = append(args, "--quick")
	}
	for _, s := range r.Set {
		args = append(args, "--set", quote(s))
	}
	if r.Sweep != "" {
		args = append(args, "--sweep", quote(r.Sweep))
	}
	var names []string
	for _, v := range r.Variants {
		names = append(names, v.Name)
	}
	args = append(args, "--servers", strings.Join(names, ","), "--rounds", fmt.Sprint(r.Rounds), "--seed", fmt.Sprint(r.Seed))
	if r.Engine != "" {
		args = append(args, "--engine", r.Engine)
	}
	if r.Reference != "" && r.Reference != names[0] {
		args = append(args, "--reference", r.Reference)
	}
	if r.Duet {
		args = append(args, "--duet")
	}
	return strings.Join(args, " ")
}

// quote puts a word that a shell would split or expand into single quotes.
func quote(s string) string {
	if !strings.ContainsAny(s, " \t\n'\"\\$&|;<>()*?[]{}#~`!") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
