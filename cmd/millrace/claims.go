package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/claims"
	"github.com/millrace/millrace/report"
	"github.com/millrace/millrace/report/claimed"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/host"
)

// claimsFlags are the flags of `millrace claims`.
type claimsFlags struct {
	catalogue, results      string
	quick, resume, estimate bool
	rounds                  int
	budget, quietWait       time.Duration
	write                   string
}

// claimsBudget is the time that the runs may take together unless told otherwise.
const claimsBudget = 2 * time.Hour

func claimsCommand() *cobra.Command {
	var f claimsFlags
	c := &cobra.Command{
		Use:   "claims [ID…]",
		Short: "Put the claims of well-known articles to the test: CONFIRMED, REFUTED or UNDECIDED",
		Long: `Make the runs that the claims rest on, decide each claim on their rounds, and print the verdicts with the figures that decided. The
claims, their runs and their statements are data (claims/catalogue.yaml), fixed before measuring. Claims that share a run share it.

The runs share --budget by how long they take; where that leaves a run fewer than 6 rounds, nothing is decided on it. What is not
there yet, a scenario or a server, is named, and the claims that need it stay undecided. A run whose claims all need a server with
more CPUs than here is one round, for a figure.

With --resume a sitting at all claims that was interrupted goes on: runs that are whole are taken as they are, and those that ended
with the budget are extended. Where none was interrupted, or
programs or catalogue have changed since, the runs are made anew. Some claims alone neither begin nor end such a sitting.

Exit status: 0 decided, whatever was found, 1 a run could not be made, 2 usage, 130 interrupted.`,
		Example: `  millrace claims --estimate
  millrace claims A5 A6 --rounds 10
  millrace claims --quick
  millrace claims --resume --write docs/CLAIMS.md`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			switch {
			case f.budget <= 0:
				return usage(fmt.Errorf("--budget %v: want a time such as 2h", f.budget))
			case f.rounds < 0 || f.rounds > maxClaimRounds:
				return usage(fmt.Errorf("--rounds %d: want 1 to %d, or 0 for the catalogue's", f.rounds, maxClaimRounds))
			case f.write != "" && len(ids) > 0:
				return usage(errors.New("--write with some claims only: the page has all of them: leave one of both out"))
			}
			return doClaims(cmd, ids, f)
		},
	}
	c.Flags().BoolVar(&f.quick, "quick", false, "small runs of one round, to see that all works; nothing is decided on them")
	c.Flags().BoolVar(&f.resume, "resume", false, "go on with a sitting that was interrupted")
	c.Flags().BoolVar(&f.estimate, "estimate", false, "print which runs would be made and how long they take, and do nothing")
	c.Flags().IntVar(&f.rounds, "rounds", 0, "rounds of every run (default: the catalogue's)")
	c.Flags().DurationVar(&f.budget, "budget", claimsBudget, "time that the runs may take together")
	c.Flags().DurationVar(&f.quietWait, "quiet-wait", host.QuietWait, "how long a trial waits for a quiet host at most; 0 does not look")
	c.Flags().StringVar(&f.catalogue, "catalogue", "", "a file with claims of your own, as claims/catalogue.yaml")
	c.Flags().StringVar(&f.write, "write", "", "write the verdicts to this file as well, a Markdown page such as docs/CLAIMS.md")
	c.Flags().StringVar(&f.results, "results", "results/runs", "directory of the runs")
	return c
}

const maxClaimRounds = 100

func doClaims(cmd *cobra.Command, ids []string, f claimsFlags) error {
	ctx, out, errs := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	catalogue, err := f.read(ids)
	if err != nil {
		return usage(err)
	}
	planned, err := f.planAll(ctx, catalogue)
	if err != nil {
		return err
	}
	if f.estimate {
		printClaimsEstimate(out, planned, f.budget)
		return nil
	}
	printClaimsEstimate(errs, planned, f.budget)
	ledger := &ledger{} // of some claims only: nothing to go on with
	if f.resume || len(ids) == 0 {
		if ledger, err = openLedger(f.results, f.resume); err != nil {
			return err
		}
	}
	failed := f.makeAll(ctx, errs, planned, ledger)
	if ctx.Err() != nil {
		if ledger.path != "" {
			fmt.Fprintf(errs, "interrupted: millrace claims --resume goes on where it ended\n")
		}
		return context.Cause(ctx)
	}
	if len(ids) == 0 {
		if err := ledger.over(); err != nil {
			return err
		}
	}
	found, err := f.findings(catalogue, planned)
	failed = errors.Join(failed, err)
	if err := claimed.Text(out, found, isTerminal(out) && os.Getenv("NO_COLOR") == ""); err != nil {
		return err
	}
	if f.write != "" {
		if err := os.WriteFile(f.write, claimed.Page(found), 0o644); err != nil {
			return fmt.Errorf("writing claims: %w", err)
		}
		fmt.Fprintf(out, "\nwritten: %s\n", f.write)
	}
	return failed
}

