package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List scenarios, servers with their variants, and load engines",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := serversDir()
			if err != nil {
				return err
			}
			cat, err := sut.ReadCatalogue(cmd.Context(), dir)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "SCENARIO\tPROTOCOL\tCONNECTIONS\tDURATION")
			for _, name := range scenarios.Names {
				s, err := scenarios.Named(name)
				if err != nil {
					return err
				}
				if s, err = s.Resolve(); err != nil {
					return err
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%v\n", name, s.Protocol, s.Connections.Count, s.Duration())
			}
			fmt.Fprintln(w, "\nSERVER\tPROTOCOLS\tFRAMEWORK\tWHAT")
			for _, name := range cat.Names() {
				v, err := cat.Variant(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, strings.Join(cat.Description(v.Model).Protocols, " "), v.Framework, v.Doc)
			}
			fmt.Fprintf(w, "\nENGINES\t%s\n", strings.Join(clients.Engines, " "))
			return w.Flush()
		},
	}
}
