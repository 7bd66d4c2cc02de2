package recording

import (
	"fmt"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/internal/hist"
)

// Part is everything that one process of a load measured, on its way to where the parts are merged. The latencies of requests
// stay in its logs, so that it does not grow with them.
type Part struct {
	// Agent of Agents that made the load.
	Agent  int `json:"agent"`
	Agents int `json:"agents"`
	// T0Ns is the CLOCK_MONOTONIC time that the load's times count from, the same in all parts of a load.
	T0Ns int64 `json:"t0_ns"`
	// LateNs is how long after T0 the agent learned of it; zero if it was told before.
	LateNs       int64                 `json:"late_ns"`
	Facts        Facts                 `json:"facts"`
	PeakRSSBytes int64                 `json:"peak_rss_bytes"`
	Kernel       checks.Kernel         `json:"kernel"`
	Surroundings []checks.Surroundings `json:"surroundings"` // by span
	Shards       []shardPart           `json:"shards"`

	// LogDir is where response.hlog, service.hlog and lag.hlog of the agent are, set by whoever collected them.
	LogDir string `json:"-"`
}

// shardPart is what a Recorder holds in the end.
type shardPart struct {
	BodyBytesIn  int64                `json:"body_bytes_in"`
	Statuses     map[int]uint32       `json:"statuses,omitempty"`
	BodyBytesOut int64                `json:"body_bytes_out"`
	Wanted       int64                `json:"wanted"`
	Opened       int64                `json:"opened"`
	Failed       int64                `json:"failed"` // before T0
	Why          clients.ConnectTally `json:"why"`
	Looks        bool                 `json:"looks"`
	Slots        []int64              `json:"slots"`
	Before       *hist.Histogram      `json:"before"`
	Connect      []*hist.Histogram    `json:"connect"` // by span; nil without any
	Cells        []cellPart           `json:"cells"`
	Windows      []windowPart         `json:"windows"`
	Flows        []flowPart           `json:"flows"`
	Trickles     []apart              `json:"trickles"` // by span
	Sides        []sides              `json:"sides,omitempty"`
	Lost         int64                `json:"lost"`
	Reopened     int64                `json:"reopened"`
	Renewed      int64                `json:"renewed,omitempty"`
	Open         int64                `json:"open"`
}

// cellPart, windowPart and flowPart are a cell, a window and a flow.
type cellPart struct {
	Planned  int64          `json:"planned,omitempty"`
	Waited   int64          `json:"waited,omitempty"`
	Trickled int64          `json:"trickled,omitempty"`
	Last     int64          `json:"last,omitempty"`
	Tally    *clients.Tally `json:"tally,omitempty"` // nil without requests
}

type windowPart struct {
	Planned  int64 `json:"p,omitempty"`
	Sent     int64 `json:"s,omitempty"`
	OK       int64 `json:"k,omitempty"`
	Failed   int64 `json:"f,omitempty"`
	Opened   int64 `json:"o,omitempty"`
	CPUNs    int64 `json:"c,omitempty"`
	Offered  int64 `json:"d,omitempty"`
	LagP99Ns int64 `json:"l,omitempty"`
	GapNs    int64 `json:"g,omitempty"`
	WaitedNs int64 `json:"w,omitempty"`
	P99Ns    int64 `json:"n,omitempty"`
}

type flowPart struct {
	AreaNs   int64         `json:"area_ns"`
	HeldNs   int64         `json:"held_ns"`
	Finished int64         `json:"finished"`
	OK       int64         `json:"ok"`
	Failed   int64         `json:"failed"`
	Stalls   checks.Stalls `json:"stalls"`
}

// Part waits for the collector, closes the logs and returns what is to be merged with other parts, in place of Report. The
// plan must have a LogDir. Every shard must be closed. An error is one of writing the logs, without which there is no part.
func (rec *Recording) Part(f Facts) (*Part, error) {
	if err := rec.end(); err != nil {
		return nil, err
	}
	if rec.plan.LogDir == "" {
		return nil, fmt.Errorf("recording a part of a load: no directory for its logs")
	}
	p := &Part{
		Agent: rec.plan.Agent, Agents: max(rec.plan.Agents, 1), T0Ns: rec.t0, Facts: f, PeakRSSBytes: rec.peakRSS, Kernel: rec.kernel,
		Surroundings: rec.surroundings, LogDir: rec.plan.LogDir,
	}
	for _, r := range rec.shards {
		p.Shards = append(p.Shards, r.part())
	}
	return p, nil
}

