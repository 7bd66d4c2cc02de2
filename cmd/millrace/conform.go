package main

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/runner/sut/foreign"
	"github.com/millrace/millrace/servers/conform"
)

func conformCommand() *cobra.Command {
	var protocol, addr string
	var payload int
	var asJSON bool
	c := &cobra.Command{
		Use:   "conform SERVER | conform FILE.yaml | conform -- COMMAND… | conform --addr HOST:PORT",
		Short: "Run the conformance suite against a server",
		Long: `Run the black-box conformance suite against one of our servers by name (gnet/ants), against any program that speaks the
server contract (COMMAND describe, COMMAND serve …), against a foreign server that a file describes (servers/foreign/nginx.yaml: the
cases that need nothing but its sockets), or against a server that is already running (--addr: replies only, and POST / must echo its
body).

Exit status: 0 it conforms, 1 a case failed, 2 usage.`,
		Example: `  millrace conform gnet/ants --protocol frame
  millrace conform -- ./myserver
  millrace conform --addr 127.0.0.1:8080`,
		RunE: func(cmd *cobra.Command, args []string) error {
			t := conform.Target{Protocol: protocol, Payload: payload}
			switch {
			case addr != "" && len(args) > 0:
				return usage(fmt.Errorf("conform: --addr %s and a command %q: want one of them", addr, args[0]))
			case addr != "":
				if err := answers(addr); err != nil {
					return err
				}
				t.Foreign, t.Addr = true, addr
			case len(args) == 0:
				return usage(fmt.Errorf("conform: want a server's name, a command, or --addr HOST:PORT"))
			default:
				if cmd.ArgsLenAtDash() < 0 && foreign.IsFile(args[0]) {
					return conformForeign(cmd, args, t, asJSON)
				}
				if err := conformProgram(cmd, args, &t); err != nil {
					return err
				}
			}
			if err := t.Validate(); err != nil {
				return usage(err)
			}
			report, err := conform.Run(cmd.Context(), t, conform.Options{})
			if err != nil {
				return err
			}
			return tellConform(cmd, report, asJSON)
		},
	}
	c.Flags().StringVar(&protocol, "protocol", "http1", "http1, frame, push or ws")
	c.Flags().IntVar(&payload, "payload", 13, "bytes in the reply to GET /")
	c.Flags().StringVar(&addr, "addr", "", "address of a server that is already running")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

// tellConform prints a report and makes its verdict the exit status.
func tellConform(cmd *cobra.Command, report *conform.Report, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(cmd.OutOrStdout())
		out.SetIndent("", "  ")
		if err := out.Encode(report); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	} else {
		printConform(cmd, report)
	}
	if !report.Passed {
		return &statusError{exitFailed, report.Err()}
	}
	return nil
}

// conformForeign puts to a foreign server, as a file describes it, the cases that it can be asked.
func conformForeign(cmd *cobra.Command, args []string, t conform.Target, asJSON bool) error {
	if len(args) > 1 {
		return usage(fmt.Errorf("servers %s: want one", strings.Join(args, ", ")))
	}
	f, err := foreign.Read(args[0], sut.Models)
	if err != nil {
		return usage(err)
	}
	if !slices.Contains(f.Protocols, t.Protocol) {
		return usage(fmt.Errorf("%s does not speak %s: want one of %s", f.Name, t.Protocol, strings.Join(f.Protocols, ", ")))
	}
	report, err := sut.ConformForeign(cmd.Context(), f, t.Protocol, t.Payload)
	if err != nil {
		return err
	}
	report.Program = f.Name
	return tellConform(cmd, report, asJSON)
}

// conformProgram fills in the program: one of our servers by name, or a command.
func conformProgram(cmd *cobra.Command, args []string, t *conform.Target) error {
	t.Command = args
	model, _, _ := strings.Cut(args[0], "/")
	dir, err := serversDir()
	if err != nil || cmd.ArgsLenAtDash() >= 0 {
		return err // what follows -- is a command
	}
	if len(args) > 1 {
		return usage(fmt.Errorf("servers %s: want one, or a command after --", strings.Join(args, ", ")))
	}
	cat, err := sut.ReadCatalogue(cmd.Context(), dir)
	if err != nil {
		return err
	}
	if cat.Description(model) == nil {
		return usage(fmt.Errorf("unknown server %q: want one of %s, or a command after --", args[0], strings.Join(cat.Names(), ", ")))
	}
	v, err := cat.Variant(args[0])
	if err != nil {
		return usage(err)
	}
	if why := cat.NotSpoken(v.Model, t.Protocol); why != "" {
		return usage(fmt.Errorf("%s does not speak %s: %s", v.Name, t.Protocol, why))
	}
	t.Command, t.Args, t.Env = []string{v.Binary}, v.Args, v.Env
	return nil
}

// answerWithin is how long a server that is said to run may take to accept a connection.
const answerWithin = 2 * time.Second

// answers checks that somebody listens at an address.
func answers(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return usage(fmt.Errorf("--addr %q: want HOST:PORT", addr))
	}
	c, err := net.DialTimeout("tcp", addr, answerWithin)
	if err != nil {
		return &statusError{exitFailed, fmt.Errorf("conforming %s: %w: is the server running?", addr, err)}
	}
	return c.Close()
}

func printConform(cmd *cobra.Command, r *conform.Report) {
	w := cmd.OutOrStdout()
	passed := 0
	for _, c := range r.Cases {
		switch {
		case c.Passed:
			passed++
			fmt.Fprintf(w, "ok    %-40s %.2f s\n", c.Name, c.Seconds)
		case c.Skipped != "":
			fmt.Fprintf(w, "skip  %-40s %s\n", c.Name, c.Skipped)
		default:
			fmt.Fprintf(w, "FAIL  %-40s %s\n", c.Name, c.Err)
		}
	}
	name := strings.Join(append([]string{r.Program}, r.Args...), " ")
	fmt.Fprintf(w, "%s (%s): %d cases passed, %d failed, %d skipped, %.1f s\n", name, r.Protocol, passed, len(r.Failed()), len(r.Cases)-passed-len(r.Failed()), r.Seconds)
}
