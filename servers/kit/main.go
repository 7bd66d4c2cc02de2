package kit

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

// stopWithin is what a server's Stop may take: the contract gives 5 s, the rest is for the process's end.
const stopWithin = 4 * time.Second

// Exit statuses of a server program.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a fault of the command line.
type usageError struct{ error }

// Main runs a model's program and never returns.
func Main(m Model) { exit(m.Name, m.run(os.Args[1:], os.Stdin, os.Stdout)) }

// exit ends the program with what its run returned.
func exit(name string, err error) {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		os.Exit(exitDone)
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	if errors.As(err, new(usageError)) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

func (m *Model) run(args []string, in io.Reader, out io.Writer) error {
	if err := m.validate(); err != nil {
		return err
	}
	usage := usageError{fmt.Errorf("want `%s describe` or `%s serve --listen HOST:PORT [flags]`", m.Name, m.Name)}
	if len(args) == 0 {
		return usage
	}
	switch args[0] {
	case "help", "-h", "--help":
		_, err := fmt.Fprintln(out, usage.Error())
		return err
	case "describe":
		if len(args) > 1 {
			return usageError{fmt.Errorf("describe takes no arguments, got %q", args[1:])}
		}
		return m.describe(out)
	case "serve":
		return m.serve(args[1:], in, out)
	}
	return usageError{fmt.Errorf("unknown command %q: %w", args[0], usage.error)}
}

// options are the common flags of serve.
type options struct {
	listen, protocol, work, control, inject string
	payload                                 int
	push                                    pushOptions
}

// parse reads the flags of serve. The error of an unknown flag or value names the known ones.
func (m *Model) parse(args []string) (*Env, *options, error) {
	var o options
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:0", "HOST:PORT to accept connections at; port 0 takes a free one")
	fs.StringVar(&o.protocol, "protocol", m.Protocols[0], strings.Join(m.Protocols, ", "))
	fs.StringVar(&o.work, "work", "none", "what a request that asks for work costs: "+scenarios.WorkKinds)
	fs.IntVar(&o.payload, "payload", defaultPayload, "bytes of the body that GET is answered with")
	fs.StringVar(&o.inject, "inject", "0s", "CPU time that every request costs beyond its own, up to 1ms: a known slow-down, to test comparisons")
	fs.StringVar(&o.control, "control", "stdin", "stdin (its end stops the server) or none (run by hand)")
	o.push.flags(fs)
	if m.Flags != nil {
		m.Flags(fs)
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Printf("usage: %s serve [flags]\n", m.Name)
		fs.SetOutput(os.Stdout)
		fs.PrintDefaults()
		return nil, nil, err
	} else if err != nil {
		return nil, nil, usageError{fmt.Errorf("%w: want %s", err, flagNames(fs))}
	}
	if fs.NArg() > 0 {
		return nil, nil, usageError{fmt.Errorf("unknown argument %q: want %s", fs.Arg(0), flagNames(fs))}
	}
	if !slices.Contains(m.Protocols, o.protocol) {
		why := m.Missing[o.protocol]
		if why != "" {
			why = ": " + why
		}
		return nil, nil, usageError{fmt.Errorf("--protocol %q: %s speaks %s%s", o.protocol, m.Name, strings.Join(m.Protocols, ", "), why)}
	}
	if o.control != "stdin" && o.control != "none" {
		return nil, nil, usageError{fmt.Errorf("--control %q: want stdin or none", o.control)}
	}
	env, err := newEnv(o)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return env, &o, nil
}

func flagNames(fs *flag.FlagSet) string {
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, "--"+f.Name) })
	return "flags among " + strings.Join(names, ", ")
}

func newEnv(o options) (*Env, error) {
	spec, err := scenarios.ParseWork(o.work)
	if err != nil {
		return nil, fmt.Errorf("--work: %w", err)
	}
	inject, err := parseInject(o.inject)
	if err != nil {
		return nil, err
	}
	if o.payload < 1 || o.payload > maxPayload {
		return nil, fmt.Errorf("--payload %d: want 1 to %d bytes", o.payload, maxPayload)
	}
	if err := checkAddress(o.listen); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	work, err := newWork(spec)
	if err != nil {
		return nil, fmt.Errorf("--work: %w", err)
	}
	env := &Env{
		Listen: o.listen, Protocol: o.protocol, work: work, inject: rounds(inject),
		body: wire.Payload(o.payload), failed: make(chan error, 1),
	}
	env.reply = wire.AppendResponse(nil, 200, env.body, false)
	env.hub, err = o.push.hub(env)
	return env, err
}

// ready is the line that a server prints when it accepts connections.
type ready struct {
	Schema int    `json:"schema"`
	Ready  bool   `json:"ready"`
	Addr   string `json:"addr"`
	PID    int    `json:"pid"`
}

func (m *Model) serve(args []string, in io.Reader, out io.Writer) error {
	env, o, err := m.parse(args)
	if err != nil {
		return err
	}
	var c *control
	if o.control == "stdin" {
		c = newControl(env, out)
	}
	return env.attend(m.Start, c, in, out)
}

// attend starts a server, prints the ready line, answers requests on the control channel, nil for none, and stops the server
// when it is told to.
func (e *Env) attend(start func(*Env) (Server, error), c *control, in io.Reader, out io.Writer) error {
	// Before the ready line, so that a signal right after it is not lost.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	server, err := start(e)
	if err != nil {
		return err
	}
	line, err := json.Marshal(ready{Schema, true, server.Addr(), os.Getpid()})
	if err != nil {
		return fmt.Errorf("writing ready line: %w", err)
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing ready line: %w", err)
	}
	var ended chan error // nil without a control channel: never ready
	if c != nil {
		ended = make(chan error, 1)
		go func() { ended <- c.serve(in) }()
	}
	select {
	case <-signals:
	case err = <-ended:
	case err = <-e.failed:
	}
	e.stopping.Store(true)
	if e.hub != nil {
		e.hub.Stop() // what waits is still handed on
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return errors.Join(err, server.Stop(ctx))
}
