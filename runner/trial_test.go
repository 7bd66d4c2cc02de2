package runner

import (
	"testing"
	"time"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// The client must know what a good reply holds, or a damaged body counts as ok.
func TestLoadPlanChecksBodies(t *testing.T) {
	check := func(protocol string, payload int, url, body string) {
		t.Helper()
		plan := &results.Run{Rounds: 1, Seed: 7, Scenario: scenarios.Scenario{Protocol: protocol, Payload: payload}}
		r := &run{plan: plan, live: newLive(nil, plan, 0, time.Time{}, false)}
		r.live.wait(spec{round: 2})
		p := r.loadPlan(spec{round: 2}, "127.0.0.1:80", 0, 1)
		if p.URL != url || string(p.CheckBody) != body {
			t.Errorf("%s: URL %q, body %q: want %q, %q", protocol, p.URL, p.CheckBody, url, body)
		}
		if p.Seed != 9 {
			t.Errorf("seed %d: want the run's 7 and the round's 2", p.Seed)
		}
	}
	check("http1", 13, "http://127.0.0.1:80/", "Hello, World!")
	check("http1", 20, "http://127.0.0.1:80/", "Hello, World! millra")
	check("frame", 13, "frame://127.0.0.1:80", "")
}
