package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/quantity"
)

// throughputGoals are ratios to wrk, by connections and engine.
var throughputGoals = map[string]map[int]float64{
	"epoll": {64: 1.25, 1000: 1.45, 10_000: 1.5},
	"uring": {1000: 1.6},
}

// throughput is requests per client CPU-second over wrk's, closed loop with keep-alive.
func (b *bench) throughput() ([]row, error) {
	if err := foreign("wrk").missing(); err != nil {
		return nil, err
	}
	s, err := startServer(b.ctx, b.bin, b.server)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	var rows []row
	var failed []error
	for _, n := range []int{64, 1000, 10_000} {
		got, err := b.throughputAt(s, n)
		rows = append(rows, got...)
		if err != nil {
			failed = append(failed, fmt.Errorf("with %d connections: %w", n, err))
		}
	}
	return rows, errors.Join(failed...)
}

// throughputAt is the comparison with n connections.
func (b *bench) throughputAt(s *server, n int) ([]row, error) {
	length := b.length(4 * time.Second)
	if n > 1000 { // opening 10 000 connections takes a share of the client's CPU that is to be small
		length = 12 * time.Second
		if b.quick {
			length = 3 * time.Second
		}
	}
	l := load{connections: n, length: length}
	arms := []arm{{"wrk", foreign("wrk"), l}}
	for _, e := range engines() {
		arms = append(arms, arm{e, millrace(b.bin, e, e), l})
	}
	starts := make([]time.Duration, len(arms))
	for i, a := range arms {
		var err error
		if starts[i], err = startCost(b, a); err != nil {
			return nil, err
		}
	}
	got, err := pairsOf(b.ctx, b.log, &b.flags, s, fmt.Sprintf("throughput, %d connections", n), arms)
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, a := range arms[1:] {
		rows = append(rows, throughputRow(a.name, n, s.name, l.length, got[i+1], got[0], starts[i+1], starts[0]))
	}
	return rows, nil
}

// startRuns is how often the cost of starting is measured; the smallest counts, since what disturbs adds.
const startRuns = 2

// startCost is the CPU time of a client that starts, connects, sends its first requests and is never answered.
func startCost(b *bench, a arm) (time.Duration, error) {
	least := time.Duration(math.MaxInt64)
	runs := startRuns
	if b.quick {
		runs = 1
	}
	for range runs {
		once, err := startOnce(b, a)
		if err != nil {
			return 0, err
		}
		least = min(least, once)
	}
	return least, nil
}

func startOnce(b *bench, a arm) (time.Duration, error) {
	s, err := listenSilent()
	if err != nil {
		return 0, err
	}
	defer s.close()
	dir, err := os.MkdirTemp("", "ruler-")
	if err != nil {
		return 0, fmt.Errorf("measuring the start of %s: %w", a.name, err)
	}
	defer os.RemoveAll(dir)
	l := a.load
	l.length = time.Second
	p, err := client(b.ctx, a.tool.command(l, s.url(), dir), l.length, false)
	if err != nil {
		return 0, err
	}
	return p.cpu, nil
}

func throughputRow(engine string, n int, server string, length time.Duration, ours, wrk []sample, startOurs, startWrk time.Duration) row {
	perCPU := func(start time.Duration) func(*sample) float64 {
		return func(s *sample) float64 { return float64(s.requests) / (s.cpu - start).Seconds() }
	}
	ratio := spreadOf(ratios(each(ours, perCPU(0)), each(wrk, perCPU(0))))
	without := spreadOf(ratios(each(ours, perCPU(startOurs)), each(wrk, perCPU(startWrk))))
	r := row{
		what: fmt.Sprintf("requests per client CPU-second ÷ wrk's, %d connections, engine %s", n, engine),
		goal: noGoal, verdict: noGoal, measured: ratio.show(asRatio),
	}
	if goal, ok := throughputGoals[engine][n]; ok {
		r.goal, r.verdict = fmt.Sprintf("≥ %.2f", goal), judgeValid(ratio.Median >= goal, ours)
	}
	if ran := ours[0].report.Engine; ran != engine {
		r.what += fmt.Sprintf(" (this host ran %s)", ran)
		r.verdict = notMeasured
	}
	share := func(samples []sample, start time.Duration) string {
		return quantity.Share(start.Seconds() / spreadOf(each(samples, func(s *sample) float64 { return s.cpu.Seconds() })).Median)
	}
	r.note = fmt.Sprintf("%s, closed loop of %s; %s against wrk's %s; start and connecting are %s of the CPU time, wrk's %s, without both %s; %s",
		server, length, spreadOf(each(ours, perCPU(0))).show(asRate), spreadOf(each(wrk, perCPU(0))).show(asRate),
		share(ours, startOurs), share(wrk, startWrk), without.show(asRatio), verdicts(ours))
	return r
}

