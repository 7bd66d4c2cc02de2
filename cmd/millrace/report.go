package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/report"
	"github.com/millrace/millrace/results"
)

func reportCommand() *cobra.Command {
	var root string
	c := &cobra.Command{
		Use:   "report [RUN]",
		Short: "Write a run's report.md and figures again, and print its table (default: the latest run)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var dir string
			var err error
			if len(args) == 1 {
				dir = args[0]
				if _, err := os.Stat(dir); err != nil { // a run's id will do
					dir = filepath.Join(root, args[0])
				}
			} else if dir, err = results.Latest(root); err != nil {
				return err
			}
			path, err := report.Write(dir)
			if err != nil {
				return err
			}
			if err := printReport(cmd.OutOrStdout(), dir); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nreport: %s\n", path)
			return nil
		},
	}
	c.Flags().StringVar(&root, "results", "results/runs", "directory of the runs")
	return c
}
