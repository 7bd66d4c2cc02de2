package sut

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
)

// The sampler's clockwork.
const (
	sampleEvery = 100 * time.Millisecond
	replyWithin = 50 * time.Millisecond // for the server's part of a reading
	finalWithin = 2 * time.Second       // for the server's part of the last reading
	filesEvery  = 10                    // readings between two counts of open files
	sameTime    = time.Millisecond      // an edge this close to the grid is on it
	spoolBuffer = 64 << 10
)

// EndEdge is the name of the edge at which the last phase ends.
const EndEdge = "end"

// Edge is where a phase begins, or where the last one ends, in ns after T0.
type Edge struct {
	Name string `json:"name"`
	AtNs int64  `json:"at_ns"`
}

// SamplerStats says how the sampling itself went.
type SamplerStats struct {
	Readings int64 `json:"readings"`
	// Late counts readings whose server part came more than 50 ms after it was asked for, as a line of its own; Missing
	// those for which it was not asked, since the reply before was still due.
	Late    int64 `json:"late"`
	Missing int64 `json:"missing"`
	// Skipped counts points of the 100 ms grid that went by before the reading before was done.
	Skipped int64   `json:"skipped"`
	CPUNs   int64   `json:"cpu_ns"` // of the sampling process, while sampling
	Seconds float64 `json:"seconds"`
	// ForeignCPUNs is the CPU time that other programs on this host took during ForeignSpanNs, from the begin of the
	// first phase after connecting to the end of the last. ForeignSpanNs is 0 where that was not measured.
	ForeignCPUNs  int64 `json:"foreign_cpu_ns"`
	ForeignSpanNs int64 `json:"foreign_span_ns"`
	// Throttled is in how many periods a CPU quota stopped this control group, the server's too, and ThrottledNs for how
	// long, while sampling; both are −1 where that could not be read.
	Throttled   int64 `json:"throttled"`
	ThrottledNs int64 `json:"throttled_ns"`
	// Born are the processes that a foreign server started after the sampling began.
	Born int64 `json:"born,omitempty"`
	// Notes are sentences about what was lost.
	Notes []string `json:"notes,omitempty"`
}

// Share is the part of one core that sampling took.
func (s SamplerStats) Share() float64 {
	if s.Seconds <= 0 {
		return 0
	}
	return float64(s.CPUNs) / 1e9 / s.Seconds
}

// Sampler writes a reading of a server and its host every 100 ms, on the grid T0 + k·100 ms, once a second where the server is
// many processes, and at the edges of phases; PSS at the first edge and at the end only, the sides of TIME_WAIT at the end. Each reading asks the server for
// its own part. Under load a server may answer late: the reading then goes without, and the reply is written as a line
// of its own, with the time at which it came. So a model that answers slowly when it is busy loses none of its peak.
//
// The CPU time of the whole calling process counts as the sampler's: an upper bound, since the agent does little else.
// Whoever calls Run calls Final or Close.
type Sampler struct {
	servers *Replicas
	beside  []int         // other processes that the host is not to be blamed for
	every   time.Duration // between two readings
	within  time.Duration // for the server's part
	t0      int64
	edges   []Edge
	out     *bufio.Writer
	pids    []int // of the server
	usage   usages
	host    *procfs.Host
	memory  *procfs.Memory
	cpu0    int64
	clocks  *procfs.CPUClocks // of the other processes, when the phases began; nil before and after them
	unread  error             // why they could not be read
	stats   SamplerStats
	late    <-chan json.RawMessage // the reply that is due, or nil
	next    int64                  // the next point of the grid, k
	edge    int                    // the next edge
	outside *outside               // of the reading before
	last    atomic.Pointer[results.Reading]
}

// NewSampler returns a sampler of a server that writes readings.jsonl to w, which it does not close. t0 is a CLOCK_MONOTONIC
// time in ns; edges are in order of time.
func NewSampler(servers *Replicas, w io.Writer, t0 int64, edges []Edge) *Sampler {
	s := &Sampler{servers: servers, t0: t0, edges: edges, out: bufio.NewWriterSize(w, spoolBuffer)}
	s.every, s.within = pace(len(servers.all))
	return s
}

