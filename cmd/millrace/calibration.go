package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/floor"
	"github.com/millrace/millrace/internal/hostkey"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

// calibration measures kinds of load one after another. This process is the client.
type calibration struct {
	split              results.CPUSplit
	path               string
	floor              floor.Floor
	quick              bool
	closedFor, openFor time.Duration
	reflectors         map[reflectorKind]*sut.Process
	started            time.Time
	within             time.Duration // all of it, as far as it can be chosen
	again              time.Time     // until when the present kind may be measured again
}

// reflectorKind are the loads that one reflector serves.
type reflectorKind struct {
	protocol string
	payload  int // of http1; frames are echoed
}

func reflectorFor(k floor.Kind) reflectorKind {
	if k.Protocol == "frame" {
		return reflectorKind{protocol: k.Protocol}
	}
	return reflectorKind{k.Protocol, k.Payload}
}

const (
	// calibrateWarmup comes before each measured phase.
	calibrateWarmup = 100 * time.Millisecond
	// bestFor is the time whose mean rate is the maximum, in intervals of recording.IntervalNs; quickBestFor with --quick.
	bestFor      = 5
	quickBestFor = 2
	// maxDisturbed is the share of the CPUs that others may take of a loop: beyond it the loop is repeated, so that there are
	// up to closedTries, or openTries.
	maxDisturbed = 0.05
	// leastSpinning is the share of its CPUs that a spinning reflector takes at least in a closed loop, unless others take them:
	// programs that started and ended meanwhile show in this only.
	leastSpinning = 0.9
	closedTries   = 4
	openTries     = 2
	// pipelinedTries are made in any case with pipelining, where a closed loop settles by chance at large or at small batches.
	pipelinedTries = 2
	// oneAgain is how long a kind that was asked for alone may be measured again.
	oneAgain = 3 * time.Second
	// calibrateNice is the priority of the load agent in a run.
	calibrateNice = -20
)

func newCalibration(quick bool) (*calibration, error) {
	c := &calibration{
		quick: quick, closedFor: 1500 * time.Millisecond, openFor: 1500 * time.Millisecond, within: 55 * time.Second, started: time.Now(),
		reflectors: map[reflectorKind]*sut.Process{},
	}
	if quick {
		c.closedFor, c.openFor, c.within = 300*time.Millisecond, 200*time.Millisecond, 12*time.Second
	}
	var err error
	if c.split, err = host.AllowedCPUs(false); err != nil {
		return nil, err
	}
	if c.path, err = hostkey.Path("calibrate"); err != nil {
		return nil, err
	}
	here := floorOn(c.split)
	if c.floor, err = floor.Load(c.path); err != nil || !c.floor.SameCPUs(here) {
		c.floor = here // what can't be read, or was measured on other CPUs, is replaced
	}
	return c, nil
}

// floorOn is a floor without shapes, measured on these CPUs.
func floorOn(split results.CPUSplit) floor.Floor {
	return floor.Floor{Schema: floor.Schema, Server: split.Server, Client: split.Client, Shared: split.Shared}
}

// prepare starts the reflectors and makes this process what a load agent is. In this order: they inherit the priority.
func (c *calibration) prepare(ctx context.Context, kinds []floor.Kind) error {
	program, err := self()
	if err != nil {
		return err
	}
	for _, k := range kinds {
		r := reflectorFor(k)
		if c.reflectors[r] != nil {
			continue
		}
		p, err := sut.StartProcess(ctx, sut.Command{
			Name: "the raw reflector", Path: program, CPUs: c.split.Server,
			Args: []string{"reflect", "--protocol", r.protocol, "--payload", strconv.Itoa(r.payload), "--threads", strconv.Itoa(len(c.split.Server)),
				"--spin=" + strconv.FormatBool(!c.split.Shared)},
		})
		if err != nil {
			return err
		}
		c.reflectors[r] = p
	}
	if err := host.PinSelf(c.split.Client); err != nil {
		return err
	}
	tuneForLoad()
	runtime.GOMAXPROCS(len(c.split.Client) + 1) // the runtime was sized before it was pinned
	// Refused without CAP_SYS_NICE, as it is to the load agent.
	_ = procfs.SetProcessNice(calibrateNice)
	return nil
}

func (c *calibration) close() {
	for _, p := range c.reflectors {
		p.Stop(context.Background())
	}
}

