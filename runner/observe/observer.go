// Package observe looks at a server while it runs: profiles, and system calls counted by the kernel's tracepoints. That
// changes what is looked at, so it is done in trials that explain and never in a measured one.
package observe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results/observed"
	prom "github.com/prometheus/procfs"
)

// Plan says what to look at in a trial that explains.
type Plan struct {
	// Span of the CPU profile, in ns after T0. What was allocated is profiled just before it and at the end of the trial.
	Span observed.Span `json:"span"`
	// Profile takes profiles, Syscalls counts system calls.
	Profile  bool `json:"profile,omitempty"`
	Syscalls bool `json:"syscalls,omitempty"`
}

// The observer's clockwork.
const (
	countEvery   = 250 * time.Millisecond
	allocsLead   = 300 * time.Millisecond // before the CPU profile: collecting garbage and writing what was allocated
	answerWithin = 5 * time.Second        // for what a server does at once, and for the end of a profile that is due
)

// memProfileRate is how many allocated bytes there are from one sample to the next: few enough for a scenario of seconds, and
// far too many to be felt (the runtime's own default is 512 KiB).
const memProfileRate = "64000"

// Server is the server that is looked at.
type Server interface {
	PID() int
	// Done is closed when it has ended.
	Done() <-chan struct{}
	// Failure makes an error of what it did.
	Failure(reason string) error
	// Ask sends a command with further members of its line, each behind a comma; the reply comes on the channel.
	Ask(command, members string) (<-chan json.RawMessage, error)
}

// Observer looks at one server. A nil one looks at nothing, at no cost.
type Observer struct {
	want    Plan
	spool   string
	t0      int64
	counter *syscallCounter
	seen    observed.Record
	cpu     <-chan json.RawMessage // the reply to the CPU profile, or nil
	cpuDue  time.Time
	io      func() (map[string]int64, error) // in place of the counter
}

// New returns an observer that keeps what it sees in spool; nil where want is nil.
func New(want *Plan, spool string) (*Observer, error) {
	if want == nil {
		return nil, nil
	}
	if want.Profile {
		if err := os.Mkdir(filepath.Join(spool, observed.ProfilesDir), 0o755); err != nil {
			return nil, fmt.Errorf("keeping profiles: %w", err)
		}
	}
	return &Observer{want: *want, spool: spool, seen: observed.Record{Schema: observed.Schema}}, nil
}

// Env returns the environment of a server to be observed; env nil stands for that of this process.
func (o *Observer) Env(env []string) []string {
	if o == nil || !o.want.Profile {
		return env
	}
	if env == nil {
		env = os.Environ()
	}
	debug := "memprofilerate=" + memProfileRate
	for _, e := range env {
		if own, ok := strings.CutPrefix(e, "GODEBUG="); ok && own != "" {
			debug = own + ",memprofilerate=" + memProfileRate // the last one holds
		}
	}
	return append(env, "GODEBUG="+debug)
}

// OnThread is to be called on the thread that starts the server, just before.
func (o *Observer) OnThread() {
	if o == nil || !o.want.Syscalls {
		return
	}
	var err error
	if o.counter, err = countSyscalls(); err != nil {
		o.seen.Partial = err.Error()
	}
}

func (o *Observer) note(err error) {
	if err != nil {
		o.seen.Notes = append(o.seen.Notes, err.Error())
	}
}

// Start observes p until ctx ends; the channel is closed when that is over.
func (o *Observer) Start(ctx context.Context, p Server, t0 int64) <-chan struct{} {
	over := make(chan struct{})
	if o == nil {
		close(over)
		return over
	}
	o.t0 = t0
	go func() {
		defer close(over)
		if o.want.Profile {
			o.profile(ctx, p)
		}
		if o.want.Syscalls {
			o.count(ctx, p)
		}
	}()
	return over
}

// profile takes the allocations before the span and begins the CPU profile.
func (o *Observer) profile(ctx context.Context, p Server) {
	span := o.want.Span
	if !sleepUntil(ctx, o.t0+span.FromNs-int64(allocsLead)) {
		return
	}
	if from, err := o.allocs(ctx, p, observed.AllocsBefore); err != nil {
		o.note(err)
	} else {
		o.seen.Allocs = &observed.Span{FromNs: from}
	}
	if !sleepUntil(ctx, o.t0+span.FromNs) {
		return
	}
	from := procfs.Monotonic() - o.t0
	took := time.Duration(span.ToNs - from)
	reply, err := askProfile(p, "cpu", took.Seconds(), filepath.Join(o.spool, observed.ProfilesDir, observed.CPUProfile))
	if err != nil {
		o.note(err)
		return
	}
	o.cpu, o.cpuDue, o.seen.CPU = reply, time.Now().Add(took), &observed.Span{FromNs: from, ToNs: span.ToNs}
}

