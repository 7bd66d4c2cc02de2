package runner

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/results"
)

// Twin turns the plan of a run of one variant into one that compares it with itself: NAME:A and NAME:B, both fresh processes of
// the same program. Each request of B costs inject more CPU time; injected is the share of its own that this was meant to be.
func Twin(run *results.Run, inject time.Duration, injected float64) error {
	if len(run.Variants) != 1 {
		return &UsageError{fmt.Errorf("%d servers: want one, which is compared with itself", len(run.Variants))}
	}
	a, b := run.Variants[0], run.Variants[0]
	a.Name, b.Name = a.Name+":A", b.Name+":B"
	b.Args = append([]string(nil), b.Args...)
	if inject > 0 {
		b.Args = append(b.Args, "--inject", inject.String())
	}
	run.Variants = []results.Variant{a, b}
	run.Purpose, run.Injected, run.Reference = results.PurposeAA, injected, a.Name
	run.Order = Order(run.Variants, run.Rounds, run.Seed)
	return nil
}