// measure measures one kind and adds it to the floor. One that the host can't hold is told and left out. quiet is false where
// others took the CPUs all the time: then the floor is too low, and not to be kept.
func (c *calibration) measure(ctx context.Context, k floor.Kind, errs io.Writer) (quiet bool, err error) {
	reflector := c.reflectors[reflectorFor(k)]
	p, err := c.plan(k, reflector.Addr(), scenarios.Arrivals{Closed: true}, c.closedFor)
	if err != nil {
		return false, err
	}
	if most, why := host.FitConnections(&p.Scenario); k.Connections > most {
		fmt.Fprintf(errs, "left out: %v: %s\n", k, why)
		return true, nil
	}
	s := floor.Shape{Kind: k, At: time.Now().UTC(), Quick: c.quick}
	if quiet, err = c.closedLoops(ctx, p, reflector.PID(), &s); err != nil || s.MaxRPS == 0 {
		return false, err // without a single reply in time others had all of the CPUs
	}
	if !quiet {
		s.Disturbed = true
		c.floor.Add(s)
		return false, nil
	}
	s.OpenRPS = floor.OpenShare * s.MaxRPS
	if p, err = c.plan(k, reflector.Addr(), scenarios.Arrivals{Constant: scenarios.Rate(s.OpenRPS)}, c.openFor); err != nil {
		return false, err
	}
	ran, err := c.openLoops(ctx, p, reflector.PID(), &s)
	if err != nil {
		return false, err
	}
	c.floor.Add(s)
	if ran != k.Engine { // the kernel does not offer the one that was asked for
		s.Engine = ran
		c.floor.Add(s)
	}
	return true, nil
}

// openLoops makes open loops until one was not disturbed, whose latencies are taken; of a disturbed one there are none. It
// returns the engine that made them.
func (c *calibration) openLoops(ctx context.Context, p *clients.Plan, reflector int, s *floor.Shape) (engine string, err error) {
	for try := 1; ; try++ {
		d := watchOthers(c.split, reflector)
		r, err := c.run(ctx, p)
		if err != nil {
			return "", err
		}
		if d.quiet(0, 0) {
			s.P50Ns, s.P99Ns, s.LagP99Ns = r.ResponseNs.P50, r.ResponseNs.P99, r.LagNs.P99
			return r.Engine, nil
		}
		if try == openTries || time.Now().After(c.again) {
			return r.Engine, nil
		}
	}
}

// closedLoops makes closed loops until one was not disturbed, and takes the best one.
func (c *calibration) closedLoops(ctx context.Context, p *clients.Plan, reflector int, s *floor.Shape) (quiet bool, err error) {
	best := bestFor
	if c.quick {
		best = quickBestFor
	}
	for try := 1; ; try++ {
		d := watchOthers(c.split, reflector)
		r, err := c.run(ctx, p)
		if err != nil {
			return false, err
		}
		quiet = d.quiet(s.Connections, r.DurationSeconds) || quiet
		if rate := bestRate(r, best); rate > s.MaxRPS {
			s.MaxRPS, s.ClientBusy = rate, busyShare(r, len(c.split.Client))
		}
		more := !quiet && try < closedTries || s.Pipeline > 1 && try < pipelinedTries
		if !more || time.Now().After(c.again) {
			break
		}
	}
	return quiet, nil
}

// plan is that of a load on the reflector: a warm-up and the measured phase, as a trial makes it. One that closes with a FIN
// leaves up to net.ipv4.tcp_max_tw_buckets sockets in TIME_WAIT for a minute, towards the reflector's port only.
func (c *calibration) plan(k floor.Kind, addr string, arrivals scenarios.Arrivals, length time.Duration) (*clients.Plan, error) {
	s := &scenarios.Scenario{
		Name: "calibrate", Why: "The client against the raw reflector.", Protocol: k.Protocol, Payload: k.Payload,
		Connections: scenarios.Connections{Count: k.Connections, Pipeline: k.Pipeline, Requests: k.Requests, Close: k.Close},
		Phases: []scenarios.Phase{
			{Name: "warmup", For: scenarios.Duration(calibrateWarmup), Arrivals: arrivals},
			{Name: "floor", For: scenarios.Duration(length), Arrivals: arrivals, Measure: true},
		},
	}
	s, err := s.Resolve()
	if err != nil {
		return nil, err
	}
	p := &clients.Plan{Scenario: *s, Engine: k.Engine, Seed: 1, Agents: 1, Sources: host.SourceAddresses(s), StartWhenOpen: true, Spin: !c.split.Shared}
	if p.URL = "frame://" + addr; k.Protocol == "http1" {
		p.URL, p.CheckBody = "http://"+addr+"/", wire.Payload(s.Payload)
	}
	_, err = newEngine(p)
	return p, err
}

