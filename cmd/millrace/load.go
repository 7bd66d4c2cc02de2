package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
	"github.com/spf13/cobra"
)

// loadFlags are the flags of `millrace load`.
type loadFlags struct {
	connections, pipeline, requests    int
	duration, timeout                  time.Duration
	rate, connectRate, arrival, engine string
	json, logs, close                  string
	congestion, trace                  string
	durationSet                        bool // -d was given
	seed                               uint64
	spin                               string
	target                             targetFlags
	tls                                tlsFlags
	capacity                           capacityFlags
	processes                          processFlags
	idle                               idleFlags
	peer                               string // what it speaks, where it is not what was asked for
}

func loadCommand() *cobra.Command {
	var f loadFlags
	c := &cobra.Command{
		Use:   "load URL...",
		Short: "Load any server, like wrk, and say how far the figures can be trusted",
		Long: `Load a server at http://host:port/path, https://host:port/path, ws://host:port/path or frame://host:port, or subscribe to what
one pushes at push://host:port/channel. With --rate the loop is open: requests are due at their times whether or not earlier ones are
answered, and latency counts from then. Without, every connection sends its next request when the last one is answered (closed
loop).

Several URLs, or the requests of --targets, are sent in turn. Where they name several hosts and ports, each of these has an
equal share of the connections, and a connection carries what is meant for its own. In paths, headers and bodies {n} stands
for the number of the request, and {{n}} for the characters {n}.

With --active 1% the other connections are idle, with --idle all are; --trickle 30s lets each of these send a request every 30 s.

At ws:// each request is a message that the server echoes. At push:// each connection subscribes and receives what the server
sends on its own. Frames are counted by their numbers, and their delivery is timed from the sender's clock where client and server are on one host.

With --find trials search the highest rate that meets an objective: a closed loop estimates the capacity, short trials come
near the edge, and trials of -d decide it. With --sweep a trial at each rate gives the load–latency curve and its knee. The
JSON of both is a record of all trials (docs/capacity.schema.json).

Where one process may not open enough files for -c, several make the load, and figures and checks are of all of them together
(--processes).

The time of -d starts when all connections are open.

Exit status: 0 the figures are VALID or SUSPECT, 1 failed, such as nobody listening or a name that does not
resolve, 2 usage, 4 the figures are INVALID, 130 interrupted and 143 terminated (what was measured is told). With --find and --sweep it is 0 where a trial at some rate is VALID
or SUSPECT, even if no rate met the objective, 4 where none is, and 1 also where the trials can't decide the objective.`,
		Example: `  millrace load http://127.0.0.1:8080/ -c 1000 -d 10s
  millrace load http://127.0.0.1:8080/ -c 1000 -d 10s --rate 20000 --arrival poisson --json -
  millrace load http://127.0.0.1:8080/ -c 1000 --rate 1k:50k/60s
  millrace load http://127.0.0.1:8080/ -c 1000 -d 30s --rate 10k,20k,40k
  millrace load http://127.0.0.1:8080/ -c 1000 --find 'p99<5ms,ok>99.9%' --arrival poisson
  millrace load http://127.0.0.1:8080/ -c 1000 --sweep auto --plot curve.svg
  millrace load frame://127.0.0.1:9000 -c 100 -d 5s --pipeline 16
  millrace load http://127.0.0.1:8080/items/{n} --method PUT --body '{"id":{n}}'
  millrace load http://127.0.0.1:8080/ -c 10000 -d 60s --idle --trickle 30s
  millrace load push://127.0.0.1:9000/news -c 1000 -d 5s
  millrace load http://localhost/ --unix-socket /run/server.sock`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return unresolved(f.reword(doLoad(cmd, args, f))) },
	}
	fl := c.Flags()
	fl.IntVarP(&f.connections, "connections", "c", 100, "connections in all")
	fl.DurationVarP(&f.duration, "duration", "d", 10*time.Second, "length of the load once all connections are open")
	fl.StringVar(&f.rate, "rate", "", "requests a second in all: a rate such as 20k, steps such as 10k,20k,40k, or a ramp such as 1k:50k; each may end in /DURATION (default: closed loop)")
	fl.StringVar(&f.trace, "trace", "", "file of the times at which requests are due, one a line, in seconds or with a unit")
	fl.StringVar(&f.arrival, "arrival", "constant", "distances between arrivals: constant or poisson")
	fl.StringVar(&f.engine, "engine", "epoll", "load engine: epoll, uring (io_uring; epoll where the kernel has none) or vegeta; tls for https://, which has no other")
	fl.StringVar(&f.json, "json", "", "write the report as JSON to a file at the end, or - for standard output")
	fl.StringVar(&f.logs, "logs", "", "write HdrHistogram logs into this directory")
	fl.IntVar(&f.pipeline, "pipeline", 1, "requests in flight on one connection")
	fl.IntVar(&f.requests, "requests", 0, "requests after which a connection is closed and another opened (0: never)")
	fl.StringVar(&f.close, "close", "", "who closes after --requests: fin-client, fin-server or rst (default fin-client)")
	fl.StringVar(&f.connectRate, "connect-rate", "", "connections opened a second (default: as fast as they come)")
	fl.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long a sent request may stay unanswered")
	fl.StringVar(&f.congestion, "congestion", "", "congestion control of the client's sockets; host keeps the host's default (default: cubic where allowed)")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the arrivals")
	fl.StringVar(&f.spin, "spin", "auto", "spin, and don't sleep, while replies are to come or a request is due soon: auto (an open loop, where it leaves CPUs to others), true or false")
	fl.Lookup("spin").NoOptDefVal = "true"
	f.target.register(fl)
	f.tls.register(fl)
	f.capacity.register(fl)
	f.processes.register(fl)
	f.idle.register(fl)
	return c
}

