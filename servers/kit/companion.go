package kit

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Companion is a program beside the servers that is started, asked and stopped as they are: by flags of serve, ready line,
// control channel and signals.
type Companion struct {
	Name string
	// Flags adds the flags of serve beside --listen and --control.
	Flags func(*flag.FlagSet)
	// Start is as Model's; of env it has Listen, Counters and Fail. An error of type UsageError ends the program with status 2.
	Start func(env *Env) (Server, error)
	// Readings appends further members to each reading, `,"name":1`. It is called by the control channel's goroutine.
	Readings func([]byte) []byte
	// Commands are further ones of the control channel, by name: each gets the line of the request.
	Commands map[string]func(line []byte) error
}

// UsageError makes err a fault of the command line.
func UsageError(err error) error { return usageError{err} }

// Member appends a number to a reading.
func Member(b []byte, name string, v int64) []byte { return member(b, name, v) }

// Main runs the program and never returns.
func (c *Companion) Main() { exit(c.Name, c.run(os.Args[1:], os.Stdin, os.Stdout)) }

func (c *Companion) run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 || args[0] != "serve" {
		return usageError{fmt.Errorf("want `%s serve --listen HOST:PORT [flags]`", c.Name)}
	}
	env := &Env{failed: make(chan error, 1)}
	var channel string
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&env.Listen, "listen", "127.0.0.1:0", "HOST:PORT to accept connections at; port 0 takes a free one")
	Choice(fs, &channel, "control", "stdin (its end stops the program) or none (run by hand)", "stdin", "none")
	c.Flags(fs)
	if err := fs.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(out, "usage: %s serve [flags]\n", c.Name)
		fs.SetOutput(out)
		fs.PrintDefaults()
		return err
	} else if err != nil {
		return usageError{fmt.Errorf("%w: want %s", err, flagNames(fs))}
	}
	if fs.NArg() > 0 {
		return usageError{fmt.Errorf("unknown argument %q: want %s", fs.Arg(0), flagNames(fs))}
	}
	if err := checkAddress(env.Listen); err != nil {
		return usageError{fmt.Errorf("--listen: %w", err)}
	}
	var ctl *control
	if channel == "stdin" {
		ctl = newControl(env, out)
		ctl.readings.more, ctl.more = c.Readings, c.Commands
	}
	return env.attend(c.Start, ctl, in, out)
}
