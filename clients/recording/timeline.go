package recording

import (
	"slices"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/scenarios"
)

// IntervalNs is the length of Report's intervals.
const IntervalNs = checks.WindowNs

// Timeline is the time axis of one load: its spans are the phases, after an implicit "connect" where the phases' clock
// starts at T0 plus ConnectFor. Times are ns after T0. It does not change.
type Timeline struct {
	Spans []Span
	// First is the span of the scenario's first phase: 1 after "connect", otherwise 0.
	First int

	// cells cut the axis at every edge of a phase and at every whole second, in order. A request belongs to the cell
	// that its intended time lies in, so that phases and seconds are sums of cells.
	cells []cellSpan
}

// Span is a phase on the time axis.
type Span struct {
	Name     string
	Load     string
	Measure  bool
	Closed   bool
	From, To int64
}

type cellSpan struct {
	from, to int64
	span     int32
	second   int32
}

// connectName is the implicit phase before the first one, as the trial's readings name it.
const connectName = "connect"

// NewTimeline returns the axis of a plan's phases.
func NewTimeline(plan *clients.Plan) *Timeline {
	t := &Timeline{}
	var at int64
	if !plan.StartWhenOpen {
		at = int64(plan.Scenario.ConnectFor())
		t.Spans = append(t.Spans, Span{Name: connectName, Load: scenarios.LoadKinds[0], To: at})
		t.First = 1
	}
	for _, p := range plan.Scenario.Phases {
		to := at + int64(p.For)
		t.Spans = append(t.Spans, Span{p.Name, p.Load, p.Measure, p.Arrivals.Closed, at, to})
		at = to
	}
	for i, s := range t.Spans {
		for from := s.From; from < s.To; {
			second := from / 1e9
			to := min((second+1)*1e9, s.To)
			t.cells = append(t.cells, cellSpan{from, to, int32(i), int32(second)})
			from = to
		}
	}
	return t
}

// Start is when the first phase starts.
func (t *Timeline) Start() int64 { return t.Spans[t.First].From }

// End is when the last phase is over.
func (t *Timeline) End() int64 { return t.Spans[len(t.Spans)-1].To }

// closedLoop reports whether some phase is a closed loop.
func (t *Timeline) closedLoop() bool {
	return slices.ContainsFunc(t.Spans, func(s Span) bool { return s.Closed })
}
