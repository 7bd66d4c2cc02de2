package known

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/clients"
)

// identity judges the books of a trial, whatever its case:
//
//	planned = Σ outcomes                     in all, in every phase and in every second
//	planned = arrivals of the schedule       in every second of an open loop, up to what lies on its edge
//	Σ over seconds, phases, intervals        = the whole
//	latencies in the histograms              = ok
//	whole replies ≤ requests that the server saw ≤ planned − unsent
//
// The last line has equal signs where every request got a reply. More than were sent would be retries; fewer are those that a connection
// took with it when it ended.
//
// It returns what is wrong in words, nothing if all is right.
func identity(t *Trial) []string {
	var wrong []string
	r := t.Report
	check := func(what string, got, want int64) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s: %d, want %d", what, got, want))
		}
	}
	check("outcomes in all", sum(r.Outcomes), r.Planned)
	var planned, latencies int64
	outcomes := map[string]int64{}
	add := func(n int64, of map[string]int64) {
		planned += n
		for name, n := range of {
			outcomes[name] += n
		}
	}
	whole := func(what string) {
		check("planned in all "+what, planned, r.Planned)
		for name, n := range r.Outcomes {
			check(name+" in all "+what, outcomes[name], n)
		}
		planned = 0
		clear(outcomes)
	}
	for _, p := range r.Phases {
		check("outcomes of phase "+p.Name, sum(p.Outcomes), p.Planned)
		check("latencies of phase "+p.Name, p.ResponseNs.Count+p.ResponseNs.Outside, p.Outcomes[clients.OK.String()])
		add(p.Planned, p.Outcomes)
	}
	whole("phases")
	for i, s := range r.PerSecond {
		check(fmt.Sprintf("outcomes of second %d", i), sum(s.Outcomes), s.Planned)
		latencies += r.Seconds[i].Count + r.Seconds[i].Outside
		add(s.Planned, s.Outcomes)
	}
	whole("seconds")
	check("latencies of all seconds", latencies, r.Outcomes[clients.OK.String()])
	var ended int64
	for _, i := range r.Intervals {
		planned += i.Planned
		ended += i.OK + i.Failed
	}
	check("planned in all intervals", planned, r.Planned)
	check("outcomes in all intervals", ended, r.Planned)
	replies := r.Outcomes[clients.OK.String()] + r.Outcomes[clients.HTTPError.String()] + r.Outcomes[clients.BadPayload.String()]
	if sent := r.Planned - r.Outcomes[clients.Unsent.String()]; t.Served.Handled < replies || t.Served.Handled > sent {
		wrong = append(wrong, fmt.Sprintf("the server saw %d requests: want %d to %d, whole replies and requests sent", t.Served.Handled, replies, sent))
	}
	return append(wrong, schedule(t)...)
}

// schedule compares what was planned in every second with the schedule itself.
func schedule(t *Trial) []string {
	for _, p := range t.Plan.Scenario.Phases {
		if p.Arrivals.Closed {
			return nil
		}
	}
	want := make([]int64, len(t.Report.PerSecond))
	for _, at := range due(t.Plan) {
		if i := int(at.Seconds()); i < len(want) {
			want[i]++
		}
	}
	var got []int64
	for _, s := range t.Report.PerSecond {
		got = append(got, s.Planned)
	}
	if !slices.Equal(got, want) {
		return []string{fmt.Sprintf("planned in the seconds: %v, the schedule has %v", got, want)}
	}
	return nil
}

func sum(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}