// Last returns the latest reading, with only TNs zero before the first. It may be called by any goroutine.
func (s *Sampler) Last() results.Reading {
	if r := s.last.Load(); r != nil {
		return *r
	}
	return results.Reading{Schema: results.Schema}
}

// Run samples from T0 on until ctx ends, which is no error. It is one when the server ends or its resources can't be
// read. What was read is written in every case.
func (s *Sampler) Run(ctx context.Context) (SamplerStats, error) {
	if err := s.open(); err != nil {
		return s.stats, err
	}
	throttling := procfs.OpenThrottling()
	defer throttling.Close()
	periods, ns := throttling.Read()
	err := s.guarded(ctx)
	if s.stats.Throttled, s.stats.ThrottledNs = throttling.Read(); s.stats.Throttled != procfs.Unknown {
		s.stats.Throttled, s.stats.ThrottledNs = s.stats.Throttled-periods, s.stats.ThrottledNs-ns
	}
	if flushErr := s.out.Flush(); err == nil && flushErr != nil {
		err = fmt.Errorf("writing readings: %w", flushErr)
	}
	s.settle()
	return s.stats, err
}

// guarded is the loop, which ends where memory runs out.
func (s *Sampler) guarded(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := watchMemory(ctx, s.servers.First().command.Name, s.memory.Available); err != nil {
			stop(err)
		}
	}()
	err := s.loop(ctx)
	stop(nil) // the first cause stays
	<-watched
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		err = cause
	}
	return err
}

func (s *Sampler) open() error {
	var err error
	if s.pids, err = s.servers.PIDs(); err == nil {
		s.usage, err = openUsages(s.pids)
	}
	if err == nil {
		s.host, err = procfs.OpenHost()
	}
	if err == nil {
		s.memory, err = procfs.OpenMemory()
	}
	if err == nil {
		s.cpu0, err = procfs.CPUTime(0)
	}
	if err != nil {
		s.Close()
		return fmt.Errorf("sampling server %s: %w", s.servers.First().command.Name, err)
	}
	return nil
}

// Close closes the files of /proc. Run must have returned. It may be called more than once, and Final calls it.
func (s *Sampler) Close() {
	s.usage.close()
	if s.host != nil {
		s.host.Close()
	}
	if s.memory != nil {
		s.memory.Close()
	}
}

func (s *Sampler) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due, edge := s.due()
		timer.Reset(time.Duration(due - s.now()))
		select {
		case <-ctx.Done():
			return nil
		case <-s.servers.Done():
			return s.servers.Failure("ended while it was sampled")
		case reply := <-s.late:
			if err := s.takeLate(reply); err != nil {
				return err
			}
		case <-timer.C:
			if err := s.take(ctx, edge, false); err != nil {
				return err
			}
			s.advance(edge)
		}
	}
}

// now is the time in ns after T0.
func (s *Sampler) now() int64 { return procfs.Monotonic() - s.t0 }

// due returns when the next reading is due, and the name of the edge that it stands for.
func (s *Sampler) due() (int64, string) {
	grid := s.next * int64(s.every)
	if s.edge < len(s.edges) && s.edges[s.edge].AtNs <= grid+int64(sameTime) {
		return s.edges[s.edge].AtNs, s.edges[s.edge].Name
	}
	return grid, ""
}

// advance moves past the reading just taken, and past the points of the grid that it made obsolete.
func (s *Sampler) advance(edge string) {
	if edge == "" {
		s.next++
	} else {
		at := s.edges[s.edge].AtNs
		s.edge++
		if s.next*int64(s.every) <= at+int64(sameTime) {
			s.next++
		}
	}
	for now := s.now(); (s.next+1)*int64(s.every) <= now; s.next++ {
		s.stats.Skipped++
	}
}

