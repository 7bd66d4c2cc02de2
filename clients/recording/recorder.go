package recording

import (
	"sync/atomic"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/internal/hist"
)

// Recorder counts what one shard of a load does. It belongs to the shard's thread; only Progress may look at it from
// elsewhere. Times are CLOCK_MONOTONIC in ns. No method allocates per request, encodes or takes a lock: histograms that
// are finished go to the Recording's collector.
type Recorder struct {
	// BodyBytesIn and BodyBytesOut count the bodies of whole replies and of requests; the shard adds to them.
	BodyBytesIn, BodyBytesOut int64
	// Statuses[s] counts the replies with http status s other than 2xx, for s in [100, 600); the shard adds to it.
	Statuses [600]uint32
	// Wanted counts the connections that would be needed if the server closed none; the shard adds to it.
	Wanted int64
	// Lost counts connections that ended before they were to, Reopened those that took the place of such, and Open is how many
	// were open at the end; the shard sets them.
	Lost, Reopened, Open int64
	// Renewed counts connections that took the place of one that the plan had closed; the shard adds to it, and to Wanted.
	Renewed int64
	// Slots[p] is how many requests the active connections of this shard can carry at once in phase p of the scenario; the
	// shard sets it.
	Slots []int64

	tl      *Timeline
	t0, end int64 // of the timeline
	cells   []cell
	hint    int32 // the cell of the last request that became due
	oldest  int32 // all cells before it were handed to the collector
	windows []window
	at      int // the window that is under way
	connect []*hist.Histogram
	before  *hist.Histogram // connect times before T0
	opened  int64
	failed  int64                // attempts to connect before T0
	why     clients.ConnectTally // of all that failed

	live *hist.Histogram // response times of the window under way, by the time the reply came
	lag  *hist.Histogram // generator lag of the window under way
	// ticked is whether there was a Tick; cpu and waited are CPUNs and WaitedNs at the last one.
	ticked      bool
	cpu, waited int64

	stallFrom, stallTo int64 // the stall under way, or that was last; counted up to stallFrom
	looks              bool  // Gap is told

	flow     []flow  // of each span
	trickles []apart // of each span
	sides    []sides // of each span; nil where all requests are of one kind
	span     int     // the span under way
	inFlight int64
	begun    int64 // Σ begun − T0 of the requests in flight
	changed  int64 // when inFlight was last added up

	out   chan<- finished
	back  chan *cellHists
	pulse pulse
}

// cell counts the requests intended in one cell of the timeline.
type cell struct {
	planned int64
	waited  int64 // for a connection
	// trickled of the planned have no latency here.
	trickled int64
	done     int64
	tally    clients.Tally
	last     int64 // when the last of them got its outcome
	handed   bool
	hists    *cellHists
}

// window is an Interval and what the checks want to know beside it.
type window struct {
	clients.Interval
	offered  int64 // requests sent, or waiting for a connection; at the time they became either
	lagP99Ns int64
	p99Ns    int64 // of the response times of the replies that came in it; zero without any
	gapNs    int64 // longest Gap
	waitedNs int64
}

// flow counts what happened during a span, whenever it was intended.
type flow struct {
	areaNs   int64 // ∫ requests in flight dt
	heldNs   int64 // Σ done − begun of all requests that ended here; in a closed loop also Σ begun − due of those that began here
	finished int64
	ok       int64
	failed   int64 // attempts to connect
	stalls   checks.Stalls
}

// pulse is what Progress reads.
type pulse struct {
	at, offered, achieved, p99, lagP99, inFlight, open atomic.Int64
	due                                                [10]int64 // of the last ticks; the shard's own
	ticks                                              int
}

// Begin tells the recorder T0. It must come before the first request is due; connections may be opened before.
func (r *Recorder) Begin(t0 int64) { r.t0, r.changed, r.end = t0, t0, t0+r.tl.End() }

// Due counts a request that was, or is, due at a time, and returns the cell it belongs to. A time outside the phases
// counts in the nearest one.
func (r *Recorder) Due(intended int64) int32 {
	t := intended - r.t0
	i, cells := r.hint, r.tl.cells
	for t >= cells[i].to && int(i) < len(cells)-1 {
		i++
	}
	for t < cells[i].from && i > 0 {
		i--
	}
	r.hint = i
	r.cells[i].planned++
	r.window(t).Planned++
	return i
}

