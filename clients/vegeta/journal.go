package vegeta

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/internal/procfs"
)

// request is one planned request from the moment it is due. Times are CLOCK_MONOTONIC in ns.
type request struct {
	number      int64 // in the whole stream
	intended    int64 // in a closed loop: when it was sent
	closedUntil int64 // end of the closed phase it belongs to; zero in an open loop
	steady      bool  // intended in a measured steady phase

	// The journal's, from start on.
	free, begun int64

	// The worker's until its result is drained, then the journal's.
	outcome   clients.Outcome
	sent      int64 // when it had a connection to write to; zero if it never had
	bodyBytes int64 // of a whole reply
	status    int   // of a whole reply, if it is not 2xx

	cell    int32 // the clerk's
	counted bool  // it has a cell
}

// event is something to record, at the time it happened.
type event struct {
	at    int64
	kind  eventKind
	r     *request
	begun int64 // of a connection
	why   clients.ConnectFailure
}

type eventKind uint8

const (
	due eventKind = iota
	started
	finished
	connected
	notConnected
)

// journal brings what pacer, workers, dialer and drain tell, each on its own goroutine, into the order of time and to the
// recorders, which have one user: the clerk. vegeta's result carries an error as text only, so the outcome of a request
// travels here, by its sequence number.
type journal struct {
	mu      sync.Mutex
	over    bool
	bySeq   map[uint64]*request // due or sent, and not drained; at most the workers and one
	inbox   []event
	next    int64 // no arrival intended before it is yet to be registered
	endings []int64
	drained uint64 // results so far; endings[i%len] is the end of result i
	workers uint64

	rec    *recording.Recording
	procs  int
	open   atomic.Int64 // connections
	once   bool         // a connection carries one request
	target *target
	work   func(number int64) bool

	// The same moment on both clocks.
	base   time.Time
	baseNs int64

	// The clerk's, and afterwards close's.
	waited  int64 // requests of measured steady phases that found every worker busy
	spare   []event
	pending []event
	edges   []int64
	cpu     int64 // of the process before begin
	due     int64 // since the last Tick
	busy    sync.WaitGroup
	quit    chan struct{}
}

// newJournal returns a journal whose recorders share the process's CPU time: shard 0 has all requests, and the others
// stand for the other processors that a single attacker spreads over.
func newJournal(plan *clients.Plan, t *target, rec *recording.Recording, procs, workers int) *journal {
	return &journal{
		bySeq: make(map[uint64]*request, workers+1), endings: make([]int64, 2*workers), workers: uint64(workers),
		rec: rec, procs: procs, once: plan.Scenario.Connections.Requests == 1, target: t,
		work: func(n int64) bool { return arrivals.AsksForWork(plan.Seed, n, plan.Scenario.Work.Share) },
		base: time.Now(), baseNs: procfs.Monotonic(), quit: make(chan struct{}), next: never,
	}
}

// begin starts the recording at T0 and the clerk.
func (j *journal) begin(t0 int64) {
	j.rec.Begin(t0)
	for i := range j.procs {
		j.rec.Shard(i).Begin(t0)
	}
	for i := range j.rec.Shard(0).Slots {
		j.rec.Shard(0).Slots[i] = int64(j.workers)
	}
	for _, s := range j.rec.Timeline().Spans {
		j.edges = append(j.edges, t0+s.To)
	}
	j.cpu, _ = procfs.CPUTime(0) // one's own clock can always be read
	j.busy.Go(j.clerk)
}

// expect tells when the next arrival is due that is not registered yet.
func (j *journal) expect(next int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next = next
}

// register enters a request that is due, before vegeta hands it to a worker, and when the next one will be.
func (j *journal) register(seq uint64, r *request, next int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next = next
	j.bySeq[seq] = r
	if r.closedUntil == 0 {
		j.inbox = append(j.inbox, event{at: r.intended, kind: due, r: r})
	}
}

// start enters that a worker is about to send a request. It returns nil if that is no longer wanted.
//
// With N workers request s can't start before s−N+1 results were drained, so the worker that takes it became free with
// the end of that one.
func (j *journal) start(seq uint64) *request {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.bySeq[seq]
	now := procfs.Monotonic() // under the lock: no later start has an earlier time
	if r == nil || j.over || r.closedUntil != 0 && now >= r.closedUntil {
		return nil
	}
	r.begun = now
	if r.closedUntil != 0 {
		r.intended = now
	}
	if seq >= j.workers {
		switch i := seq - j.workers; {
		case i >= j.drained:
			r.free = now // ended so lately that it is not entered yet
		case j.drained-i <= uint64(len(j.endings)):
			r.free = j.endings[i%uint64(len(j.endings))]
		}
	}
	j.inbox = append(j.inbox, event{at: now, kind: started, r: r})
	return r
}

