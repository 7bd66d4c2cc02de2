package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/millrace/millrace/clients/capacity"
	"github.com/millrace/millrace/internal/quantity"
)

// trialTable prints a line for each trial as it ends: of a sweep with all that makes the curve, of a search with the figures of
// its objective only. The rest is in the JSON.
type trialTable struct {
	w       io.Writer
	figures []string // of the objective: p50, p90, p95, p99, p99.9, ok; none in a sweep
	n       int
}

// newTrialTable is the table of a search for an objective, or of a sweep, which has none.
func newTrialTable(w io.Writer, o capacity.Objective) *trialTable {
	t := &trialTable{w: w}
	if text := o.String(); text != "" {
		for term := range strings.SplitSeq(text, ",") {
			t.figures = append(t.figures, term[:strings.IndexAny(term, "<>")])
		}
	}
	return t
}

func (t *trialTable) head(rec *capacity.Record) {
	fmt.Fprintf(t.w, "%s  %s engine, %s, %s arrivals\n\n", rec.URL, rec.Engine, quantity.Count(rec.Connections, "connection"), rec.Arrival)
	if len(t.figures) == 0 {
		fmt.Fprintf(t.w, "%5s  %10s %8s %10s %9s %9s %9s %8s  verdict\n", "trial", "rate", "length", "achieved", "p50", "p99", "p99.9", "ok")
		return
	}
	fmt.Fprintf(t.w, "%5s  %10s", "trial", "rate")
	for _, name := range t.figures {
		fmt.Fprintf(t.w, " %9s", name)
	}
	fmt.Fprintf(t.w, "  %-8s  state\n", "verdict")
}

func (t *trialTable) row(tr *capacity.Trial) {
	t.n++
	rate, r := "closed", tr.ResponseNs
	if tr.OfferedRPS != nil {
		rate = quantity.Format(*tr.OfferedRPS, quantity.PerSecond)
	} else {
		r.P50, r.P90, r.P95, r.P99, r.P999 = nil, nil, nil, nil, nil // connections ÷ throughput, which is no news
	}
	text := map[string]string{
		"p50": quantityOf(r.P50), "p90": quantityOf(r.P90), "p95": quantityOf(r.P95), "p99": quantityOf(r.P99), "p99.9": quantityOf(r.P999),
		"ok": quantity.Share(float64(tr.OK) / float64(max(tr.Planned, 1))),
	}
	line := fmt.Sprintf("%5d  %10s", t.n, rate)
	for _, name := range t.figures {
		line += fmt.Sprintf(" %9s", text[name])
	}
	if len(t.figures) == 0 {
		line += fmt.Sprintf(" %8s %10s %9s %9s %9s %8s", quantity.Format(tr.Seconds*1e9, quantity.Time), quantity.Format(tr.AchievedRPS, quantity.PerSecond),
			text["p50"], text["p99"], text["p99.9"], text["ok"])
	}
	fmt.Fprintln(t.w, strings.TrimRight(fmt.Sprintf("%s  %-8s  %s", line, tr.Verdict, t.state(tr)), " "))
}

// state says what a trial means to a search or to a sweep.
func (t *trialTable) state(tr *capacity.Trial) string {
	switch {
	case tr.Met != nil && *tr.Met:
		return "met"
	case tr.Met != nil:
		return "missed"
	case tr.Why != "":
		reason, _, _ := strings.Cut(tr.Why, ": ")
		return "does not count: " + reason
	case tr.OfferedRPS == nil && len(t.figures) > 0:
		return "capacity " + quantity.Format(tr.AchievedRPS, quantity.PerSecond)
	}
	return ""
}