func (r *Recorder) part() shardPart {
	p := shardPart{
		BodyBytesIn: r.BodyBytesIn, BodyBytesOut: r.BodyBytesOut, Wanted: r.Wanted, Opened: r.opened, Failed: r.failed, Why: r.why, Looks: r.looks,
		Slots: r.Slots, Before: r.before, Connect: r.connect,
		Trickles: r.trickles, Sides: r.sides, Lost: r.Lost, Reopened: r.Reopened, Renewed: r.Renewed, Open: r.Open,
	}
	for s, n := range r.Statuses {
		if n > 0 {
			if p.Statuses == nil {
				p.Statuses = map[int]uint32{}
			}
			p.Statuses[s] = n
		}
	}
	for i := range r.cells {
		e := &r.cells[i]
		c := cellPart{Planned: e.planned, Waited: e.waited, Trickled: e.trickled, Last: e.last}
		if e.tally != (clients.Tally{}) {
			c.Tally = &e.tally
		}
		p.Cells = append(p.Cells, c)
	}
	for i := range r.windows {
		w := &r.windows[i]
		p.Windows = append(p.Windows, windowPart{w.Planned, w.Sent, w.OK, w.Failed, w.Opened, w.CPUNs, w.offered, w.lagP99Ns, w.gapNs, w.waitedNs, w.p99Ns})
	}
	for i := range r.flow {
		f := &r.flow[i]
		p.Flows = append(p.Flows, flowPart{f.areaNs, f.heldNs, f.finished, f.ok, f.failed, f.stalls})
	}
	return p
}

// recorder is the Recorder that p was made of, to be read only. An error says that p is of another plan.
func (p *shardPart) recorder(tl *Timeline) (*Recorder, error) {
	windows := int((tl.End() + IntervalNs - 1) / IntervalNs)
	if len(p.Cells) != len(tl.cells) || len(p.Windows) != windows || len(p.Flows) != len(tl.Spans) || len(p.Connect) != len(tl.Spans) || len(p.Trickles) != len(tl.Spans) ||
		len(p.Slots) != len(tl.Spans)-tl.First || len(p.Sides) > 0 && len(p.Sides) != len(tl.Spans) || p.Before == nil {
		return nil, fmt.Errorf("a shard of %d cells and %d windows in %d phases: the plan has %d, %d and %d", len(p.Cells), len(p.Windows),
			len(p.Flows), len(tl.cells), windows, len(tl.Spans))
	}
	r := &Recorder{
		BodyBytesIn: p.BodyBytesIn, BodyBytesOut: p.BodyBytesOut, Wanted: p.Wanted, Slots: p.Slots, tl: tl, opened: p.Opened, failed: p.Failed,
		why: p.Why, looks: p.Looks, before: p.Before, connect: p.Connect,
		trickles: p.Trickles, sides: p.Sides, Lost: p.Lost, Reopened: p.Reopened, Renewed: p.Renewed, Open: p.Open,
	}
	for s, n := range p.Statuses {
		if s < 0 || s >= len(r.Statuses) {
			return nil, fmt.Errorf("a shard with http status %d: want less than %d", s, len(r.Statuses))
		}
		r.Statuses[s] = n
	}
	for _, c := range p.Cells {
		e := cell{planned: c.Planned, waited: c.Waited, trickled: c.Trickled, last: c.Last}
		if c.Tally != nil {
			e.tally = *c.Tally
		}
		r.cells = append(r.cells, e)
	}
	for _, w := range p.Windows {
		r.windows = append(r.windows, window{clients.Interval{Planned: w.Planned, Sent: w.Sent, OK: w.OK, Failed: w.Failed, Opened: w.Opened, CPUNs: w.CPUNs},
			w.Offered, w.LagP99Ns, w.P99Ns, w.GapNs, w.WaitedNs})
	}
	for _, f := range p.Flows {
		r.flow = append(r.flow, flow{f.AreaNs, f.HeldNs, f.Finished, f.OK, f.Failed, f.Stalls})
	}
	return r, nil
}