// take makes and writes one reading. It waits for the server's part, longer for the final one.
func (s *Sampler) take(ctx context.Context, edge string, final bool) error {
	within := s.within
	if final {
		within = finalWithin
	}
	r := results.Reading{Schema: results.Schema, TNs: s.now(), Edge: edge}
	var replies <-chan json.RawMessage
	if s.late == nil {
		var err error
		if replies, err = s.servers.readings(); err != nil {
			s.stats.Missing++
		}
	} else {
		s.stats.Missing++
	}
	asked := time.Now()
	if edge != "" || final {
		if err := s.relist(final); err != nil {
			return fmt.Errorf("sampling server %s: %w", s.servers.First().command.Name, err)
		}
	}
	s.watchForeign(edge, final)
	if err := s.readOutside(edge, final); err != nil {
		return err
	}
	if replies != nil {
		limit := time.NewTimer(within - time.Since(asked))
		defer limit.Stop()
		select {
		case reply := <-replies:
			mergeServer(&r, reply)
		case <-limit.C:
			s.stats.Late++
			s.late = replies
		case <-s.servers.Done():
		case <-ctx.Done():
			s.late = replies
		}
	}
	s.outside.fill(&r)
	s.last.Store(&r)
	return s.write(&r)
}

// takeLate writes a reply that came late as a reading of its own; Last shows it beside the latest values from outside.
func (s *Sampler) takeLate(reply json.RawMessage) error {
	s.late = nil
	r := results.Reading{TNs: s.now()}
	mergeServer(&r, reply)
	shown := r
	s.outside.fill(&shown)
	s.last.Store(&shown)
	return s.write(&r)
}

// mergeServer takes over the server's own readings, whose names are those of results.Reading.
func mergeServer(r *results.Reading, reply json.RawMessage) {
	tNs, edge := r.TNs, r.Edge
	if err := json.Unmarshal(reply, r); err != nil {
		*r = results.Reading{}
	}
	r.Schema, r.TNs, r.Edge = results.Schema, tNs, edge
}

func (s *Sampler) write(r *results.Reading) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding a reading: %w", err)
	}
	if _, err := s.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing readings: %w", err)
	}
	s.stats.Readings++
	return nil
}

// settle brings the statistics up to date.
func (s *Sampler) settle() {
	if cpu, err := procfs.CPUTime(0); err == nil {
		s.stats.CPUNs = cpu - s.cpu0
	}
	s.stats.Seconds = float64(max(s.now(), 0)) / 1e9
	s.stats.Notes = nil
	note := func(n int64, text string) {
		if n > 0 {
			s.stats.Notes = append(s.stats.Notes, fmt.Sprintf("%d of %d readings %s", n, s.stats.Readings, text))
		}
	}
	note(s.stats.Late, fmt.Sprintf("got the server's part later than %v after asking; it is in lines of its own", s.within))
	note(s.stats.Missing, "have no server's part: the reply before was still due")
	if s.stats.Born > 0 {
		s.stats.Notes = append(s.stats.Notes, fmt.Sprintf("%d processes of the server were started while it was sampled, and are in the readings from the next edge on only", s.stats.Born))
	}
	note(s.stats.Skipped, "were left out: the one before took too long")
	if s.unread != nil {
		s.stats.Notes = append(s.stats.Notes, "no CPU time of other programs: "+s.unread.Error())
	}
}

// Final takes the last reading, once all load is over and Run has returned, as at an edge, and ends the sampling. The
// server has 2 s to answer; it is an error if its part is missing, and the reading is written all the same.
func (s *Sampler) Final(ctx context.Context) (results.Reading, error) {
	if s.host == nil {
		return s.Last(), errors.New("taking the last reading: the sampler never ran")
	}
	defer s.Close()
	if s.late != nil {
		limit := time.NewTimer(finalWithin)
		defer limit.Stop()
		select {
		case reply := <-s.late:
			if err := s.takeLate(reply); err != nil {
				return s.Last(), err
			}
		case <-limit.C:
		case <-ctx.Done():
		case <-s.servers.Done():
		}
	}
	err := s.take(ctx, "", true)
	if err == nil {
		err = s.out.Flush()
	}
	s.settle()
	r := s.Last()
	if err == nil && r.Handled == nil && !s.servers.First().isForeign() {
		err = s.servers.Failure("did not tell its last readings")
	}
	return r, err
}