// Sent counts that a request's first byte was written, or its connection begun, at a time. free is when the connection
// it went out on became free for it.
func (r *Recorder) Sent(c int32, intended, free, sent int64) {
	r.Late(c, sent-max(intended, free))
	r.Begun(c, intended, free, sent)
}

// Late counts the generator lag of a request.
func (r *Recorder) Late(c int32, lag int64) {
	r.hists(c).lag.Record(lag)
	r.lag.Record(lag)
}

// Begun counts what Sent does, the lag apart: Late must be called before the next Tick. In a closed loop a request is due when
// its connection becomes free, and holds it from then on.
func (r *Recorder) Begun(c int32, intended, free, sent int64) {
	r.window(sent-r.t0).Sent++
	if free > intended {
		r.cells[c].waited++
		r.window(intended-r.t0).offered++
	} else {
		r.window(sent-r.t0).offered++
	}
	r.flows(sent)
	if r.tl.Spans[r.span].Closed {
		r.flow[r.span].heldNs += min(sent, r.end) - min(max(intended, free), r.end)
	}
	r.inFlight++
	r.begun += min(sent, r.end) - r.t0
}

// Finish counts the outcome of a request at a time. begun is the time that Sent was told, zero for a request that never
// was; sent is when its first byte was written, later than begun if its connection had to be opened, zero if it never was.
func (r *Recorder) Finish(c int32, o clients.Outcome, intended, begun, sent, done int64) {
	e := &r.cells[c]
	e.tally[o]++
	e.done++
	e.last = max(e.last, done)
	w := r.window(done - r.t0)
	if o == clients.OK {
		w.OK++
		r.flow[r.span].ok++
		h := r.hists(c)
		h.response.Record(done - intended)
		h.service.Record(done - sent)
		r.live.Record(done - intended)
	} else {
		w.Failed++
	}
	if begun == 0 { // it waited for a connection
		e.waited++
		r.window(intended-r.t0).offered++
		return
	}
	r.flows(done)
	r.inFlight--
	r.begun -= min(begun, r.end) - r.t0
	f := &r.flow[r.span]
	f.heldNs += min(done, r.end) - min(begun, r.end)
	f.finished++
}

// Behind tells of a request that Finish was told of as never sent that it waited for no connection: the client did not get to
// it, and so it was not offered.
func (r *Recorder) Behind(c int32, intended int64) {
	r.cells[c].waited--
	r.window(intended-r.t0).offered--
}

// Connected counts a connection that was begun at one time and open at another.
func (r *Recorder) Connected(begun, open int64) {
	r.opened++
	t := open - r.t0
	if r.t0 == 0 || t < 0 {
		r.before.Record(open - begun)
		return
	}
	r.window(t).Opened++
	h := &r.connect[r.span]
	if *h == nil {
		*h = hist.New()
	}
	(*h).Record(open - begun)
}

// ConnectFailed counts an attempt to connect that failed at a time, and why.
func (r *Recorder) ConnectFailed(why clients.ConnectFailure, at int64) {
	r.why[why]++
	if r.t0 == 0 || at < r.t0 {
		r.failed++
		return
	}
	r.flow[r.span].failed++
}

// Gap tells that the shard looked for no events from one time to another, though not for want of them. The window it
// begins in is not charged for what reaches into others, so that one short gap makes one late window.
func (r *Recorder) Gap(from, to int64) {
	r.looks = true
	if to-from >= checks.StallNs {
		r.stall(from, to)
	}
	last := r.index(to - r.t0)
	for i := min(r.index(from-r.t0)+1, last); i <= last; i++ {
		r.windows[i].gapNs = max(r.windows[i].gapNs, to-from)
	}
}

// stall counts a stall. One that begins before a quarter of its length has gone by since the one before goes on with that:
// the shard had no time to recover.
func (r *Recorder) stall(from, to int64) {
	if from-r.stallTo >= (to-from)/4 {
		r.endStall()
		r.stallFrom = from
	}
	r.stallTo = to
}

// endStall counts the stall under way, if any, in the span under way.
func (r *Recorder) endStall() {
	s := r.tl.Spans[r.span]
	r.flow[r.span].stalls.Add(min(r.stallTo, r.t0+s.To) - max(r.stallFrom, r.t0+s.From))
	// What reaches beyond the span goes on in the next.
	r.stallFrom = min(r.stallTo, r.t0+s.To)
}