// read returns the claims that are asked for.
func (f *claimsFlags) read(ids []string) (*claims.Catalogue, error) {
	c, err := claims.Default()
	if f.catalogue != "" {
		var data []byte
		if data, err = os.ReadFile(f.catalogue); err != nil {
			return nil, fmt.Errorf("reading claims: %w", err)
		}
		c, err = claims.Decode(f.catalogue, data)
	}
	if err != nil {
		return nil, err
	}
	return c.Only(ids)
}

// makeAll makes the runs one after the other, each with its share of what is left of the budget. What goes wrong with one does not
// keep the others from being made; it returns those errors together.
func (f *claimsFlags) makeAll(ctx context.Context, errs io.Writer, planned []*plannedRun, l *ledger) error {
	deadline := time.Now().Add(f.budget)
	var all error
	for i, p := range planned {
		if p.plan == nil || ctx.Err() != nil {
			continue
		}
		var left time.Duration
		for _, q := range planned[i:] {
			if !q.made(l) {
				left += q.takes
			}
		}
		share := time.Until(deadline)
		if left > 0 && left > share {
			share = time.Duration(float64(share) * float64(p.takes) / float64(left))
		}
		fmt.Fprintf(errs, "\n%s (%d of %d)\n", p.run.Name, i+1, len(planned))
		if err := p.make(ctx, errs, l, share); err != nil && ctx.Err() == nil {
			p.why = "it failed: " + err.Error()
			fmt.Fprintf(errs, "%s failed: %v\n", p.run.Name, err)
			all = errors.Join(all, fmt.Errorf("run %s: %w", p.run.Name, err))
		}
	}
	return all
}

// findings judges what was made. A run that can't be read, or whose report can't be written, keeps no other from being judged; it
// returns those errors together.
func (f *claimsFlags) findings(c *claims.Catalogue, planned []*plannedRun) (*claimed.Findings, error) {
	made := map[string]claims.Made{}
	var all error
	for _, p := range planned {
		m := claims.Made{Why: p.why, LeftOut: p.leftOut}
		if p.dir != "" {
			res, err := results.Load(p.dir)
			if err == nil {
				m.Result = res
				_, err = report.WriteResult(res)
			} else {
				m.Why = "its directory can't be read: " + err.Error()
			}
			if err != nil {
				all = errors.Join(all, fmt.Errorf("run %s: %w", p.run.Name, err))
			}
		}
		made[p.run.Name] = m
	}
	mechanisms := map[string]string{}
	if f.catalogue == "" {
		var err error
		if mechanisms, err = claims.Mechanisms(); err != nil {
			all = errors.Join(all, err)
		}
	}
	return &claimed.Findings{Catalogue: c, Made: made, Outcomes: claims.Judge(c, made), Mechanisms: mechanisms, Quick: f.quick}, all
}

func printClaimsEstimate(w io.Writer, planned []*plannedRun, budget time.Duration) {
	var sum time.Duration
	for _, p := range planned {
		switch {
		case p.plan == nil:
			fmt.Fprintf(w, "%-16s %s\n", p.run.Name, p.why)
			continue
		case p.takes > 0:
			fmt.Fprintf(w, "%-16s %-9v scenario %s, %d rounds of %d trials\n", p.run.Name, p.takes.Round(time.Second), p.plan.Scenario.Name, p.plan.Rounds, p.plan.TrialsPerRound())
		}
		for name, why := range p.leftOut {
			fmt.Fprintf(w, "%-16s without %s: %s\n", "", name, why)
		}
		for _, line := range p.warnings {
			fmt.Fprintf(w, "%-16s %s\n", "", line)
		}
		sum += p.takes
	}
	fmt.Fprintf(w, "together about %v", sum.Round(time.Second))
	if sum > budget {
		fmt.Fprintf(w, ", of which %v are given: each run has its share, and fewer rounds", budget)
	}
	fmt.Fprintln(w)
}

// firstLine of a message that lists what is known.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	for _, sep := range []string{": want one of ", ": want some of "} {
		text, _, _ = strings.Cut(text, sep)
	}
	return text
}