// lagCase is a load whose generator lag is measured. goal is in ns, share of a core; 0 is none.
type lagCase struct {
	name        string
	engine      string
	load        load
	goal, share float64
}

// lag is how late requests are sent, and what that costs.
func (b *bench) lag() ([]row, error) {
	s, err := startServer(b.ctx, b.bin, b.server)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	length := b.length(2 * time.Second)
	ten, hundred := load{connections: 64, length: length, rate: 10_000}, load{connections: 64, length: length, rate: 100_000, pipeline: 16}
	spinning := func(l load) load { l.spin = true; return l }
	cases := []lagCase{
		{"10 000/s, 64 connections", "epoll", ten, 15_000, 0.2},
		{"10 000/s, 64 connections, spinning", "epoll", spinning(ten), 2_000, 0},
		{"100 000/s, 64 connections, pipeline 16", "epoll", hundred, 20_000, 0},
		{"100 000/s, 64 connections, pipeline 16, spinning", "epoll", spinning(hundred), 0, 0},
		{"10 000/s, 64 connections, engine vegeta", "vegeta", ten, 0, 0},
	}
	arms := make([]arm, len(cases))
	for i, c := range cases {
		arms[i] = arm{c.name, millrace(b.bin, c.engine, c.engine), c.load}
	}
	// The first cases have a bare wait beside them: what of their lag is the host's.
	for i, name := range bareWaits {
		t, err := waiting(name)
		if err != nil {
			return nil, err
		}
		arms = append(arms, arm{name, t, cases[i].load})
	}
	got, err := pairsOf(b.ctx, b.log, &b.flags, s, "lag", arms)
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, c := range cases {
		rows = append(rows, c.row(s.name, got[i]))
		if i < len(bareWaits) {
			rows = append(rows, waitRow(bareWaits[i], c.load, got[len(cases)+i]))
		}
	}
	return rows, nil
}

// bareWaits are the anchors of the first cases of lag.
var bareWaits = []string{"a bare wait of this host p99, 10 000/s", "a bare wait of this host p99, 10 000/s, spinning"}

func (c *lagCase) row(server string, got []sample) row {
	p99 := spreadOf(each(got, func(s *sample) float64 { return orNaN(s.report.LagNs.P99) }))
	p50 := spreadOf(each(got, func(s *sample) float64 { return orNaN(s.report.LagNs.P50) }))
	// Spinning is part of it: the core is taken.
	core := spreadOf(each(got, func(s *sample) float64 { return s.report.ClientCPUSeconds / s.report.DurationSeconds }))
	achieved := spreadOf(each(got, func(s *sample) float64 { return s.rate / c.load.rate }))
	r := row{
		what: "generator lag p99, " + c.name, goal: noGoal, verdict: noGoal,
		measured: fmt.Sprintf("%s at %s of a core", p99.show(asTime), quantity.Share(core.Median)),
		note:     fmt.Sprintf("%s; p50 %s; core %s; %s of the rate was answered; %s", server, p50.show(asTime), core.show(quantity.Share), quantity.Share(achieved.Median), verdicts(got)),
	}
	if c.goal > 0 {
		r.goal = "≤ " + asTime(c.goal)
		ok := p99.Median <= c.goal
		if c.share > 0 {
			r.goal += " at ≤ " + quantity.Share(c.share)
			ok = ok && core.Median <= c.share
		}
		r.verdict = judgeValid(ok, got)
	}
	return r
}

// shortGoal is a ratio to wrk.
const shortGoal = 1.25

