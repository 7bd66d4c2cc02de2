package main

import (
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/analysis/inference"
)

// memoryCounts are the connections through whose memory the slope goes; memoryRounds how often that is done at most.
var memoryCounts = []float64{1000, 4000, 7000, 10_000}

const (
	memoryRounds = 3
	memoryGoal   = 200 // bytes
)

// memory is what one more connection costs the client.
func (b *bench) memory() ([]row, error) {
	s, err := startServer(b.ctx, b.bin, b.server)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	length := 2 * time.Second
	// Idle but for a request now and then; wrk knows no idle connection.
	arms := []arm{{"epoll", millrace(b.bin, "epoll", "epoll"), load{length: length, rate: 100, memory: true}},
		{"wrk", foreign("wrk"), load{length: length, memory: true}}}
	rounds := min(b.pairs, memoryRounds)
	if b.quick {
		rounds = 1
	}
	slopes := make([][]float64, len(arms))
	err = alternate(rounds, len(arms), b.seed, func(round, i int) error {
		if arms[i].tool.missing() != nil {
			return nil
		}
		var anon []float64
		for _, n := range memoryCounts {
			l := arms[i].load
			l.connections = int(n)
			one, err := arms[i].tool.run(b.ctx, s, l)
			if err != nil {
				return err
			}
			if one.rssAnon == 0 {
				return fmt.Errorf("reading the memory of %s: it ended too early", arms[i].name)
			}
			anon = append(anon, one.rssAnon)
		}
		line := inference.TheilSen(memoryCounts, anon, 0.95)
		slopes[i] = append(slopes[i], line.Slope)
		b.say("memory %d/%d  %-8s %.0f B a connection", round+1, rounds, arms[i].name, line.Slope)
		return nil
	})
	if err != nil {
		return nil, err
	}
	ours, wrk := spreadOf(slopes[0]), spreadOf(slopes[1])
	note := "RssAnon, slope by Theil and Sen through 1000, 4000, 7000 and 10 000 connections; 100 requests a second over all of them"
	rows := []row{{"client memory per idle connection", fmt.Sprintf("≤ %d B", memoryGoal), ours.show(asBytes), judge(ours.Median <= memoryGoal), fmt.Sprintf("%s, %s", s.name, note)}}
	if wrk.N == 0 {
		return append(rows, row{"the same of wrk", noGoal, "–", notMeasured, arms[1].tool.missing().Error()}), nil
	}
	return append(rows, row{"the same of wrk", noGoal, wrk.show(asBytes), noGoal, "closed loop, since it knows no idle connection"}), nil
}

// Limits of what counts as none and as constant: a run records what happened ten times a second; the kernel counts memory per
// CPU, and the runtime takes it in pieces.
const (
	allocsGoal   = 0.005
	constantGoal = 1.05
)

// constant is what does not grow: allocations with requests, memory with time.
func (b *bench) constant() ([]row, error) {
	allocs, err := b.allocations()
	if err != nil {
		return nil, err
	}
	got := spreadOf(allocs)
	rows := []row{{
		"allocations per request", "0", got.show(func(v float64) string { return fmt.Sprintf("%.4f", v) }), judge(math.Abs(got.Median) < allocsGoal),
		fmt.Sprintf("`go test -bench ClosedLoop ./clients/reactor`: what a run of 1 s allocates beyond one of 0.2 s ÷ its requests beyond those of that; counts as none below %.3f", allocsGoal),
	}}
	short, long := 300*time.Millisecond, 30*time.Second
	if b.quick {
		long = 6 * time.Second
	}
	peaks, err := b.memoryOverTime(short, long/3, long)
	if err != nil {
		return rows, err
	}
	ratio := spreadOf(ratios(peaks[2], peaks[0]))
	return append(rows, row{
		fmt.Sprintf("peak memory of a run of %s ÷ that of %s at the same rate", long, short), fmt.Sprintf("constant: ≤ %.2f", constantGoal),
		ratio.show(asRatio), judge(ratio.Median <= constantGoal),
		fmt.Sprintf("64 connections, %d/s; peak RSS %s after %s, %s after %s, %s after %s; ÷ that of %s: %s; runs side by side, since time is not measured", constantRate,
			spreadOf(peaks[0]).show(asBytes), short, spreadOf(peaks[1]).show(asBytes), long/3, spreadOf(peaks[2]).show(asBytes), long, long/3, spreadOf(ratios(peaks[2], peaks[1])).show(asRatio)),
	}), nil
}

// allocations runs the engine's benchmark in the current directory, the checkout.
func (b *bench) allocations() ([]float64, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, errMissing{"go", "see https://go.dev/doc/install"}
	}
	var out, errs strings.Builder
	cmd := exec.CommandContext(b.ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkClosedLoop$", "-benchtime", "1x", "-count", strconv.Itoa(b.pairs), "./clients/reactor")
	cmd.Stdout, cmd.Stderr = &out, &errs
	b.say("allocations: %s", strings.Join(cmd.Args, " "))
	if err := start(cmd, serverCPU, clientCPU); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("running go test -bench: %w: %s", err, tail(errs.String()+out.String()))
	}
	return allocsPerRequest(out.String())
}

// constantRate is low, since many such runs share the client's core.
const constantRate = 2000

// memoryOverTime is the peak RSS in bytes of as many runs of each length as there are pairs: peaks[i] is of lengths[i].
func (b *bench) memoryOverTime(lengths ...time.Duration) (peaks [][]float64, err error) {
	s, err := startServer(b.ctx, b.bin, b.server)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	t := millrace(b.bin, "epoll", "epoll")
	url := s.url()
	b.say("memory over time: %d runs each of %v side by side", b.pairs, lengths)
	peaks = make([][]float64, len(lengths))
	failed := make(chan error, len(lengths)*b.pairs)
	var all sync.WaitGroup
	for i, length := range lengths {
		peaks[i] = make([]float64, b.pairs)
		for pair := range b.pairs {
			all.Go(func() {
				l := load{connections: 64, length: length, rate: constantRate}
				p, err := client(b.ctx, t.command(l, url, ""), length, false)
				if err != nil {
					failed <- err
					return
				}
				r, err := t.parse(l, p, "")
				if err != nil {
					failed <- err
					return
				}
				peaks[i][pair] = float64(r.report.ClientPeakRSSBytes)
			})
		}
	}
	all.Wait()
	select {
	case err := <-failed:
		return nil, fmt.Errorf("measuring memory over time: %w", err)
	default:
		return peaks, nil
	}
}