// finish enters a result of vegeta's.
func (j *journal) finish(seq uint64, picked time.Time, latency time.Duration) {
	done := j.baseNs + int64(picked.Add(latency).Sub(j.base))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.endings[j.drained%uint64(len(j.endings))] = done
	j.drained++
	if r := j.bySeq[seq]; r != nil && r.begun != 0 {
		delete(j.bySeq, seq)
		j.inbox = append(j.inbox, event{at: done, kind: finished, r: r})
	}
}

// connected enters an open connection.
func (j *journal) connected(begun, open int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.inbox = append(j.inbox, event{at: open, kind: connected, begun: begun})
}

// connectFailed enters an attempt to connect that failed.
func (j *journal) connectFailed(why clients.ConnectFailure) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.inbox = append(j.inbox, event{at: procfs.Monotonic(), kind: notConnected, why: why})
}

// stop ends the load: nothing starts after the time that it returns.
func (j *journal) stop() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.over = true
	return procfs.Monotonic()
}

// The clerk works every clerkEvery, and holds events back for settle, since a result is drained a little after its end.
const (
	clerkEvery = 10 * time.Millisecond
	settle     = int64(2 * time.Millisecond)
)

// clerk records until close.
func (j *journal) clerk() {
	tick := time.NewTicker(clerkEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.quit:
			return
		case <-tick.C:
			j.flush(procfs.Monotonic() - settle)
		}
	}
}

// flush records what happened until a time, in order.
func (j *journal) flush(until int64) {
	j.mu.Lock()
	in := j.inbox
	j.inbox = j.spare[:0]
	horizon := min(j.next, procfs.Monotonic())
	j.mu.Unlock()
	shard := j.rec.Shard(0)
	for _, e := range in {
		// A request counts as planned at once, so that the horizon holds.
		if r := e.r; r != nil && !r.counted {
			r.cell, r.counted = shard.Due(r.intended), true
			j.due++
		}
		if e.kind != due {
			j.pending = append(j.pending, e)
		}
	}
	clear(in)
	j.spare = in
	slices.SortStableFunc(j.pending, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for len(j.edges) > 0 && j.edges[0] <= until {
		j.record(j.edges[0], horizon)
		j.edges = j.edges[1:]
	}
	j.record(until, horizon)
}

// record applies the pending events until a time, and ticks.
func (j *journal) record(until, horizon int64) {
	n := 0
	for n < len(j.pending) && j.pending[n].at <= until {
		j.apply(j.pending[n])
		n++
	}
	j.pending = slices.Delete(j.pending, 0, n)
	cpu, _ := procfs.CPUTime(0)
	for i := range j.procs {
		s := recording.Status{Horizon: horizon, CPUNs: (cpu - j.cpu) / int64(j.procs)}
		if i == 0 {
			s.Due, s.Open = j.due, j.open.Load()
		}
		j.rec.Shard(i).Tick(until, s)
	}
	j.due = 0
}

func (j *journal) apply(e event) {
	shard, r := j.rec.Shard(0), e.r
	switch e.kind {
	case connected:
		shard.Connected(e.begun, e.at)
	case notConnected:
		shard.ConnectFailed(e.why, e.at)
	case started:
		if r.steady && r.free > r.intended {
			j.waited++
		}
		if j.once {
			shard.Wanted++
		}
		shard.BodyBytesOut += j.target.bodyLen(r.number)
		shard.Sent(r.cell, r.intended, r.free, r.begun)
	case finished:
		shard.BodyBytesIn += r.bodyBytes
		if r.status > 0 {
			shard.Statuses[r.status%len(shard.Statuses)]++
		}
		shard.Finish(r.cell, r.outcome, r.intended, r.begun, r.sent, e.at)
		shard.Side(r.cell, j.work(r.number), r.outcome, r.intended, e.at)
	}
}

// close ends the clerk and gives an outcome to what has none: everything due until the end that was not sent. Nobody else
// may use the journal and the pacer any more.
func (j *journal) close(p *pacer, end int64) {
	close(j.quit)
	j.busy.Wait()
	j.flush(end)
	for _, e := range j.pending {
		j.apply(e)
	}
	shard := j.rec.Shard(0)
	for _, r := range j.bySeq {
		if r.counted && r.begun == 0 {
			shard.Finish(r.cell, clients.Unsent, r.intended, 0, 0, end)
			shard.Side(r.cell, j.work(r.number), clients.Unsent, r.intended, end)
		}
	}
	for at := p.nextDue(); at <= end; at = p.nextDue() {
		work := j.work(p.cursor.Number())
		p.cursor.Next()
		c := shard.Due(at)
		shard.Finish(c, clients.Unsent, at, 0, 0, end)
		shard.Side(c, work, clients.Unsent, at, end)
	}
	for i := range j.procs {
		j.rec.Shard(i).Close()
	}
}
