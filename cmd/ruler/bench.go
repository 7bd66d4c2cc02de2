package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/runner/host"
)

// bench is one measurement of the ruler against its goals.
type bench struct {
	flags
	ctx    context.Context
	bin    string // directory of bin/millrace
	server string // for what is compared with other tools
	log    io.Writer
}

// row is a line of the table.
type row struct {
	what, goal, measured, verdict, note string
}

// Verdicts of a row.
const (
	met         = "met"
	missed      = "**missed**"
	noGoal      = "–"
	notMeasured = "not measured"
	void        = "**void**" // more than half of millrace's own runs were INVALID
)

// judge is met or missed.
func judge(ok bool) string {
	if ok {
		return met
	}
	return missed
}

// judgeValid is judge, where not more than half of millrace's runs were INVALID: those prove nothing met.
func judgeValid(ok bool, samples []sample) string {
	invalid := 0
	for _, s := range samples {
		if s.report != nil && s.report.Verdict == validity.Invalid {
			invalid++
		}
	}
	if ok && 2*invalid > len(samples) {
		return void
	}
	return judge(ok)
}

// figure is what --only takes.
type figure struct {
	name string
	run  func(*bench) ([]row, error)
}

// figures are in the order of issue and table.
var figures = []figure{
	{"throughput", (*bench).throughput},
	{"lag", (*bench).lag},
	{"short", (*bench).short},
	{"burst", (*bench).burst},
	{"memory", (*bench).memory},
	{"million", (*bench).million},
	{"constant", (*bench).constant},
}

func figureNames() []string {
	var names []string
	for _, f := range figures {
		names = append(names, f.name)
	}
	return names
}

func benchCommand() *cobra.Command {
	var b bench
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the client against its goals, and print the table",
		Long: `Measure the load client against its goals, in alternating runs of it and of the tools it is held against; the order within a pair is
drawn. CPU time is user and system of the whole process, from wait4. A whole run takes some ten minutes, --quick under two. A goal
that is missed is printed as missed, and is no error: exit status 1 says that something could not be measured.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.check(figureNames()); err != nil {
				return err
			}
			if !slices.Contains(serverNames, b.server) {
				return usageError{fmt.Errorf("--server %q: want one of %s", b.server, strings.Join(serverNames, ", "))}
			}
			b.ctx, b.log = cmd.Context(), cmd.ErrOrStderr()
			return b.measure(cmd.OutOrStdout())
		},
	}
	b.add(c, defaultPairs, "docs/RULER.md", figureNames())
	c.Flags().StringVar(&b.server, "server", "nginx", "server under load for throughput and short connections: "+strings.Join(serverNames, ", "))
	return c
}

// binDir is where this program lies, and bin/millrace beside it.
func binDir() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	dir := filepath.Dir(self)
	if _, err := os.Stat(filepath.Join(dir, "millrace")); err != nil {
		return "", fmt.Errorf("looking for millrace beside this program: %w: run make build", err)
	}
	return dir, nil
}

func (b *bench) measure(w io.Writer) error {
	var err error
	if b.bin, err = binDir(); err != nil {
		return err
	}
	if err := host.PinSelf([]int{serverCPU}); err != nil {
		return fmt.Errorf("pinning this program to CPU %d: %w", serverCPU, err)
	}
	watch := watchOthers()
	var rows []row
	var failed []error
	for _, f := range figures {
		if b.only != "" && b.only != f.name {
			continue
		}
		got, err := f.run(b)
		if b.ctx.Err() != nil {
			return fmt.Errorf("measuring %s: %w", f.name, b.ctx.Err())
		}
		rows = append(rows, got...)
		switch {
		case isMissing(err):
			rows = append(rows, row{what: f.name, goal: noGoal, measured: "–", verdict: notMeasured, note: err.Error()})
		case err != nil:
			failed = append(failed, fmt.Errorf("measuring %s: %w", f.name, err))
			rows = append(rows, row{what: f.name, goal: noGoal, measured: "–", verdict: notMeasured, note: err.Error()})
		}
	}
	text := b.text(rows, &watch)
	fmt.Fprint(w, text)
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if b.writes() {
		return writeDocument(b.doc, "bench-ruler", text)
	}
	return nil
}

// text is the table and what it was measured with.
func (b *bench) text(rows []row, o *others) string {
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = []string{r.what, r.goal, r.measured, r.verdict, r.note}
	}
	command := "ruler bench"
	if b.quick {
		command += " --quick"
	}
	return fmt.Sprintf("%s\n\nCommand: `%s` (%s). Median (smallest–largest).\n\n%s",
		origin(b.ctx, &b.flags, o.begun, o), command, time.Since(o.begun).Round(time.Second), table([]string{"figure", "goal", "measured", "", "how"}, cells))
}

// length is how long a run is, 1 s in a quick one.
func (b *bench) length(d time.Duration) time.Duration {
	if b.quick {
		return time.Second
	}
	return d
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// arm is one side of a comparison.
type arm struct {
	name string
	tool *tool
	load load
}

// pairsOf runs all arms in alternation against a server, and gives the samples of each. A tool that is missing leaves its arm
// empty.
func pairsOf(ctx context.Context, log io.Writer, f *flags, s *server, what string, arms []arm) ([][]sample, error) {
	got := make([][]sample, len(arms))
	err := alternate(f.pairs, len(arms), f.seed, func(pair, i int) error {
		if arms[i].tool.missing() != nil {
			return nil
		}
		one, err := arms[i].tool.run(ctx, s, arms[i].load)
		if err != nil {
			return err
		}
		fmt.Fprintf(log, "%s %d/%d  %-24s %8s requests, %.2f s CPU, %.0f a CPU-second%s\n", what, pair+1, f.pairs, arms[i].name,
			fmt.Sprint(one.requests), one.cpu.Seconds(), one.perCPU(), one.verdict())
		got[i] = append(got[i], one)
		return nil
	})
	return got, err
}

// verdict is what millrace says of a run, where it is not VALID.
func (s *sample) verdict() string {
	if s.report == nil || s.report.Verdict == validity.Valid {
		return ""
	}
	return "  " + string(s.report.Verdict)
}

// each applies a function to every sample.
func each(samples []sample, f func(*sample) float64) []float64 {
	out := make([]float64, len(samples))
	for i := range samples {
		out[i] = f(&samples[i])
	}
	return out
}

// verdicts counts the verdicts of millrace's runs, as in "4 VALID, 1 SUSPECT".
func verdicts(samples []sample) string {
	count := map[validity.Verdict]int{}
	for _, s := range samples {
		if s.report != nil {
			count[s.report.Verdict]++
		}
	}
	var parts []string
	for _, v := range []validity.Verdict{validity.Valid, validity.Suspect, validity.Invalid} {
		if count[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[v], v))
		}
	}
	return strings.Join(parts, ", ")
}

// engines are millrace's own engines for http1 that the build offers.
func engines() []string {
	return slices.DeleteFunc(slices.Clone(clients.Engines), func(e string) bool { return e != "epoll" && e != "uring" })
}
