package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/floor"
	"github.com/millrace/millrace/clients/reflect/raw"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/scenarios"
)

// calibrateFlags are the flags of `millrace calibrate`.
type calibrateFlags struct {
	quick, json bool
	kind        floor.Kind
}

// oneKind are the flags that ask for one kind of load instead of all.
var oneKind = []string{"protocol", "connections", "pipeline", "requests", "close", "payload"}

func calibrateCommand() *cobra.Command {
	var f calibrateFlags
	c := &cobra.Command{
		Use:   "calibrate",
		Short: "Measure what this client reaches at most on this host, so that loads can be held against it",
		Long: `Measure the floor: the maximum rate and the latencies of this client against the raw reflector, the fastest server that this
host can run in Go, with the CPUs split as in a run. The result is kept for this host, kernel and program. A trial above half of it
is SUSPECT, since part of its figures is the client's own.

Without --protocol, -c, --pipeline, --requests, --close and --payload it measures all usual shapes in about 50 s, or 15 s with
--quick; with any of them only that one. A run measures by itself what it needs and does not find.`,
		Example: `  millrace calibrate
  millrace calibrate --quick -c 50 --pipeline 4`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			one := slices.ContainsFunc(oneKind, func(name string) bool { return cmd.Flags().Changed(name) })
			return f.calibrate(cmd, one)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&f.quick, "quick", false, "measure tenths of a second")
	fl.BoolVar(&f.json, "json", false, "print all that is kept, as JSON")
	fl.StringVar(&f.kind.Engine, "engine", "epoll", "load engine: one of "+strings.Join(calibrated(), ", "))
	fl.StringVar(&f.kind.Protocol, "protocol", "http1", "http1 or frame")
	fl.IntVarP(&f.kind.Connections, "connections", "c", 1000, "connections in all")
	fl.IntVar(&f.kind.Pipeline, "pipeline", 1, "requests in flight on one connection")
	fl.IntVar(&f.kind.Requests, "requests", 0, "requests after which a connection is closed and another opened (0: never)")
	fl.StringVar(&f.kind.Close, "close", "", "who closes after --requests: "+strings.Join(closers, ", ")+" (default fin-client)")
	fl.IntVar(&f.kind.Payload, "payload", 13, "bytes of a body")
	return c
}

// closers are the ways to end a connection after its requests.
var closers = slices.DeleteFunc(slices.Clone(scenarios.ClosePolicies), func(name string) bool { return name == "none" })

// calibrated are the engines that have a floor.
func calibrated() []string {
	return slices.DeleteFunc(slices.Clone(clients.Engines), func(name string) bool { return floor.Grid(name) == nil })
}

// kinds checks the flags and returns what is to be measured.
func (f *calibrateFlags) kinds(one bool) ([]floor.Kind, error) {
	k := f.kind
	most, why := host.FitConnections(&scenarios.Scenario{Protocol: k.Protocol, Connections: scenarios.Connections{Count: k.Connections}})
	switch {
	case !slices.Contains(calibrated(), k.Engine):
		return nil, fmt.Errorf("--engine %q: want one of %s", k.Engine, strings.Join(calibrated(), ", "))
	case !one:
		return floor.Grid(k.Engine), nil
	case !slices.Contains(raw.Protocols, k.Protocol):
		return nil, fmt.Errorf("--protocol %q: want one of %s", k.Protocol, strings.Join(raw.Protocols, ", "))
	case k.Connections < 1 || k.Connections > most:
		return nil, fmt.Errorf("-c %d: want 1 to %d: %s", k.Connections, most, why)
	case k.Pipeline < 1:
		return nil, fmt.Errorf("--pipeline %d: want 1 or more", k.Pipeline)
	case k.Payload < 0 || k.Payload > wire.MaxBody-8:
		return nil, fmt.Errorf("--payload %d: want 0 to %d bytes", k.Payload, wire.MaxBody-8)
	case k.Requests < 0:
		return nil, fmt.Errorf("--requests %d: want 0 or more", k.Requests)
	case k.Close != "" && !slices.Contains(closers, k.Close):
		return nil, fmt.Errorf("--close %q: want one of %s", k.Close, strings.Join(closers, ", "))
	case k.Close != "" && k.Requests == 0:
		return nil, fmt.Errorf("--close %s without --requests: say after how many requests a connection is closed, such as --requests 1", k.Close)
	}
	if k.Requests > 0 {
		k.Connections, k.Close = floor.ShortConnections, cmp.Or(k.Close, "fin-client")
	}
	return []floor.Kind{k}, nil
}