// allocs profiles what was allocated until a time after T0, which it returns: that at which a garbage collection was asked
// for, since the runtime knows as of that.
func (o *Observer) allocs(ctx context.Context, p Server, name string) (at int64, err error) {
	at = procfs.Monotonic() - o.t0
	reply, err := p.Ask("gc", "")
	if err == nil {
		err = answered(ctx, p, reply, answerWithin)
	}
	if err != nil {
		return 0, fmt.Errorf("profiling allocations: %w", err)
	}
	if reply, err = askProfile(p, "allocs", 0, filepath.Join(o.spool, observed.ProfilesDir, name)); err == nil {
		err = answered(ctx, p, reply, answerWithin)
	}
	if err != nil {
		return 0, fmt.Errorf("profiling allocations: %w", err)
	}
	return at, nil
}

// count reads the counters every countEvery, and where the span begins and ends, until ctx ends.
func (o *Observer) count(ctx context.Context, p Server) {
	if o.counter == nil {
		o.io = func() (map[string]int64, error) { return readsAndWrites(p.PID()) }
	}
	edges := []int64{o.want.Span.FromNs, o.want.Span.ToNs}
	for at := int64(0); ; {
		if !sleepUntil(ctx, o.t0+at) {
			break
		}
		o.read()
		next := (at/int64(countEvery) + 1) * int64(countEvery)
		if i := slices.IndexFunc(edges, func(edge int64) bool { return edge > at && edge < next }); i >= 0 {
			next = edges[i]
		}
		at = next
	}
	o.read()
}

// read appends one set of counts.
func (o *Observer) read() {
	c := observed.Counts{TNs: procfs.Monotonic() - o.t0}
	var err error
	if o.counter != nil {
		c.Syscalls, err = o.counter.read()
	} else {
		c.Syscalls, err = o.io()
	}
	if err != nil { // the server has ended
		return
	}
	c.WireBytes, c.Segments = sent()
	o.seen.Counts = append(o.seen.Counts, c)
}

// sent reads how many bytes and TCP segments this network namespace has sent.
func sent() (bytes, segments *int64) {
	self, err := prom.Self()
	if err != nil {
		return nil, nil
	}
	whole := func(v *float64) *int64 {
		if v == nil {
			return nil
		}
		n := int64(*v)
		return &n
	}
	if stat, err := self.Netstat(); err == nil {
		bytes = whole(stat.IpExt.OutOctets)
	}
	if snmp, err := self.Snmp(); err == nil {
		segments = whole(snmp.Tcp.OutSegs)
	}
	return bytes, segments
}

// readsAndWrites are the calls that read and write files, pipes and sockets by read(2), write(2) and their kin.
func readsAndWrites(pid int) (map[string]int64, error) {
	p, err := prom.NewProc(pid)
	if err != nil {
		return nil, err
	}
	io, err := p.IO()
	if err != nil {
		return nil, err
	}
	return map[string]int64{"syscr": int64(io.SyscR), "syscw": int64(io.SyscW)}, nil
}

// Close stops counting, where no server was started or Finish is not called. It may be called more than once.
func (o *Observer) Close() {
	if o != nil && o.counter != nil {
		o.counter.close()
	}
}

// Finish ends the observation, before the server is stopped, and writes what was seen.
func (o *Observer) Finish(ctx context.Context, p Server) {
	if o == nil {
		return
	}
	o.Close()
	if o.cpu != nil {
		within := time.Until(o.cpuDue)
		if within > answerWithin {
			o.note(fmt.Errorf("the trial ended %v before its CPU profile", within.Round(time.Millisecond)))
			o.seen.CPU = nil
		} else if err := answered(ctx, p, o.cpu, max(within, 0)+answerWithin); err != nil {
			o.note(fmt.Errorf("profiling CPU time: %w", err))
			o.seen.CPU = nil
		}
	}
	if o.seen.Allocs != nil && o.seen.CPU != nil {
		var err error
		if o.seen.Allocs.ToNs, err = o.allocs(ctx, p, observed.AllocsAfter); err != nil {
			o.note(err)
			o.seen.Allocs = nil
		}
	} else {
		o.seen.Allocs = nil
	}
	data, err := json.Marshal(o.seen)
	if err == nil {
		err = os.WriteFile(filepath.Join(o.spool, observed.File), append(data, '\n'), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "keeping what was observed:", err)
	}
}

// askProfile asks for a profile of that kind in a new file at path, over a number of seconds where the kind takes time.
func askProfile(p Server, kind string, seconds float64, path string) (<-chan json.RawMessage, error) {
	return p.Ask("profile", fmt.Sprintf(`,"kind":%q,"seconds":%g,"path":%q`, kind, seconds, path))
}

// answered waits for the reply to a command and returns the error that it tells.
func answered(ctx context.Context, p Server, reply <-chan json.RawMessage, within time.Duration) error {
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case line := <-reply:
		var r struct {
			OK    bool   `json:"ok"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("reading the server's reply: %w", err)
		}
		if !r.OK {
			return errors.New(r.Error)
		}
		return nil
	case <-limit.C:
		return fmt.Errorf("no reply within %v", within)
	case <-p.Done():
		return p.Failure("ended while it was asked")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sleepUntil waits for a CLOCK_MONOTONIC time; false if ctx ended first.
func sleepUntil(ctx context.Context, at int64) bool {
	timer := time.NewTimer(time.Duration(at - procfs.Monotonic()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