func doLoad(cmd *cobra.Command, urls []string, f loadFlags) error {
	f.durationSet = cmd.Flags().Changed("duration")
	if err := notEmpty(cmd.Flags()); err != nil {
		return usage(err)
	}
	requests, err := f.target.requests(urls, cmd.Flags().Changed)
	if err != nil {
		return usage(err)
	}
	url := requests[0].URL
	if f.engine, err = engineFor(url, f.engine, cmd.Flags().Changed("engine")); err != nil {
		return usage(err)
	}
	if err := errors.Join(checkPush(url, f.engine, cmd.Flags().Changed), f.idle.check(f.engine, cmd.Flags().Changed)); err != nil {
		return usage(err)
	}
	if err := f.capacity.prepare(&f, cmd.Flags().Changed); err != nil {
		return usage(err)
	}
	plan, err := f.plan(requests)
	if err != nil {
		return usage(err)
	}
	if plan.TLS, err = f.tls.plan(url); err != nil {
		return usage(err)
	}
	processes, err := f.processes.prepare(plan, f.capacity.asked())
	if err != nil {
		return usage(err)
	}
	if err := f.applySpin(plan, processes); err != nil {
		return usage(err)
	}
	var file *output
	if f.json != "" && f.json != "-" {
		if file, err = newOutput("json", f.json); err != nil {
			return usage(err)
		}
	}
	if processes == 1 {
		tuneForLoad()
		if plan.TLS != nil {
			tuneForTLS(f.connections)
		}
	}
	if f.capacity.asked() {
		return f.capacity.run(cmd, plan, &f, file)
	}
	report, err := loadOnce(cmd, plan, processes)
	if report == nil {
		return err
	}
	holdAgainstFloor(plan, report)
	f.rewordReport(report)
	if f.json != "-" {
		f.peer = peerHint(cmd.Context(), plan, report)
	}
	// What was measured is told even where its logs could not be written.
	if err := errors.Join(err, f.write(cmd.OutOrStdout(), file, report)); err != nil {
		return err
	}
	if report.Verdict == validity.Invalid {
		return &statusError{exitInvalid, fmt.Errorf("the figures are INVALID: %s", strings.Join(failed(report.Checks), ", "))}
	}
	return nil
}

// loadOnce makes the load of a plan. Without a report there is an error.
func loadOnce(cmd *cobra.Command, plan *clients.Plan, processes int) (*clients.Report, error) {
	if processes > 1 {
		return loadWithCrew(cmd, plan, processes)
	}
	engine, err := newEngine(plan)
	if err != nil {
		return nil, usage(err)
	}
	return engine.Run(cmd.Context(), procfs.Monotonic())
}

// plan turns the flags into a plan of one phase.
func (f *loadFlags) plan(requests []clients.Request) (*clients.Plan, error) {
	if err := knownEngine(f.engine); err != nil {
		return nil, err
	}
	switch {
	case f.pipeline < 1:
		return nil, fmt.Errorf("--pipeline %d: want 1 or more", f.pipeline)
	case f.timeout <= 0:
		return nil, fmt.Errorf("timeout %v: want more than 0", f.timeout)
	}
	s, err := f.scenario(requests[0].URL)
	if err != nil {
		return nil, err
	}
	plan := &clients.Plan{
		Scenario: *s, Engine: f.engine, Seed: f.seed, Agents: 1, Congestion: f.congestion, StartWhenOpen: true,
		LogDir: f.logs,
	}
	if err := f.target.apply(plan, requests); err != nil {
		return nil, err
	}
	if f.logs != "" {
		if err := os.MkdirAll(f.logs, 0o755); err != nil {
			return nil, fmt.Errorf("making --logs: %w", err)
		}
	}
	return plan, nil
}