func (f *calibrateFlags) calibrate(cmd *cobra.Command, one bool) error {
	kinds, err := f.kinds(one)
	if err != nil {
		return usage(err)
	}
	c, err := newCalibration(f.quick)
	if err != nil {
		return err
	}
	for _, k := range kinds { // before anything is started
		if _, err := c.plan(k, "127.0.0.1:1", scenarios.Arrivals{Closed: true}, c.closedFor); err != nil {
			return usage(err)
		}
	}
	defer c.close()
	if err := c.prepare(cmd.Context(), kinds); err != nil {
		return err
	}
	disturbed := 0
	for i, k := range kinds {
		c.again = c.started.Add(c.within * time.Duration(i+1) / time.Duration(len(kinds)))
		if one {
			c.again = time.Now().Add(oneAgain)
		}
		quiet, err := c.measure(cmd.Context(), k, cmd.ErrOrStderr())
		if err != nil {
			return fmt.Errorf("calibrating %v: %w", k, err)
		}
		if !quiet {
			disturbed++
			continue
		}
		if err := floor.Store(c.path, c.floor); err != nil {
			return err
		}
	}
	if disturbed > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "millrace: %d of %d not kept, since other programs or machines took over %.0f %% of the CPUs meanwhile: repeat when the host is quiet\n",
			disturbed, len(kinds), 100*maxDisturbed)
	}
	if f.json {
		out := json.NewEncoder(cmd.OutOrStdout())
		out.SetIndent("", "  ")
		if err := out.Encode(c.floor); err != nil {
			return fmt.Errorf("writing the floor: %w", err)
		}
		return nil
	}
	return printFloor(cmd.OutOrStdout(), c.floor, c.path)
}

// printFloor is the floor for people.
func printFloor(to io.Writer, f floor.Floor, path string) error {
	split := fmt.Sprintf("reflector on CPU %v, client on CPU %v", f.Server, f.Client)
	if f.Shared {
		split = fmt.Sprintf("reflector and client share CPU %v", f.Client)
	}
	fmt.Fprintf(to, "The client's floor on this host: %s\n\n", split)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "engine\tprotocol\tconnections\tpipeline\tmaximum\tclient busy\tat\tp50\tp99\tlag p99\t")
	for _, s := range f.Shapes {
		connections := strconv.Itoa(s.Connections)
		if s.Requests > 0 {
			connections = quantity.Count(s.Requests, "request") + " each, " + s.Close
		}
		mark := ""
		if s.Disturbed {
			mark = " disturbed"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Engine, s.Protocol, connections, s.Pipeline,
			quantity.Format(s.MaxRPS, quantity.PerSecond), quantity.Share(s.ClientBusy), rateOrNone(s.OpenRPS),
			timeOf(s.P50Ns), timeOf(s.P99Ns), timeOf(s.LagP99Ns), mark)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	if _, err := fmt.Fprintf(to, "\nkept for this host, kernel and program, but for what was disturbed, in %s\n", path); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// rateOrNone is a rate for people, where one was offered.
func rateOrNone(rps float64) string {
	if rps == 0 {
		return "–"
	}
	return quantity.Format(rps, quantity.PerSecond)
}

// timeOf is a latency for people, where there is one.
func timeOf(ns *int64) string {
	if ns == nil {
		return "–"
	}
	return quantity.Format(float64(*ns), quantity.Time)
}
