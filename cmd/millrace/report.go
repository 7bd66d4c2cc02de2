package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/report"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/results/export"
)

func reportCommand() *cobra.Command {
	var root, reference string
	c := &cobra.Command{
		Use:   "report [RUN]",
		Short: "Write a run's report.md and figures again, and print its table (default: the latest run)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var dir string
			var err error
			if len(args) == 1 {
				dir, err = findRun(root, args[0])
			} else {
				dir, err = results.Latest(root)
			}
			if err != nil {
				return err
			}
			res, err := results.Load(dir)
			if err != nil {
				return err
			}
			if res, err = report.Against(res, reference); err != nil {
				return err
			}
			path, err := report.WriteResult(res)
			if err != nil {
				return err
			}
			if err := printResult(cmd.OutOrStdout(), res); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nreport: %s\n", path)
			return nil
		},
	}
	c.Flags().StringVar(&root, "results", "results/runs", "directory of the runs")
	c.Flags().StringVar(&reference, "reference", "", "variant that the ratios are to (default the run's, else the first)")
	return c
}

// printResult exports a run's figures for benchstat and prints its tables.
func printResult(w io.Writer, res *results.Result) error {
	if _, err := export.Bench(res); err != nil {
		return err
	}
	return report.Text(w, res, isTerminal(w) && os.Getenv("NO_COLOR") == "")
}
