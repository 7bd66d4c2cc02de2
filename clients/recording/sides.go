package recording

import (
	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
)

// sides are the requests of one span that asked for the server's work, and the bystanders that did not, the trickle apart.
// They are in all other figures as well.
type sides [2]apart

const (
	worked = iota
	bystanders
)

// newSides are those of so many spans, nil where all requests of a plan are of one kind.
func newSides(plan *clients.Plan, spans int) []sides {
	if !arrivals.Divided(plan.Scenario.Work.Share) {
		return nil
	}
	return make([]sides, spans)
}

func (s *sides) add(o *sides) {
	for k := range s {
		s[k].add(&o[k])
	}
}

// reports are the two sides as a report has them, nil without any request.
func (s *sides) reports() (work, bystander *clients.Side) {
	if s[worked].Planned+s[bystanders].Planned == 0 {
		return nil, nil
	}
	var out [2]*clients.Side
	for k := range s {
		t := &s[k]
		out[k] = &clients.Side{Planned: t.Planned, OK: t.OK, ResponseNs: t.latencies().Summary(t.Planned - t.OK)}
	}
	return out[worked], out[bystanders]
}

// sides adds up those of a span.
func (rec *Recording) sides(span int) *sides {
	s := &sides{}
	for _, r := range rec.shards {
		if r.sides != nil {
			s.add(&r.sides[span])
		}
	}
	return s
}

// Side counts a request that Finish is told of once more, with those of its kind: by whether it asks for the server's work. It
// does nothing where all requests are of one kind.
func (r *Recorder) Side(c int32, work bool, o clients.Outcome, intended, done int64) {
	if r.sides == nil {
		return
	}
	k := bystanders
	if work {
		k = worked
	}
	t := &r.sides[r.tl.cells[c].span][k]
	t.Planned++
	if o == clients.OK {
		t.OK++
		t.latencies().Record(done - intended)
	}
}
