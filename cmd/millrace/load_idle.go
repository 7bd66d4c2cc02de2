package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/scenarios"
)

// idleFlags are the flags of `millrace load` about connections that take no requests.
type idleFlags struct {
	hold    bool
	active  string
	trickle time.Duration
}

func (f *idleFlags) register(fl *pflag.FlagSet) {
	fl.BoolVar(&f.hold, "idle", false, "hold the connections open and send nothing, --trickle apart")
	fl.StringVar(&f.active, "active", "100%", "share of the connections that take the requests; the others are idle")
	fl.DurationVar(&f.trickle, "trickle", 0, "let each idle connection send a request so often, such as 30s, evenly staggered (0: never)")
}

// apply puts what is asked for into a scenario.
func (f *idleFlags) apply(s *scenarios.Scenario) error {
	var active scenarios.Percent
	if err := active.UnmarshalText([]byte(f.active)); err != nil || active == 0 {
		return fmt.Errorf("--active %q: want a share of the connections above 0%% up to 100%%, such as 1%%", f.active)
	}
	switch {
	case f.trickle < 0:
		return fmt.Errorf("--trickle %v: want 0 (never), or 10ms to 24h", f.trickle)
	case s.Connections.Requests > 0 && (f.hold || active < 100 || f.trickle > 0):
		return fmt.Errorf("--idle, --active and --trickle with --requests %d: only connections that are kept can be idle", s.Connections.Requests)
	case f.hold && active < 100:
		return fmt.Errorf("--idle with --active %v: with --idle all connections are: want one of them", active)
	case f.trickle > 0 && !f.hold && active == 100:
		return fmt.Errorf("--trickle %v: all connections take requests, so none is idle: want --idle, or --active below 100%%", f.trickle)
	}
	s.Connections.Trickle = scenarios.Duration(f.trickle)
	for i := range s.Phases {
		s.Phases[i].Active = active
	}
	return nil
}

// check refuses what makes requests beside --idle, and engines that hold nothing.
func (f *idleFlags) check(engine string, set func(string) bool) error {
	for _, name := range []string{"rate", "trace", "arrival", "find", "sweep", "pipeline"} {
		if f.hold && set(name) {
			return fmt.Errorf("--idle with --%s: idle connections send nothing: want one of them, or --active for the share that takes the requests", name)
		}
	}
	if engine == "vegeta" && (f.hold || set("active") || f.trickle != 0) {
		return fmt.Errorf("--idle, --active and --trickle with --engine vegeta: it opens connections for requests only: want --engine epoll or uring")
	}
	return nil
}

// printIdle tells of the connections at the end, and of the trickle, where either says something.
func printIdle(w io.Writer, r *clients.Report) {
	if r.Planned == 0 || r.ConnectionsLost > 0 || r.Trickled > 0 {
		fmt.Fprintf(w, "held       %s open at the end, %d lost\n", quantity.Count(r.ConnectionsOpen, "connection"), r.ConnectionsLost)
	}
	if r.Trickled > 0 {
		fmt.Fprintf(w, "trickle    %d of the requests, on connections that are idle otherwise: p50 %s, p99 %s, max %s\n",
			r.Trickled, quantityOf(r.TrickleNs.P50), quantityOf(r.TrickleNs.P99), quantityOf(r.TrickleNs.Max))
	}
}
