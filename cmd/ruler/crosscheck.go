package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/runner/host"
)

// cell is one comparison of all tools: one server and one shape of load.
type cell struct {
	name   string // for --only
	server string
	rate   float64 // requests a second; 0 is a closed loop
}

// cells are what crosscheck measures.
var cells = []cell{
	{"nginx-closed", "nginx", 0},
	{"nginx-rate", "nginx", 10_000},
	{"nethttp-closed", "nethttp", 0},
	{"nethttp-rate", "nethttp", 10_000},
}

func cellNames() []string {
	var names []string
	for _, c := range cells {
		names = append(names, c.name)
	}
	return names
}

// crossConnections is how many connections every tool opens.
const crossConnections = 64

func crosscheckCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "crosscheck",
		Short: "Hold the client's figures against those of tools nobody here wrote",
		Long: `Run wrk, ab, h2load and vegeta beside millrace, in alternating runs against nginx and bin/servers/nethttp, in a closed loop and at a fixed
rate. Every figure is compared with millrace's of the same definition. What differs beyond the noise must be explained by one of the
rules that are printed, each with a condition that is measured; what is not makes the exit status 1. Where the noise itself is more
than 10 % nothing is decided, which is no agreement: the exit status is 3, and the comparison is to be repeated on a quieter host.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cellNames()); err != nil {
				return err
			}
			return crosscheck(cmd.Context(), &f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.add(c, defaultPairs, "docs/METHOD.md", cellNames())
	return c
}

func crosscheck(ctx context.Context, f *flags, w, log io.Writer) error {
	bin, err := binDir()
	if err != nil {
		return err
	}
	if err := host.PinSelf([]int{serverCPU}); err != nil {
		return fmt.Errorf("pinning this program to CPU %d: %w", serverCPU, err)
	}
	watch := watchOthers()
	var body strings.Builder
	var unexplained, undecided int
	var skipped []string
	for _, c := range cells {
		if f.only != "" && f.only != c.name {
			continue
		}
		tools, without := toolsFor(bin, c)
		for _, line := range without {
			if !slices.Contains(skipped, line) {
				skipped = append(skipped, line)
			}
		}
		all, err := c.measure(ctx, f, bin, log, tools)
		if isMissing(err) {
			skipped = append(skipped, err.Error())
			continue
		} else if err != nil {
			return fmt.Errorf("cross-checking %s: %w", c.name, err)
		}
		text, strange, open := c.table(all)
		unexplained, undecided = unexplained+strange, undecided+open
		body.WriteString("\n" + text)
	}
	text := origin(ctx, f, watch.begun, &watch) + fmt.Sprintf(" %d connections; median of the runs, ratios as median (smallest–largest) of the pairs; took %s.\n",
		crossConnections, time.Since(watch.begun).Round(time.Second)) + body.String() + "\n" + legend()
	for _, line := range skipped {
		text += "\nSkipped: " + line + ".\n"
	}
	fmt.Fprint(w, text)
	if f.writes() {
		if err := writeDocument(f.doc, "crosscheck", text); err != nil {
			return err
		}
	}
	return outcome(unexplained, undecided, watch.share())
}

// outcome is the error of a comparison with so many figures unexplained and undecided, while other programs took a share of the
// CPUs.
func outcome(unexplained, undecided int, others float64) error {
	advice := fmt.Sprintf("see the table; other programs took %s of the CPUs: repeat it where that is little, or with more --pairs", quantity.Share(others))
	switch {
	case unexplained > 0:
		return fmt.Errorf("figures that differ beyond the noise without an explanation: %d, undecided: %d: %s", unexplained, undecided, advice)
	case undecided > 0:
		return undecidedError{fmt.Errorf("figures that are undecided, since they scatter by more than ±%.0f %%: %d: %s", 100*maxScatter, undecided, advice)}
	}
	return nil
}

// toolsFor are the tools that can make a cell's load: millrace first, and once more, which shows the noise. without says what
// is not installed.
func toolsFor(bin string, c cell) (tools []*tool, without []string) {
	tools = []*tool{millrace(bin, "millrace", "epoll"), millrace(bin, "millrace again", "epoll"), millrace(bin, "millrace, engine vegeta", "vegeta")}
	for _, t := range foreignTools {
		if c.rate > 0 && !t.open {
			continue
		}
		if err := t.missing(); err != nil {
			without = append(without, err.Error())
			continue
		}
		tools = append(tools, t)
	}
	return tools, without
}

// measure runs all tools in alternation, and gives what each showed, the reference first.
func (c cell) measure(ctx context.Context, f *flags, bin string, log io.Writer, tools []*tool) ([]*observed, error) {
	s, err := startServer(ctx, bin, c.server)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	length := 2 * time.Second
	if f.quick {
		length = time.Second
	}
	arms := make([]arm, len(tools))
	for i, t := range tools {
		arms[i] = arm{t.name, t, load{connections: crossConnections, length: length, rate: c.rate}}
	}
	samples, err := pairsOf(ctx, log, f, s, c.name, arms)
	if err != nil {
		return nil, err
	}
	all := make([]*observed, len(tools))
	for i, t := range tools {
		all[i] = observe(t.name, samples[i])
	}
	return all, nil
}

// table compares every tool with the reference, and counts the figures that differ unexplained and those that are undecided.
func (c cell) table(all []*observed) (text string, unexplained, undecided int) {
	ref, again := all[0], all[1]
	var rows [][]string
	for _, o := range all {
		row := []string{o.name, asRate(o.median(rate)), asTime(o.median(p50)), asTime(o.median(p99))}
		if o == ref {
			row = append(row, "1", "1", "1", againstResponse(o, ref), "–", "the reference; service time")
			rows = append(rows, row)
			continue
		}
		var beyond, open, why []string
		for _, q := range []quantityName{rate, p50, p99} {
			d := compare(q, o, ref, again, c)
			row = append(row, d.ratio.show(asRatio))
			switch d.finding {
			case tooNoisy:
				open = append(open, string(q))
			case differs:
				beyond = append(beyond, string(q))
				if d.why == "" {
					unexplained++
					d.why = "**unexplained**"
				}
				why = append(why, string(q)+": "+d.why)
			}
		}
		undecided += len(open)
		rows = append(rows, append(row, againstResponse(o, ref), noise(beyond, open), orDash(strings.Join(why, "; "))))
	}
	loop := "closed loop"
	if c.rate > 0 {
		loop = quantity.Format(c.rate, quantity.PerSecond) + " offered"
	}
	head := []string{"tool", "rate", "p50", "p99", "rate ÷", "p50 ÷", "p99 ÷", "p50, p99 ÷ response", "within noise?", "explanation"}
	return fmt.Sprintf("**%s, %s**\n\n%s", c.server, loop, table(head, rows)), unexplained, undecided
}

// noise says which figures lie beyond the noise, and which are too noisy to tell.
func noise(beyond, open []string) string {
	var parts []string
	if len(beyond) > 0 {
		parts = append(parts, "no: "+strings.Join(beyond, ", "))
	}
	if len(open) > 0 {
		parts = append(parts, "undecided, too noisy: "+strings.Join(open, ", "))
	}
	if parts == nil {
		return "yes"
	}
	return strings.Join(parts, "; ")
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// againstResponse compares a tool's headline with millrace's response time, which counts from when a request was due: what a
// reader of both tools would compare. millrace's own rows have their own response time there.
func againstResponse(o, ref *observed) string {
	a, b := o.each[p50], o.each[p99]
	if o.each[responseP99] != nil {
		a, b = o.each[responseP50], o.each[responseP99]
	}
	return spreadOf(ratios(a, ref.each[responseP50])).short() + ", " + spreadOf(ratios(b, ref.each[responseP99])).short()
}

func (s spread) short() string {
	if s.N == 0 {
		return "–"
	}
	return asRatio(s.Median)
}
