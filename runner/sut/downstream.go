package sut

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// DownstreamPlan is how bin/downstream is started beside a server.
type DownstreamPlan struct {
	Protocol string `json:"protocol"`
	Latency  string `json:"latency"`
	Seed     uint64 `json:"seed"`
	// Windows are when it behaves otherwise; times in ns after T0.
	Windows []DownstreamWindow `json:"windows,omitempty"`
	// CPUs that it runs on.
	CPUs []int `json:"cpus,omitempty"`
}

// DownstreamWindow is a span of time and the behaviour in it, as scenarios.Window has it.
type DownstreamWindow struct {
	FromNs  int64  `json:"from_ns"`
	ToNs    int64  `json:"to_ns"`
	Latency string `json:"latency"`
}

// PlanDownstream is the downstream of a resolved scenario; nil where its work calls none.
func PlanDownstream(s *scenarios.Scenario, seed uint64, cpus []int) *DownstreamPlan {
	if !s.Work.Calls() {
		return nil
	}
	p := &DownstreamPlan{Protocol: s.Downstream.Protocol, Latency: s.Downstream.Latency, Seed: seed, CPUs: cpus}
	spans := s.Spans()
	for i, w := range s.Downstream.Windows {
		p.Windows = append(p.Windows, DownstreamWindow{FromNs: spans[i][0], ToNs: spans[i][1], Latency: w.Latency})
	}
	return p
}

// args are those of the program.
func (p *DownstreamPlan) args() []string {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--protocol", p.Protocol, "--latency", p.Latency, "--seed", strconv.FormatUint(p.Seed, 10)}
	for _, w := range p.Windows {
		args = append(args, "--window", fmt.Sprintf("%v,%v,%s", time.Duration(w.FromNs), time.Duration(w.ToNs), w.Latency))
	}
	return args
}

// downstream is the program at work beside a server. A nil one is none.
type downstream struct {
	plan    DownstreamPlan
	process *Process
}

// startDownstream starts the program, which lies beside the directory of the server programs, and returns nil without a plan.
func startDownstream(ctx context.Context, servers string, plan *DownstreamPlan, log string) (*downstream, error) {
	if plan == nil {
		return nil, nil
	}
	p, err := StartProcess(ctx, Command{
		Name: "downstream", Path: filepath.Join(filepath.Dir(filepath.Clean(servers)), "downstream"), Args: plan.args(), CPUs: plan.CPUs, LogPath: log,
	})
	if err != nil {
		return nil, err
	}
	return &downstream{plan: *plan, process: p}, nil
}

// work is a server's --work with the address put in.
func (d *downstream) work(kind string) string {
	switch {
	case d == nil:
		return kind
	case kind == scenarios.WorkUpload:
		return kind + "=http://" + d.process.Addr() + "/bucket"
	}
	return kind + "=" + d.plan.Protocol + "://" + d.process.Addr()
}

// pids are those of the program, which the host is not to be blamed for.
func (d *downstream) pids() []int {
	if d == nil {
		return nil
	}
	return []int{d.process.PID()}
}

// done is closed when the program has ended; it is nil, and never ready, without one.
func (d *downstream) done() <-chan struct{} {
	if d == nil {
		return nil
	}
	return d.process.Done()
}

// failure is the error of a program that has ended before it was to; nil of one that runs.
func (d *downstream) failure() error {
	if d == nil || !d.process.ended() {
		return nil
	}
	return d.process.Failure("the downstream ended in the middle of the trial")
}

// begin starts the program's clock.
func (d *downstream) begin(ctx context.Context, t0 int64) error {
	if d == nil {
		return nil
	}
	var reply struct {
		Error string `json:"error"`
	}
	err := d.ask(ctx, "start", fmt.Sprintf(`,"t0_ns":%d`, t0), &reply)
	if err == nil && reply.Error != "" {
		err = fmt.Errorf("starting the downstream's clock: %s", reply.Error)
	}
	return err
}

// ask sends a command and reads its reply.
func (d *downstream) ask(ctx context.Context, command, members string, into any) error {
	replies, err := d.process.Ask(command, members)
	if err != nil {
		if ended := d.failure(); ended != nil {
			return ended
		}
		return err
	}
	limit := time.NewTimer(finalWithin)
	defer limit.Stop()
	select {
	case reply := <-replies:
		if err := json.Unmarshal(reply, into); err != nil {
			return fmt.Errorf("reading the downstream's reply: %w", err)
		}
		return nil
	case <-d.process.Done():
		return d.process.Failure("the downstream ended before it answered")
	case <-limit.C:
		return fmt.Errorf("asking the downstream for %s: no reply within %v", command, finalWithin)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// counts are a reading of the program.
func (d *downstream) counts(ctx context.Context) (*results.Downstream, error) {
	var r struct {
		Received int64 `json:"received"`
		Answered int64 `json:"answered"`
		InFlight int64 `json:"in_flight"`
		Refused  int64 `json:"refused_requests"`
		Lost     int64 `json:"lost"`
		Resets   int64 `json:"resets"`
		Late     int64 `json:"late"`
		CPUNs    int64 `json:"cpu_ns"`
	}
	if err := d.ask(ctx, "readings", "", &r); err != nil {
		return nil, err
	}
	return &results.Downstream{
		Args: d.plan.args(), CPUs: d.plan.CPUs, Received: r.Received, Answered: r.Answered, InFlight: r.InFlight, Refused: r.Refused,
		Lost: r.Lost, Resets: r.Resets, Late: r.Late, CPUNs: r.CPUNs,
	}, nil
}

// around calls last, which takes the server's last reading, between two looks at the program, and puts what was found into done.
func (d *downstream) around(ctx context.Context, done *Done, last func()) {
	if d == nil || d.process.ended() {
		last()
		return
	}
	before, err := d.counts(ctx)
	last()
	var after *results.Downstream
	if err == nil {
		after, err = d.counts(ctx)
	}
	if err != nil {
		done.Sampler.Notes = append(done.Sampler.Notes, err.Error())
		return
	}
	f := &done.Final
	after.ReceivedFrom = before.Received
	after.Calls, after.CallsAnswered, after.Failed, after.Waited = f.DownstreamCalls, f.DownstreamAnswered, f.DownstreamFailed, f.DownstreamWaited
	done.Downstream = after
}

// stop ends the program, also one that has ended. It comes after the server's end, whose last calls it answers.
func (d *downstream) stop(ctx context.Context) {
	if d != nil {
		d.process.Stop(ctx)
	}
}
