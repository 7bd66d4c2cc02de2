package judge

import (
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

func TestCheckCalls(t *testing.T) {
	check := func(d results.Downstream, state validity.State, reason string) {
		t.Helper()
		expect(t, checkCalls(&d), state, reason)
	}
	check(results.Downstream{Calls: ptr(10), CallsAnswered: ptr(10), ReceivedFrom: 10, Received: 10}, validity.OK, "")
	check(results.Downstream{Calls: ptr(10), CallsAnswered: ptr(10), ReceivedFrom: 9, Received: 9}, validity.Fail, "got 10 answers, the downstream received 9")
	check(results.Downstream{Calls: ptr(10), CallsAnswered: ptr(10), ReceivedFrom: 11, Received: 11}, validity.Fail, "the downstream received 11")
	// Three calls under way: any of them may have reached the downstream, or come between the readings.
	check(results.Downstream{Calls: ptr(10), CallsAnswered: ptr(7), ReceivedFrom: 7, Received: 12}, validity.OK, "")
	check(results.Downstream{Calls: ptr(10), CallsAnswered: ptr(7), ReceivedFrom: 11, Received: 12, Resets: 1}, validity.OK, "")
	check(results.Downstream{Received: 10}, validity.Unknown, "could not be read")
}

func TestCheckWork(t *testing.T) {
	all := &clients.Report{Outcomes: map[string]int64{"ok": 90, "http_error": 10, "timeout": 5}}
	for calls, state := range map[int64]validity.State{99: validity.Fail, 100: validity.OK, 105: validity.OK, 106: validity.Fail} {
		if c := checkWork(&results.Downstream{Calls: ptr(calls)}, all); c.State != state {
			t.Errorf("%d calls for 100 to 105 requests: %+v", calls, c)
		}
	}
	part := &clients.Report{Outcomes: map[string]int64{"ok": 1000}, Phases: []clients.PhaseReport{
		{}, {Work: &clients.Side{Planned: 40, OK: 40}}, {Work: &clients.Side{Planned: 60, OK: 55}},
	}}
	for calls, state := range map[int64]validity.State{94: validity.Fail, 95: validity.OK, 100: validity.OK, 101: validity.Fail} {
		if c := checkWork(&results.Downstream{Calls: ptr(calls)}, part); c.State != state {
			t.Errorf("%d calls for 95 to 100 requests with work: %+v", calls, c)
		}
	}
	expect(t, checkWork(&results.Downstream{}, all), validity.Unknown, "could not be read")
}

func TestCheckDownstream(t *testing.T) {
	if list := checkDownstream(nil, nil, false); list != nil {
		t.Errorf("checks without a downstream: %+v", list)
	}
	lost := checkDownstream(nil, nil, true)
	for i, c := range checkDownstream(&results.Downstream{}, &clients.Report{}, true) {
		if len(lost) != 4 || lost[i].Name != c.Name || lost[i].State != validity.Unknown {
			t.Fatalf("checks of a downstream that could not be asked: %+v", lost)
		}
	}
	expect(t, checkLate(&results.Downstream{Answered: 1000, Late: 10}), validity.OK, "")
	expect(t, checkLate(&results.Downstream{Answered: 1000, Late: 11}), validity.Warn, "1.1 % of the downstream's replies went out, or their requests were read, over 1 ms late")
	expect(t, checkLate(&results.Downstream{}), validity.OK, "")
	expect(t, checkCrowd(&results.Downstream{Waited: ptr(0)}), validity.OK, "")
	expect(t, checkCrowd(&results.Downstream{Waited: ptr(3)}), validity.Warn, "3 calls waited for a connection")
	expect(t, checkCrowd(&results.Downstream{}), validity.Unknown, "could not be read")
}
