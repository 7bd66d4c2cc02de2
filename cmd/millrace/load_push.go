package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/scenarios"
)

// requestFlags are the flags of `millrace load` that say what to send. A subscriber sends nothing.
var requestFlags = []string{
	"rate", "trace", "arrival", "pipeline", "requests", "close", "method", "header", "body", "congestion", "find", "sweep", "logs",
	"idle", "active", "trickle",
}

// isPush reports whether a URL is one to subscribe at.
func isPush(url string) bool { return strings.HasPrefix(url, scenarios.Push+"://") }

// checkPush refuses flags that make no sense with a URL of push.
func checkPush(url, engine string, set func(string) bool) error {
	if !isPush(url) {
		return nil
	}
	for _, name := range requestFlags {
		if set(name) {
			return fmt.Errorf("--%s with %s: the server sends on its own: want -c, -d, --connect-rate, --timeout, --source, --unix-socket and --json only", name, url)
		}
	}
	if engine != clients.Engines[0] {
		return fmt.Errorf("--engine %s with %s: want --engine %s", engine, url, clients.Engines[0])
	}
	return nil
}

// protocolOf is the protocol that a URL is of.
func protocolOf(url string) string {
	scheme, _, _ := strings.Cut(url, "://")
	if slices.Contains(scenarios.Protocols, scheme) {
		return scheme
	}
	return "http1"
}

// printPush is the report of a load of protocol push for people.
func printPush(w io.Writer, r *clients.Report) {
	p := r.Push
	fmt.Fprintf(w, "%s  %.3g s, %s", where(r), r.DurationSeconds, quantity.Count(p.Subscribers, "subscriber"))
	if n := p.Subscriptions - p.Subscribers; n > 0 {
		fmt.Fprintf(w, ", %s in all", quantity.Count(p.Subscriptions, "subscription"))
	}
	fmt.Fprintf(w, "\n\nrate       %s received\n", quantity.Format(p.ReceivedRPS, quantity.PerSecond))
	fmt.Fprintf(w, "frames     %d expected by their numbers: %d received, %d missing; %d duplicated, %d out of order, %d bad payload", p.Expected, p.Received, p.Missing, p.Duplicated, p.Reordered, p.Bad)
	if p.Stale > 0 {
		fmt.Fprintf(w, ", %d stale", p.Stale)
	}
	fmt.Fprintln(w)
	if p.Before > 0 {
		fmt.Fprintf(w, "           %d of the received came while others were still connecting\n", p.Before)
	}
	if p.Silent > 0 || p.BehindMax > 1 {
		fmt.Fprintf(w, "end        %s had received nothing; the one furthest behind lacked %s\n", quantity.Count(p.Silent, "subscriber"), quantity.Count(p.BehindMax, "frame"))
	}
	if s := p.Slow; s != nil {
		fmt.Fprintf(w, "slow       %s: %d frames received, %d missing; all else is of the others\n", quantity.Count(s.Subscribers, "subscriber"), s.Received, s.Missing)
	}
	if len(p.Lost) > 0 {
		var lost []string
		for o := clients.OK; o <= clients.InFlight; o++ {
			if n := p.Lost[o.String()]; n > 0 {
				lost = append(lost, fmt.Sprintf("%d %v", n, o))
			}
		}
		fmt.Fprintf(w, "lost       connections: %s; all subscribed again; %s came while nobody was there for them\n", strings.Join(lost, ", "), quantity.Count(p.Away, "frame"))
	}
	fmt.Fprintf(w, "\n%-11s %9s %9s %9s %9s %9s %9s\n", "", "p50", "p90", "p95", "p99", "p99.9", "max")
	rows := []summaryRow{{"connect", r.ConnectNs}}
	if p.DeliveryNs != nil {
		rows = slices.Insert(rows, 0, summaryRow{"delivery", *p.DeliveryNs})
	}
	printSummaries(w, rows)
	if p.DeliveryNs != nil {
		fmt.Fprintln(w, "delivery: from the sender's clock in a frame to its arrival")
	}
	if p.Refused != "" {
		fmt.Fprintf(w, "delivery   not measured: %s\n", p.Refused)
	}
	if s := p.Spread; s != nil {
		fmt.Fprintf(w, "subscriber mean delivery: best %s, median %s, worst %s\n", quantityOf(&s.Best), quantityOf(&s.Median), quantityOf(&s.Worst))
	}
	printEnd(w, r)
}

// summaryRow is a line of the table of latencies.
type summaryRow struct {
	name string
	s    hist.Summary
}

func printSummaries(w io.Writer, rows []summaryRow) {
	for _, row := range rows {
		fmt.Fprintf(w, "%-11s", row.name)
		for _, v := range []*int64{row.s.P50, row.s.P90, row.s.P95, row.s.P99, row.s.P999, row.s.Max} {
			fmt.Fprintf(w, " %9s", quantityOf(v))
		}
		fmt.Fprintln(w)
	}
}

// printEnd is what ends every report for people.
func printEnd(w io.Writer, r *clients.Report) {
	fmt.Fprintln(w)
	printTLS(w, r.TLS)
	printAgents(w, r)
	if r.Interrupted {
		fmt.Fprintln(w, "interrupted: the figures are of what was measured until then")
	}
	spinning := ""
	if r.Spin {
		spinning = ", spinning included"
	}
	fmt.Fprintf(w, "process    %.2f s CPU%s, %s peak RSS\n", r.ClientCPUSeconds, spinning, quantity.Format(float64(r.ClientPeakRSSBytes), quantity.Bytes))
	printVerdict(w, r)
}
