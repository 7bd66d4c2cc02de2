// Package recording counts what a load does, shard by shard and without allocating, and adds it up to a report.
package recording

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/clients/witness"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/procfs"
)

// Recording gathers what the shards of one load record: their finished histograms as the load goes on, and the rest at
// the end.
//
//	rec, err := NewRecording(plan, shards)
//	rec.Begin(t0)
//	rec.Shard(i).Begin(t0)    // each used by one thread, and closed at its end
//	report, err := rec.Report(facts)
//
// Its collector merges and encodes on a thread of lowest priority, so that on a shared CPU it runs while the load sleeps.
type Recording struct {
	plan   *clients.Plan
	tl     *Timeline
	t0     int64
	shards []*Recorder
	in     chan finished
	back   chan *cellHists
	done   chan struct{}

	// witness is the collector's, if there is one, until done is closed. What it saw is in the next three at the end.
	witness      *witness.Witness
	kernel       checks.Kernel
	surroundings []checks.Surroundings // by span
	peakRSS      int64                 // of the process in bytes

	// The collector's, until done is closed.
	cells   map[int32]*finished // not yet finished by all shards
	left    []int               // shards that have not finished a cell
	phases  []*cellHists
	seconds []second
	logs    *hist.Files // logNames
}

// finished is what a shard measured of one cell, the trickle apart; hists is nil without requests.
type finished struct {
	cell    int32
	planned int64
	hists   *cellHists
}

// cellHists are the latencies of one cell.
type cellHists struct{ response, service, lag *hist.Histogram }

// second gathers the cells of one second.
type second struct {
	left     int // cells
	planned  int64
	response *hist.Histogram
	summary  hist.Summary
}

// collectorQueue is how many finished cells of all shards may wait for the collector before shards keep them. Shards
// look ten times a second, and finish one or two cells a second.
const collectorQueue = 64

// warmSets is how many sets of histograms a shard finds ready: for the cell under way, the last one, and the edges.
const warmSets = 4

// warmSetsOfMany are those where there are many processes, which together have the more memory in them. A set that is missing is
// made in some 50 µs.
const warmSetsOfMany = 2

func newCellHists() *cellHists { return &cellHists{hist.New(), hist.New(), hist.New()} }

func (h *cellHists) each() [3]*hist.Histogram {
	return [3]*hist.Histogram{h.response, h.service, h.lag}
}

func (h *cellHists) merge(o *cellHists) {
	h.response.Merge(o.response)
	h.service.Merge(o.service)
	h.lag.Merge(o.lag)
}

// logNames are the logs in the order of cellHists.each.
var logNames = []string{"response.hlog", "service.hlog", "lag.hlog"}

// NewRecording prepares the recording of a plan over so many shards, and creates the logs in plan.LogDir.
func NewRecording(plan *clients.Plan, shards int) (*Recording, error) {
	rec := newRecording(plan, shards)
	tl := rec.tl
	rec.witness = witness.New()
	rec.in, rec.back, rec.done = make(chan finished, collectorQueue), make(chan *cellHists, collectorQueue), make(chan struct{})
	for range shards {
		rec.shards = append(rec.shards, &Recorder{
			tl: tl, Slots: make([]int64, len(tl.Spans)-tl.First), cells: make([]cell, len(tl.cells)), windows: make([]window, (tl.End()+IntervalNs-1)/IntervalNs),
			connect: make([]*hist.Histogram, len(tl.Spans)), before: hist.New(), live: hist.New(), lag: hist.New(),
			flow: make([]flow, len(tl.Spans)), trickles: make([]apart, len(tl.Spans)), sides: newSides(plan, len(tl.Spans)), out: rec.in, back: rec.back,
		})
	}
	warm := warmSets
	if plan.Agents > 1 {
		warm = warmSetsOfMany
	}
	for range min(warm*shards, collectorQueue) {
		rec.back <- newCellHists()
	}
	return rec, rec.createLogs()
}

// newRecording is a recording without shards, of whose cells each is finished by so many.
func newRecording(plan *clients.Plan, finishers int) *Recording {
	tl := NewTimeline(plan)
	rec := &Recording{
		plan: plan, tl: tl, cells: make(map[int32]*finished), left: make([]int, len(tl.cells)),
		phases: make([]*cellHists, len(tl.Spans)), seconds: make([]second, (tl.End()+1e9-1)/1e9),
	}
	for i := range rec.phases {
		rec.phases[i] = newCellHists()
	}
	for i, c := range tl.cells {
		rec.left[i] = finishers
		rec.seconds[c.second].left++
	}
	return rec
}

