package recording

import (
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/scenarios"
)

// Requests that ask for work and bystanders are told apart, failed ones count as later than all, and parts add up to the same.
func TestSidesAreKeptApart(t *testing.T) {
	plan := &clients.Plan{
		URL: "http://127.0.0.1:1/", StartWhenOpen: true, LogDir: t.TempDir(), Scenario: scenarios.Scenario{
			Work:   scenarios.Work{Kind: "sleep=1ms", Share: 50},
			Phases: []scenarios.Phase{{Name: "load", Load: "steady", Measure: true, For: scenarios.Duration(time.Second), Arrivals: scenarios.Arrivals{Constant: 1000}}},
		},
	}
	rec, err := NewRecording(plan, 1)
	if err != nil {
		t.Fatal(err)
	}
	t0 := int64(simulated)
	rec.Begin(t0)
	r := rec.Shard(0)
	r.Begin(t0)
	for n := range int64(1000) {
		due := t0 + n*1_000_000
		work, took, o := n%4 == 0, int64(1_000_000), clients.OK
		if work {
			took = 20_000_000
		}
		if n%100 == 0 {
			o = clients.Reset
		}
		c := r.Due(due)
		r.Sent(c, due, due, due)
		r.Finish(c, o, due, due, due, due+took)
		r.Side(c, work, o, due, due+took)
	}
	r.Close()
	part, err := rec.Part(Facts{EndNs: t0 + 1e9})
	if err != nil {
		t.Fatal(err)
	}
	merged := *plan
	merged.LogDir = ""
	report, err := Merge(&merged, []*Part{part})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []struct{ work, bystander *clients.Side }{{report.Work, report.Bystander}, {report.Phases[0].Work, report.Phases[0].Bystander}} {
		if w := got.work; w == nil || w.Planned != 250 || w.OK != 240 || *w.ResponseNs.P50 < 19_900_000 || w.ResponseNs.Max != nil {
			t.Errorf("work %+v", w)
		}
		if b := got.bystander; b == nil || b.Planned != 750 || b.OK != 750 || *b.ResponseNs.P50 > 1_010_000 {
			t.Errorf("bystanders %+v", b)
		}
	}
	plan.Scenario.Work.Share = 100
	if newSides(plan, 3) != nil {
		t.Error("all ask for work, and there are sides")
	}
}
