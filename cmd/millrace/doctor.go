package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/runner/host"
)

func doctorCommand() *cobra.Command {
	var quick bool
	var set []string
	c := &cobra.Command{
		Use:   "doctor [SCENARIO|FILE.yaml]",
		Short: "Say whether this host can hold a scenario (default burst), and what to do if not",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "burst"
			if len(args) == 1 {
				name = args[0]
			}
			s, err := scenarioOf(name)
			if err != nil {
				return err
			}
			if quick {
				if s, err = s.Quickened(); err != nil {
					return usage(err)
				}
			}
			if s, err = s.Apply(set); err == nil {
				s, err = s.ReadTraces(traceReader(name))
			}
			if err != nil {
				return usage(err)
			}
			split, err := host.AllowedCPUs(false)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "\tWHAT\tPRESENT\tNEEDED\tFIX")
			short := false
			for _, f := range host.Doctor(s, split) {
				mark := "ok"
				if !f.OK {
					mark, short = f.Severity, short || f.Severity != host.Warning
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", mark, f.Name, f.Present, f.Needed, f.Fix)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if short {
				return &statusError{exitFailed, errors.New("this host can't hold the scenario as it is: a run would be scaled down")}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&quick, "quick", false, "the small version of the scenario")
	c.Flags().StringArrayVar(&set, "set", nil, "change a field of the scenario, such as connections.count=2000 (repeatable)")
	return c
}
