package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/analysis/compare"
	"github.com/millrace/millrace/report/compared"
	"github.com/millrace/millrace/results"
)

func compareCommand() *cobra.Command {
	var root string
	var metrics []string
	c := &cobra.Command{
		Use:   "compare BASE HEAD",
		Short: "Say what became of the variants from one run to another",
		Long: `Say what became of the variants from one run, the base, to another, the head: ratios with intervals, and every difference of host,
kernel, limits and versions that they may come from. Rounds are compared in pairs where both runs were made in turns, round by
round (docs/METHOD.md, "Two runs", has the commands); otherwise the comparison is unpaired, and weaker.

Runs of different methods, hosts, scenarios, engines or CPUs are refused.

Exit status: 0 compared, whatever was found, 1 a run can't be read, 2 usage, no such run or refused.`,
		Example: `  millrace compare 20261121T031500Z-churn-k3f9 20261121T041500Z-churn-w2x7
  millrace compare old/run new/run --metric p99-latency-ns --metric cpu-per-req-ns`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var runs [2]*results.Result
			for i, name := range args {
				dir, err := findRun(root, name)
				if err != nil {
					return err
				}
				if runs[i], err = results.Load(dir); err != nil {
					return err
				}
			}
			comparison, err := compare.TwoRuns(runs[0], runs[1], metrics)
			if err != nil {
				return usage(err)
			}
			out := cmd.OutOrStdout()
			return compared.Runs(out, comparison, isTerminal(out) && os.Getenv("NO_COLOR") == "")
		},
	}
	c.Flags().StringVar(&root, "results", "results/runs", "directory of the runs")
	c.Flags().StringArrayVar(&metrics, "metric", nil, "compare this metric (repeatable; default: the headline metrics of the scenario)")
	return c
}