func (rec *Recording) createLogs() (err error) {
	if rec.plan.LogDir == "" {
		return nil
	}
	rec.logs, err = hist.CreateFiles(rec.plan.LogDir, logNames...)
	if err == nil {
		rec.logs.Stored = rec.plan.Agents > 1 // to be merged
	}
	return err
}

// startLogs writes their heads, with T0 by the wall clock.
func (rec *Recording) startLogs() {
	rec.logs.Start(time.Now().Add(time.Duration(rec.t0 - procfs.Monotonic())))
}

// Timeline is the time axis of the recording.
func (rec *Recording) Timeline() *Timeline { return rec.tl }

// Shard is the recorder of shard i.
func (rec *Recording) Shard(i int) *Recorder { return rec.shards[i] }

// Begin fixes T0, a CLOCK_MONOTONIC time in ns, and starts the collector. Every shard then calls its Recorder's Begin.
func (rec *Recording) Begin(t0 int64) {
	rec.t0 = t0
	go rec.collect()
}

// Abandon ends a recording that measured nothing. If it has begun, every shard must be closed.
func (rec *Recording) Abandon() {
	if rec.t0 != 0 {
		<-rec.done
	}
	rec.witness.Close()
	// Of logs without a line there is nothing to lose.
	_ = rec.logs.Close()
}

// Progress is what the shards last told.
func (rec *Recording) Progress() clients.Progress {
	var p clients.Progress
	for _, r := range rec.shards {
		u := &r.pulse
		p.TNs = max(p.TNs, u.at.Load())
		p.OfferedRPS += float64(u.offered.Load())
		p.AchievedRPS += float64(u.achieved.Load())
		p.P99Ns = max(p.P99Ns, u.p99.Load())
		p.LagP99Ns = max(p.LagP99Ns, u.lagP99.Load())
		p.InFlight += u.inFlight.Load()
		p.Open += u.open.Load()
	}
	for _, s := range rec.tl.Spans {
		if p.TNs >= s.From {
			p.Phase = s.Name
		}
	}
	return p
}

// collect takes finished cells until every shard has finished every cell, and looks at the surroundings at every edge of a
// phase.
func (rec *Recording) collect() {
	defer close(rec.done)
	defer rec.witness.Close()
	// Never unlocked: the thread keeps its low priority, and ends with this goroutine.
	runtime.LockOSThread()
	// A priority may always be lowered; without it, the collector only competes.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19)
	rec.startLogs()
	edges := []int64{rec.t0}
	for _, s := range rec.tl.Spans {
		edges = append(edges, rec.t0+s.To)
	}
	rec.witness.Begin(edges)
	edge := time.NewTimer(rec.witness.Wait())
	defer edge.Stop()
	for n := len(rec.shards) * len(rec.tl.cells); n > 0; {
		select {
		case f := <-rec.in:
			rec.take(f)
			n--
		case <-edge.C:
			rec.witness.Turn()
			edge.Reset(rec.witness.Wait())
		}
	}
}

// take merges what one shard measured of a cell, and completes the cell with the last shard.
func (rec *Recording) take(f finished) {
	have := rec.cells[f.cell]
	if have == nil {
		have = &finished{cell: f.cell}
		rec.cells[f.cell] = have
	}
	have.planned += f.planned
	switch {
	case have.hists == nil:
		have.hists = f.hists
	case f.hists != nil:
		have.hists.merge(f.hists)
		rec.giveBack(f.hists)
	}
	if rec.left[f.cell]--; rec.left[f.cell] > 0 {
		return
	}
	delete(rec.cells, f.cell)
	rec.complete(have)
}

func (rec *Recording) complete(f *finished) {
	c := rec.tl.cells[f.cell]
	s := &rec.seconds[c.second]
	s.left--
	s.planned += f.planned
	if f.hists != nil {
		rec.phases[c.span].merge(f.hists)
		for i, h := range f.hists.each() {
			rec.logs.Write(i, rec.tl.Spans[c.span].Name, c.from, c.to-c.from, h)
		}
	}
	switch {
	case s.left > 0 && f.hists != nil:
		if s.response == nil {
			s.response = hist.New()
		}
		s.response.Merge(f.hists.response)
	case s.left == 0:
		h := s.response
		switch {
		case h == nil && f.hists == nil:
			h = hist.New()
		case h == nil:
			h = f.hists.response
		case f.hists != nil:
			h.Merge(f.hists.response)
		}
		s.summary = h.Summary(s.planned - h.Count() - h.Outside())
		s.response = nil
	}
	if f.hists != nil {
		rec.giveBack(f.hists)
	}
}

func (rec *Recording) giveBack(h *cellHists) {
	for _, x := range h.each() {
		x.Reset()
	}
	select {
	case rec.back <- h:
	default:
	}
}