func (f *loadFlags) scenario(url string) (*scenarios.Scenario, error) {
	protocol := protocolOf(url)
	phases, err := f.phases(protocol == scenarios.Push || f.idle.hold)
	if err != nil {
		return nil, err
	}
	var connectRate scenarios.Rate
	if f.connectRate != "" {
		if connectRate, err = scenarios.ParseRate(f.connectRate); err != nil {
			return nil, fmt.Errorf("--connect-rate: %w", err)
		}
	}
	if f.requests > 0 && f.close == "" {
		f.close = "fin-client"
	}
	s := &scenarios.Scenario{
		Name: "load", Why: "A load asked for on the command line.", Protocol: protocol,
		Connections: scenarios.Connections{Count: f.connections, Rate: connectRate, Pipeline: f.pipeline, Requests: f.requests, Close: f.close},
		Timeout:     scenarios.Duration(f.timeout),
		Phases:      phases,
	}
	if err := f.idle.apply(s); err != nil {
		return nil, err
	}
	return s.Resolve()
}

// write prints the report for people, unless its JSON goes to the same place, and writes the JSON if asked for.
func (f *loadFlags) write(stdout io.Writer, file *output, r *clients.Report) error {
	switch {
	case f.json == "-":
	case r.Push != nil:
		printPush(stdout, r)
	default:
		printLoad(stdout, r)
		if f.peer != "" {
			fmt.Fprintf(stdout, "peer       %s\n", f.peer)
		}
	}
	return f.writeJSON(stdout, file, r)
}

// writeJSON writes a report or a record as JSON where it was asked for.
func (f *loadFlags) writeJSON(stdout io.Writer, file *output, v any) error {
	encode := func(w io.Writer) error {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		if err := out.Encode(v); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
		return nil
	}
	switch {
	case f.json == "":
		return nil
	case file == nil:
		return encode(stdout)
	}
	return file.fill(encode)
}

// printLoad is the report for people.
func printLoad(w io.Writer, r *clients.Report) {
	offered := "closed loop"
	if r.OfferedRPS != nil {
		offered = quantity.Format(*r.OfferedRPS, quantity.PerSecond) + " offered"
	}
	fmt.Fprintf(w, "%s  %s engine, %.3g s, %s opened\n", where(r), r.Engine, r.DurationSeconds, quantity.Count(r.ConnectionsOpened, "connection"))
	if r.ConnectionsRenewed > 0 {
		fmt.Fprintf(w, "%s renewed\n", quantity.Count(r.ConnectionsRenewed, "connection"))
	}
	if r.EngineNote != "" {
		fmt.Fprintf(w, "note: %s\n", r.EngineNote)
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "rate       %s, %s achieved\n", offered, quantity.Format(r.AchievedRPS, quantity.PerSecond))
	printTransfer(w, r)
	fmt.Fprintf(w, "requests   %d planned", r.Planned)
	for o := clients.OK; o <= clients.InFlight; o++ {
		if n := r.Outcomes[o.String()]; n > 0 {
			fmt.Fprintf(w, ", %d %v", n, o)
		}
		if o == clients.HTTPError {
			printStatuses(w, r.HTTPStatus)
		}
	}
	fmt.Fprintf(w, "\n\n%-11s %9s %9s %9s %9s %9s %9s\n", "", "p50", "p90", "p95", "p99", "p99.9", "max")
	rows := []summaryRow{{"response", r.ResponseNs}, {"service", r.ServiceNs}, {"connect", r.ConnectNs}, {"lag", r.LagNs}}
	if r.Work != nil && r.Bystander != nil {
		rows = append(rows, summaryRow{"work", r.Work.ResponseNs}, summaryRow{"bystander", r.Bystander.ResponseNs})
	}
	if p := r.Split; p != nil { // by the kernel's time stamps
		rows = append(rows, summaryRow{"client", p.ClientNs}, summaryRow{"wire+server", p.WireServerNs})
	}
	printSummaries(w, rows)
	printWords(w, r)
	printPhases(w, r)
	printIdle(w, r)
	printEnd(w, r)
}

// printTransfer tells how many whole replies came a second, whatever their status, and the bytes of the bodies both ways.
func printTransfer(w io.Writer, r *clients.Report) {
	if r.Planned == 0 || r.DurationSeconds <= 0 {
		return
	}
	perSecond := func(n int64, u quantity.Unit) string { return quantity.Format(float64(n)/r.DurationSeconds, u) }
	replies := r.Outcomes[clients.OK.String()] + r.Outcomes[clients.HTTPError.String()] + r.Outcomes[clients.BadPayload.String()]
	fmt.Fprintf(w, "answered   %s, with bodies of %s/s in, %s/s out\n", perSecond(replies, quantity.PerSecond),
		perSecond(r.BodyBytesIn, quantity.Bytes), perSecond(r.BodyBytesOut, quantity.Bytes))
}

// failed names the checks that make a load INVALID.
func failed(all []validity.Check) []string {
	var names []string
	for _, c := range all {
		if c.State == validity.Fail {
			names = append(names, c.Name)
		}
	}
	return names
}

// printStatuses tells which statuses other than 2xx came, in order.
func printStatuses(w io.Writer, counts map[int]int64) {
	sep := " ("
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%s%d × %d", sep, counts[status], status)
		sep = ", "
	}
	if len(counts) > 0 {
		fmt.Fprint(w, ")")
	}
}
