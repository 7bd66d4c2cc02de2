package recording

import (
	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/hist"
)

// apart are requests of one span whose latencies are kept apart. Those that idle connections send now and then, the trickle, are
// planned and have their outcomes, but their latencies are here alone, and nothing of them is in the flows.
type apart struct {
	Planned  int64           `json:"planned"`
	OK       int64           `json:"ok"`
	Response *hist.Histogram `json:"response"` // nil without any that is ok
}

func (t *apart) add(o *apart) {
	t.Planned += o.Planned
	t.OK += o.OK
	if o.Response != nil {
		t.latencies().Merge(o.Response)
	}
}

func (t *apart) latencies() *hist.Histogram {
	if t.Response == nil {
		t.Response = hist.New()
	}
	return t.Response
}

// summary is nil without requests.
func (t *apart) summary() *hist.Summary {
	if t.Planned == 0 {
		return nil
	}
	s := t.latencies().Summary(t.Planned - t.OK)
	return &s
}

// trickled adds up the trickle of a span.
func (rec *Recording) trickled(span int) *apart {
	t := &apart{}
	for _, r := range rec.shards {
		t.add(&r.trickles[span])
	}
	return t
}

// DueTrickle counts a request that a connection that is idle otherwise is to send at a time, as Due does.
func (r *Recorder) DueTrickle(intended int64) int32 {
	c := r.Due(intended)
	r.cells[c].trickled++
	r.trickles[r.tl.cells[c].span].Planned++
	return c
}

// SentTrickle counts that such a request was written at a time.
func (r *Recorder) SentTrickle(sent int64) {
	w := r.window(sent - r.t0)
	w.Sent++
	w.offered++
}

// FinishTrickle counts the outcome of such a request at a time. sent is zero if it never was.
func (r *Recorder) FinishTrickle(c int32, o clients.Outcome, intended, sent, done int64) {
	e := &r.cells[c]
	e.tally[o]++
	e.done++
	w := r.window(done - r.t0)
	if o == clients.OK {
		w.OK++
		r.flow[r.span].ok++
		t := &r.trickles[r.tl.cells[c].span]
		t.OK++
		t.latencies().Record(done - intended)
	} else {
		w.Failed++
	}
	if sent == 0 {
		e.waited++
		r.window(intended-r.t0).offered++
	}
}