// Status is what a shard tells with every Tick.
type Status struct {
	// Horizon promises that no request intended before it will become Due any more.
	Horizon int64
	// CPUNs is the CPU time of the thread so far, deliberate spinning apart.
	CPUNs int64
	// WaitedNs is how long the thread was ready so far and had no CPU; zero if that is not known.
	WaitedNs int64
	// Open is how many connections are open now.
	Open int64
	// Due is how many requests became due since the last Tick.
	Due int64
}

// Tick is to be called at every edge of a phase and at least every IntervalNs. It takes some tens of µs every
// IntervalNs and next to nothing between.
func (r *Recorder) Tick(now int64, s Status) {
	t := now - r.t0
	if r.ticked { // what came before, such as opening connections, is not the load's
		w := &r.windows[r.at] // that ends with this Tick, or goes on
		w.CPUNs += s.CPUNs - r.cpu
		w.waitedNs += s.WaitedNs - r.waited
	}
	r.ticked, r.cpu, r.waited = true, s.CPUNs, s.WaitedNs
	for r.span < len(r.tl.Spans)-1 && t >= r.tl.Spans[r.span].To {
		r.endStall()
		r.flows(r.t0 + r.tl.Spans[r.span].To)
		// What is in flight at the edge was so for its age in this span, and will be for the rest in others.
		age := r.inFlight*(r.changed-r.t0) - r.begun
		r.flow[r.span].heldNs += age
		r.span++
		r.flow[r.span].heldNs -= age
	}
	r.flows(now)
	r.pulse.due[r.pulse.ticks%len(r.pulse.due)] += s.Due
	if i := r.index(t); i != r.at {
		r.turn(i)
		r.publish(t, s.Open)
	}
	for i := r.oldest; int(i) < len(r.cells) && r.t0+r.tl.cells[i].to <= min(s.Horizon, now); i++ {
		if e := &r.cells[i]; e.done == e.planned && !e.handed {
			select {
			case r.out <- finished{i, e.planned - e.trickled, e.hists}:
				e.handed, e.hists = true, nil
			default:
			}
		}
		if r.cells[i].handed && i == r.oldest {
			r.oldest++
		}
	}
}

// Close hands over all that is left. It blocks until the collector has taken it. Every request must have an outcome.
func (r *Recorder) Close() {
	r.endStall()
	r.turn(r.at)
	for i := range r.cells {
		if e := &r.cells[i]; !e.handed {
			r.out <- finished{int32(i), e.planned - e.trickled, e.hists}
			e.handed, e.hists = true, nil
		}
	}
	r.pulse.open.Store(0)
	r.pulse.inFlight.Store(0)
}

// turn ends the window under way and begins another.
func (r *Recorder) turn(i int) {
	r.windows[r.at].lagP99Ns, r.windows[r.at].p99Ns = r.lag.Quantile(0.99), r.live.Quantile(0.99)
	r.lag.Reset()
	r.live.Reset()
	r.at = i
}

// publish renews what Progress reads.
func (r *Recorder) publish(t, open int64) {
	p := &r.pulse
	var due, ok, lag, p99 int64
	for _, n := range p.due {
		due += n
	}
	last := r.windows[max(r.at-len(p.due), 0):r.at]
	for i := range last {
		ok += last[i].OK
		lag = max(lag, last[i].lagP99Ns)
		p99 = max(p99, last[i].p99Ns)
	}
	p.at.Store(t)
	p.offered.Store(due)
	p.achieved.Store(ok)
	p.lagP99.Store(lag)
	p.p99.Store(p99)
	p.inFlight.Store(r.inFlight)
	p.open.Store(open)
	p.ticks++
	p.due[p.ticks%len(p.due)] = 0
}

// InFlight is how many requests are sent and not answered.
func (r *Recorder) InFlight() int64 { return r.inFlight }

// flows adds up the time that requests spent in flight until now. A client that overslept the end of the load goes on for a
// moment: that belongs to no phase.
func (r *Recorder) flows(now int64) {
	if now = min(now, r.end); now > r.changed {
		r.flow[r.span].areaNs += r.inFlight * (now - r.changed)
		r.changed = now
	}
}

// hists are the histograms of a cell, taken from the pool with its first request.
func (r *Recorder) hists(c int32) *cellHists {
	e := &r.cells[c]
	if e.hists == nil {
		select {
		case e.hists = <-r.back:
		default:
			e.hists = newCellHists()
		}
	}
	return e.hists
}

func (r *Recorder) window(t int64) *window { return &r.windows[r.index(t)] }

func (r *Recorder) index(t int64) int {
	return int(min(max(t, 0)/IntervalNs, int64(len(r.windows)-1)))
}