// short is connections of one request each, per client CPU-second.
func (b *bench) short() ([]row, error) {
	wrk := foreign("wrk")
	if err := wrk.missing(); err != nil {
		return nil, err
	}
	s, err := startServer(b.ctx, b.bin, b.server)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	l := load{connections: 64, length: b.length(4 * time.Second), short: true}
	arms := []arm{{"wrk", wrk, l}, {"ab", foreign("ab"), l}}
	for _, e := range engines() {
		arms = append(arms, arm{e, millrace(b.bin, e, e), l})
	}
	got, err := pairsOf(b.ctx, b.log, &b.flags, s, "short connections", arms)
	if err != nil {
		return nil, err
	}
	perCPU := func(samples []sample) []float64 { return each(samples, (*sample).perCPU) }
	var rows []row
	for i, a := range arms[1:] {
		samples := got[i+1]
		if len(samples) == 0 {
			rows = append(rows, row{"short connections per client CPU-second ÷ wrk's, " + a.name, noGoal, "–", notMeasured, a.tool.missing().Error()})
			continue
		}
		ratio := spreadOf(ratios(perCPU(samples), perCPU(got[0])))
		r := row{
			what: "short connections per client CPU-second ÷ wrk's, " + a.name, goal: noGoal, measured: ratio.show(asRatio), verdict: noGoal,
			note: fmt.Sprintf("%s closes after its reply; %d at a time; %s against wrk's %s", s.name, l.connections, spreadOf(perCPU(samples)).show(asRate), spreadOf(perCPU(got[0])).show(asRate)),
		}
		if a.name == "epoll" {
			r.goal, r.verdict = fmt.Sprintf("≥ %.2f", shortGoal), judgeValid(ratio.Median >= shortGoal, samples)
		}
		if v := verdicts(samples); v != "" {
			r.note += "; " + v
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// The burst: what is due within its first second, and how long after it is looked for.
const (
	burstRequests    = 1_000_000
	burstConnections = 10_000
	burstPipeline    = 64
	burstGoal        = 1.15 // seconds
	burstDrain       = 2    // seconds
)

// burst is the time until a million requests that are due within a second were all sent.
func (b *bench) burst() ([]row, error) {
	var rows []row
	for _, name := range []string{"gnet", "reflect"} {
		got, err := b.bursts(name)
		if err != nil {
			return rows, err
		}
		offered := spreadOf(each(got, func(s *sample) float64 { return offeredWithin(s.report) }))
		drained := spreadOf(each(got, func(s *sample) float64 {
			if ns := s.report.Phases[0].DrainedNs; ns > 0 {
				return float64(ns) / 1e9
			}
			return math.NaN()
		}))
		asSeconds := func(v float64) string { return fmt.Sprintf("%.2f s", v) }
		if offered.N < len(got) {
			rows = append(rows, row{"burst offered, " + name, "", "–", missed, "not everything was sent"})
			continue
		}
		rows = append(rows, row{
			what: fmt.Sprintf("a burst of 1 000 000 due within 1 s over 10 000 connections, pipeline %d: offered, against %s", burstPipeline, name),
			goal: fmt.Sprintf("≤ %.2f s", burstGoal), measured: offered.show(asSeconds), verdict: judge(offered.Median <= burstGoal),
			note: fmt.Sprintf("`load --rate 1M/1s,1k/%ds`; sent is counted in intervals of 100 ms and interpolated within the last one; all answered after %s (%d of %d runs); as a whole %s, since the second phase has to take the first one's rest",
				burstDrain, drained.show(asSeconds), drained.N, len(got), verdicts(got)),
		})
	}
	return rows, nil
}

// bursts makes the burst as often as there are pairs, each against a fresh server.
func (b *bench) bursts(name string) ([]sample, error) {
	t := millrace(b.bin, "burst", "epoll")
	t.command = func(_ load, url, _ string) []string {
		return []string{t.program, "load", url, "-c", fmt.Sprint(burstConnections), "--rate", fmt.Sprintf("%d/1s,1k/%ds", burstRequests, burstDrain),
			"--pipeline", fmt.Sprint(burstPipeline), "--json", "-"}
	}
	var got []sample
	for pair := range b.pairs {
		s, err := startServer(b.ctx, b.bin, name)
		if err != nil {
			return nil, err
		}
		one, err := t.run(b.ctx, s, load{})
		s.stop()
		if err != nil {
			return nil, err
		}
		b.say("burst against %s %d/%d  sent within %.2f s%s", name, pair+1, b.pairs, offeredWithin(one.report), one.verdict())
		got = append(got, one)
	}
	return got, nil
}

// offeredWithin is the time in seconds until as many requests were sent as the first phase planned, NaN if it never came.
// It is at most when they were all answered.
func offeredWithin(r *clients.Report) float64 {
	want := r.Phases[0].Planned
	var sent int64
	for i, v := range r.Intervals {
		if sent+v.Sent >= want && v.Sent > 0 {
			at := (float64(i) + float64(want-sent)/float64(v.Sent)) * float64(r.IntervalNs)
			if drained := r.Phases[0].DrainedNs; drained > 0 {
				at = min(at, float64(drained))
			}
			return at / 1e9
		}
		sent += v.Sent
	}
	return math.NaN()
}

var errNoBenchmark = errors.New("no line of BenchmarkClosedLoop")

// allocsPerRequest reads the output of `go test -bench ClosedLoop`.
func allocsPerRequest(text string) ([]float64, error) {
	var out []float64
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "BenchmarkClosedLoop") {
			continue
		}
		i := slices.Index(f, "allocs/request")
		if i < 1 {
			return nil, fmt.Errorf("reading %q: want allocs/request", line)
		}
		v, err := strconv.ParseFloat(f[i-1], 64)
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", line, err)
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		return nil, errNoBenchmark
	}
	return out, nil
}
