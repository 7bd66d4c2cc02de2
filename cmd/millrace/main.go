// Millrace compares Go network models under load.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients/crew/member"
	"github.com/millrace/millrace/runner"
)

// version and commit are set by the Makefile.
var (
	version = "0.1.0-dev"
	commit  = ""
)

// Exit statuses, the first that applies.
const (
	exitInterrupted = 130 // Ctrl-C
	exitTerminated  = 143 // SIGTERM
	exitUsage       = 2
	exitFailed      = 1
	exitInvalid     = 4 // a variant has no valid trial
	exitBreached    = 3 // a difference beyond what is allowed
	exitDone        = 0
)

// statusError is an error with an exit status of its own. An empty Err prints nothing: all has been said.
type statusError struct {
	Status int
	Err    error
}

func (e *statusError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e *statusError) Unwrap() error { return e.Err }

// usage marks an error as one in what was asked for.
func usage(err error) error { return &statusError{exitUsage, err} }

func main() {
	if len(os.Args) == 2 && os.Args[1] == member.Name {
		os.Exit(member.Main())
	}
	os.Exit(millrace(os.Args[1:], os.Stdout, os.Stderr))
}

// millrace runs one command and returns the exit status. Results go to stdout, everything else to stderr.
func millrace(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		s, ok := <-signals
		if !ok {
			return
		}
		status := exitInterrupted
		if s == syscall.SIGTERM {
			status = exitTerminated
		}
		cancel(&statusError{status, fmt.Errorf("ended by signal %v", s)})
		signal.Stop(signals) // the second one ends the process at once
	}()

	root := command(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && err.Error() != "" {
		fmt.Fprintf(stderr, "millrace: %v\n", err)
	}
	return statusOf(ctx, err)
}

// statusOf maps how a command ended to the exit status, interruption first.
func statusOf(ctx context.Context, err error) int {
	var status *statusError
	if cause := context.Cause(ctx); cause != nil && errors.As(cause, &status) {
		return status.Status
	}
	if err == nil {
		return exitDone
	}
	if errors.As(err, &status) {
		return status.Status
	}
	var wrong *runner.UsageError
	if errors.As(err, &wrong) {
		return exitUsage
	}
	return exitFailed
}

// command is the table of subcommands.
func command(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "millrace",
		Short:         "Compare Go network models under load",
		Version:       version + " " + commit,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w: see `%s --help`", err, cmd.CommandPath()))
	})
	root.AddCommand(runCommand(), aaCommand(), compareCommand(), explainCommand(), claimsCommand(), loadCommand(), listCommand(), doctorCommand(), calibrateCommand(), conformCommand(), reportCommand(), selfcheckCommand(), reflectCommand(), agentCommand())
	for _, c := range root.Commands() {
		c.Args = usageArgs(c.Args)
	}
	root.Args = usageArgs(func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("unknown command %q: see `millrace --help`", args[0])
		}
		return nil
	})
	return root
}

// usageArgs makes errors about arguments errors of usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(cmd, args); err != nil {
			return usage(err)
		}
		return nil
	}
}

// self is this program's path, from which agents are started and beside which the servers lie.
func self() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	return path, nil
}

// serversDir is where the server programs lie: beside this program.
func serversDir() (string, error) {
	path, err := self()
	return filepath.Join(filepath.Dir(path), "servers"), err
}
