package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/runner/host"
)

// fairness is the models beside the servers of their frameworks' own documents, bin/examples.
type fairness struct {
	flags
	bin string
	log io.Writer
}

// example is a model that has a server of its framework's own documents beside it.
type example struct {
	model, protocol, source string
	// why says where a difference comes from, once its mechanism is known; empty where none is.
	why string
}

var examples = []example{
	{"goroutine", "frame", "package net, ExampleListener", ""},
	{"gnet", "frame", "gnet's documentation, a simple echo server", ""},
	{"netpoll", "frame", "netpoll's guide, echo", ""},
	{"nbio", "frame", "nbio's README, echo", ""},
	{"evio", "frame", "evio's examples/echo-server", ""},
	{"fasthttp", "http1", "fasthttp's README", ""},
	{"nethttp", "http1", "package net/http, ExampleListenAndServe", ""},
	{"echo", "http1", "echo's README without its log", ""},
	{"gin", "http1", "gin's README without its log", ""},
}

const (
	// fairWithin is how much more CPU time a request of a model may take than one of the example.
	fairWithin = 0.05
	fairPairs  = 8
)

// fairLoad is what both get: what one core can hold without being busy most of the time.
var fairLoad = load{connections: 64, length: 3 * time.Second, rate: 20_000}

func fairnessCommand() *cobra.Command {
	var f fairness
	var names []string
	for _, e := range examples {
		names = append(names, e.model)
	}
	c := &cobra.Command{
		Use:   "fairness",
		Short: "Measure the models beside the example servers of their frameworks, and print the table",
		Long: `Measure each model's default beside the server that its framework's own documents begin with, under the same load, in
alternating runs with a fresh process each. A model may be dearer by 5 %; more is printed as missed, and is no error.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(names); err != nil {
				return err
			}
			f.log = cmd.ErrOrStderr()
			return f.measure(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f.add(c, fairPairs, "docs/FAIRNESS.md", names)
	return c
}

func (f *fairness) measure(ctx context.Context, w io.Writer) error {
	var err error
	if f.bin, err = binDir(); err != nil {
		return err
	}
	if err := host.PinSelf([]int{serverCPU}); err != nil {
		return fmt.Errorf("pinning this program to CPU %d: %w", serverCPU, err)
	}
	watch := watchOthers()
	var rows [][]string
	for _, e := range examples {
		if f.only != "" && f.only != e.model {
			continue
		}
		row, err := f.row(ctx, e)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", e.model, err)
		}
		rows = append(rows, row)
	}
	command := "ruler fairness"
	if f.quick {
		command += " --quick"
	}
	text := fmt.Sprintf("%s\n\nCommand: `%s` (%s). %d requests a second over %d connections for %v each. Median (smallest–largest).\n\n%s",
		origin(ctx, &f.flags, watch.begun, &watch), command, time.Since(watch.begun).Round(time.Second), int(fairLoad.rate), fairLoad.connections, fairLoad.length,
		table([]string{"model", "beside", "protocol", "CPU time a request", "of the example", "model ÷ example", "p50 ÷ p50", "at most 1.05", "why"}, rows))
	fmt.Fprint(w, text)
	if f.writes() {
		return writeDocument(f.doc, "fairness", text)
	}
	return nil
}

// row runs a model and its example in turn.
func (f *fairness) row(ctx context.Context, e example) ([]string, error) {
	start := []func() (*server, error){
		func() (*server, error) {
			return startModel(ctx, filepath.Join(f.bin, "servers", e.model), e)
		},
		func() (*server, error) { return startExample(ctx, filepath.Join(f.bin, "examples", e.model), e) },
	}
	tool := millrace(f.bin, "epoll", "epoll")
	var got [2][]sample
	err := alternate(f.pairs, len(start), f.seed, func(pair, arm int) error {
		s, err := start[arm]()
		if err != nil {
			return err
		}
		defer s.stop()
		one, err := tool.run(ctx, s, fairLoad)
		if err != nil {
			return err
		}
		fmt.Fprintf(f.log, "%s %d/%d  %-12s %s of server CPU a request%s\n", e.model, pair+1, f.pairs, []string{"model", "example"}[arm], asTime(perRequest(&one)), one.verdict())
		got[arm] = append(got[arm], one)
		return nil
	})
	if err != nil {
		return nil, err
	}
	cpu := [2][]float64{each(got[0], perRequest), each(got[1], perRequest)}
	dearer := spreadOf(ratios(cpu[0], cpu[1]))
	response := func(s *sample) float64 { return orNaN(s.report.ResponseNs.P50) }
	why := e.why
	if dearer.Median <= 1+fairWithin && math.Abs(dearer.Median-1) <= fairWithin {
		why = "–"
	}
	return []string{
		e.model, e.source, e.protocol, spreadOf(cpu[0]).show(asTime), spreadOf(cpu[1]).show(asTime), dearer.show(asRatio),
		spreadOf(ratios(each(got[0], response), each(got[1], response))).show(asRatio), judge(dearer.Median <= 1+fairWithin), why,
	}, nil
}

// perRequest is the server's CPU time in ns for a request, what it takes to open the connections among it.
func perRequest(s *sample) float64 { return float64(s.serverCPU) / float64(s.requests) }

// startModel starts the default of one of this project's models.
func startModel(ctx context.Context, program string, e example) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s, err := startReady(ctx, e.model, program, "serve", "--listen", "127.0.0.1:"+strconv.Itoa(port), "--protocol", e.protocol)
	if err != nil {
		return nil, err
	}
	s.scheme = e.protocol
	return s, nil
}

// startExample starts an example, which takes an address and says nothing.
func startExample(ctx context.Context, program string, e example) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	s := &server{name: e.model + "'s example", port: port, hosts: []string{"127.0.0.1"}, scheme: e.protocol, cmd: cmd}
	if err := start(cmd, serverCPU); err != nil {
		return nil, err
	}
	if err := s.listening(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("starting %s: %w", s.name, err)
	}
	return s, nil
}