// run makes one load.
func (c *calibration) run(ctx context.Context, p *clients.Plan) (*clients.Report, error) {
	engine, err := newEngine(p)
	if err != nil {
		return nil, err
	}
	runtime.GC() // between loads, so that none is needed within one
	r, err := engine.Run(ctx, procfs.Monotonic())
	switch {
	case err != nil:
		return nil, err
	case r.Interrupted:
		return nil, errors.New("interrupted")
	}
	answered := r.Planned - r.Outcomes[clients.InFlight.String()] - r.Outcomes[clients.Unsent.String()]
	if good := r.Outcomes[clients.OK.String()]; good*100 < answered*99 {
		return nil, fmt.Errorf("only %d of %s got a good reply: outcomes %v", good, quantity.Count(r.Planned, "request"), r.Outcomes)
	}
	return r, nil
}

// bestRate is the highest mean rate of good replies over so many intervals in a row of the last phase.
func bestRate(r *clients.Report, intervals int) float64 {
	last := r.Phases[len(r.Phases)-1]
	from, to := int(last.FromNs/r.IntervalNs), min(int(last.ToNs/r.IntervalNs), len(r.Intervals))
	var most int64
	for ; from+intervals <= to; from++ {
		var n int64
		for _, in := range r.Intervals[from : from+intervals] {
			n += in.OK
		}
		most = max(most, n)
	}
	return float64(most) / (float64(intervals) * float64(r.IntervalNs) / 1e9)
}

// busyShare is the CPU time of the load's threads over the last phase, spinning apart, as a share of so many CPUs.
func busyShare(r *clients.Report, cpus int) float64 {
	last := r.Phases[len(r.Phases)-1]
	from, to := int(last.FromNs/r.IntervalNs), min(int(last.ToNs/r.IntervalNs), len(r.Intervals))-1 // the last one has the end too
	var used int64
	for _, in := range r.Intervals[min(from, to):to] {
		used += in.CPUNs
	}
	return min(1, float64(used)/float64(max(to-from, 1))/float64(r.IntervalNs)/float64(cpus))
}

// others is what takes CPU time from a measurement: other programs, and other machines of the hypervisor.
type others struct {
	cpus, threads int // of client and reflector; of the reflector, zero where it does not spin
	reflector     int // its process
	clocks        *procfs.CPUClocks
	steal         *procfs.Steal
	stolen, spun  int64 // ns until now
	at            time.Time
}

func watchOthers(split results.CPUSplit, reflector int) *others {
	o := &others{reflector: reflector, at: time.Now()}
	cpus := split.Server
	if !split.Shared {
		cpus = append(append([]int(nil), split.Server...), split.Client...)
		o.threads = len(split.Server)
	}
	o.cpus = len(cpus)
	// What can't be seen does not count: the floor is only the more careful for it.
	o.clocks, _ = procfs.ReadCPUClocks()
	o.steal, _ = procfs.OpenSteal(cpus)
	o.stolen = o.steal.Read()
	o.spun, _ = procfs.CPUTime(reflector)
	return o
}

// quiet ends the watch and reports whether others took at most maxDisturbed of the CPUs, and the reflector had its own in a
// closed loop of so many connections and seconds; zero is no closed loop.
func (o *others) quiet(connections int, seconds float64) bool {
	defer o.steal.Close()
	if busy := min(connections, o.threads); busy > 0 {
		spun, err := procfs.CPUTime(o.reflector)
		if err == nil && float64(spun-o.spun) < leastSpinning*float64(busy)*seconds*1e9 {
			return false
		}
	}
	var used int64
	if o.clocks != nil {
		// An error has no time.
		used, _, _ = o.clocks.Foreign(o.reflector)
	}
	if stolen := o.steal.Read(); o.stolen != procfs.Unknown && stolen != procfs.Unknown {
		used += stolen - o.stolen
	}
	return float64(used) <= maxDisturbed*float64(time.Since(o.at))*float64(o.cpus)
}
