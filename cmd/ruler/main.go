// Ruler measures millrace itself: how fast its load client is beside other tools (bench), whether it reads the same
// (crosscheck), and whether its servers cost what their frameworks' own examples cost (fairness). It is for those who work on
// them; `make bench-ruler`, `make crosscheck` and `make fairness` run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// commit is set by the Makefile.
var commit = ""

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	// exitUndecided says that a comparison was too noisy to show agreement, and nothing else was wrong.
	exitUndecided = 3
)

// usageError is an error in what was asked for.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// undecidedError is that of a comparison which neither agrees nor differs.
type undecidedError struct{ error }

func main() { os.Exit(ruler(os.Args[1:], os.Stdout, os.Stderr)) }

// ruler runs one command and returns the exit status. Tables go to stdout, progress and errors to stderr.
func ruler(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	root := command(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "ruler: %v\n", err)
	}
	return statusOf(err)
}

// statusOf is the exit status of an error.
func statusOf(err error) int {
	var wrong usageError
	var open undecidedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong):
		return exitUsage
	case errors.As(err, &open):
		return exitUndecided
	}
	return exitFailed
}

// command is the table of subcommands.
func command(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use: "ruler", Short: "Measure millrace's load client and servers beside others", SilenceErrors: true, SilenceUsage: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q: want bench, crosscheck or fairness", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see `%s --help`", err, cmd.CommandPath())}
	})
	root.AddCommand(benchCommand(), crosscheckCommand(), fairnessCommand(), waitCommand())
	return root
}

// flags are those that both commands have.
type flags struct {
	pairs int
	only  string
	quick bool
	seed  uint64
	doc   string
}

// add declares the flags; names are those that --only takes, pairs what --pairs is by default.
func (f *flags) add(c *cobra.Command, pairs int, doc string, names []string) {
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("%s takes no arguments, got %q", c.Name(), args)}
		}
		return nil
	}
	fl := c.Flags()
	fl.IntVar(&f.pairs, "pairs", pairs, fmt.Sprintf("how often each comparison is run, 1 to %d", maxPairs))
	fl.StringVar(&f.only, "only", "", "one of "+strings.Join(names, ", ")+" (default: all)")
	fl.BoolVar(&f.quick, "quick", false, fmt.Sprintf("%d pairs of short runs, to see that all works; writes no document", quickPairs))
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the order within each pair")
	fl.StringVar(&f.doc, "doc", doc, "document whose table is replaced after a whole run of at least 5 pairs; empty for none")
}

// Bounds of --pairs: five make the range of a ratio a 94 % interval of its median, see decide.
const (
	defaultPairs = 5
	quickPairs   = 2
	maxPairs     = 100
)

// check looks at the values, and makes a quick run one.
func (f *flags) check(names []string) error {
	switch {
	case f.pairs < 1 || f.pairs > maxPairs:
		return usageError{fmt.Errorf("--pairs %d: want 1 to %d", f.pairs, maxPairs)}
	case f.only != "" && !slices.Contains(names, f.only):
		return usageError{fmt.Errorf("--only %q: want one of %s", f.only, strings.Join(names, ", "))}
	}
	if f.quick {
		f.pairs = min(f.pairs, quickPairs)
	}
	return nil
}

// writes reports whether the run is whole and long enough for a document.
func (f *flags) writes() bool {
	return f.doc != "" && f.only == "" && !f.quick && f.pairs >= defaultPairs
}
