package main

import (
	"fmt"
	"io"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
)

// printVerdict tells how far a load can be trusted: the verdict, a line for every reason, and what could not be checked here
// and does not count.
func printVerdict(w io.Writer, r *clients.Report) {
	var waited int64
	for _, p := range r.Phases {
		waited += p.Waited
	}
	if waited > 0 && r.Loop == "open" {
		fmt.Fprintf(w, "waited     %d of %s for a free connection, as part of the response time\n", waited, quantity.Count(r.Planned, "request"))
	}
	fmt.Fprintf(w, "verdict    %s\n", r.Verdict)
	for _, reason := range r.Reasons {
		fmt.Fprintf(w, "           %s\n", reason)
	}
	label := "unchecked"
	for _, c := range r.Checks {
		if c.State == validity.NotApplicable && c.Reason != "" {
			fmt.Fprintf(w, "%-10s %s: %s\n", label, c.Name, c.Reason)
			label = ""
		}
	}
}
