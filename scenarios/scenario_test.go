package scenarios

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func mustNamed(t *testing.T, name string) *Scenario {
	t.Helper()
	s, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNamesAreTheEmbeddedFiles(t *testing.T) {
	found, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var count int
	for _, f := range found {
		if name, ok := strings.CutSuffix(f.Name(), ".yaml"); ok {
			count++
			if s := mustNamed(t, name); s.Name != name {
				t.Errorf("%s.yaml holds scenario %q", name, s.Name)
			}
		}
	}
	if count != len(Names) {
		t.Errorf("%d files, %d names", count, len(Names))
	}
}

func TestEveryScenarioResolvesAndTravelsAsJSON(t *testing.T) {
	for _, name := range Names {
		s := mustNamed(t, name)
		quick, err := s.Quickened()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, v := range []*Scenario{s, quick} {
			r, err := v.Resolve()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			data, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var back Scenario
			if err := json.Unmarshal(data, &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, &back, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s changes on its way through JSON (-sent +read):\n%s", name, diff)
			}
		}
		if quick.Duration() >= s.Duration() {
			t.Errorf("%s: quick takes %v, the whole %v", name, quick.Duration(), s.Duration())
		}
	}
}

func TestBurstIsWhatTheClaimsSpeakOf(t *testing.T) {
	s := mustNamed(t, "burst")
	if s.Connections.Count != 10000 || s.Phases[2].Arrivals.Burst != 1_000_000 || s.Phases[2].For != Duration(time.Second) {
		t.Errorf("burst is %+v", s)
	}
	if got := s.ConnectFor(); got != 3*time.Second {
		t.Errorf("ConnectFor = %v, want 10000 ÷ 5000/s + 500ms in whole seconds", got)
	}
}

func TestResolveExpandsSteps(t *testing.T) {
	r, err := mustNamed(t, "idle").Resolve()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range r.Phases {
		got = append(got, p.Name)
	}
	want := []string{"hold-1000", "hold-5000", "hold-10000", "hold-15000", "active", "still"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.Phases[1].Open != 5000 || r.Phases[4].Open != 0 || r.Phases[4].Active != 1 {
		t.Errorf("phases %+v", r.Phases)
	}
}

func TestLimitConnectionsCutsTheLadder(t *testing.T) {
	s := mustNamed(t, "idle")
	if !s.LimitConnections(7000) {
		t.Error("not reported as changed")
	}
	if diff := cmp.Diff([]int{1000, 5000, 7000}, s.Connections.Steps); diff != "" || s.Connections.Count != 7000 {
		t.Errorf("count %d, steps %s", s.Connections.Count, diff)
	}
	if s.LimitConnections(7000) {
		t.Error("reported as changed when nothing was")
	}
}

func TestSet(t *testing.T) {
	check := func(name string, assignments []string, want func(*Scenario) bool, wantErr string) {
		t.Helper()
		s, err := mustNamed(t, name).Apply(assignments)
		switch {
		case wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)):
			t.Errorf("%v: error %v, want %q in it", assignments, err, wantErr)
		case wantErr == "" && err != nil:
			t.Errorf("%v: %v", assignments, err)
		case wantErr == "" && !want(s):
			t.Errorf("%v: got %+v", assignments, s)
		}
	}
	check("burst", []string{"connections.count=2000"}, func(s *Scenario) bool { return s.Connections.Count == 2000 }, "")
	check("burst", []string{"phases.recovery.for=60s"}, func(s *Scenario) bool { return s.Phases[3].For == Duration(time.Minute) }, "")
	check("burst", []string{"phases.baseline.arrivals.poisson=2k/s"}, func(s *Scenario) bool {
		return s.Phases[1].Arrivals == Arrivals{Poisson: 2000}
	}, "")
	check("churn", []string{"connections.close=rst"}, func(s *Scenario) bool { return s.Connections.Close == "rst" }, "")
	check("churn", []string{"connections.requests=0", "connections.close=none"}, func(s *Scenario) bool { return s.Connections.Requests == 0 }, "")
	check("idle", []string{"connections.steps=[10,20]"}, func(s *Scenario) bool { return s.Connections.Count == 20 }, "")
	check("idle", []string{"connections.count=10"}, nil, "set connections.steps")
	check("burst", []string{"work.kind=sleep=10ms", "work.share=5%"}, func(s *Scenario) bool { return s.Work == Work{"sleep=10ms", 5} }, "")

	check("burst", []string{"connections"}, nil, "want PATH=VALUE")
	check("burst", []string{"conections.count=1"}, nil, `unknown key "conections": want one of connections, downstream`)
	check("burst", []string{"connections.cuont=1"}, nil, `unknown key "cuont": want one of close, count`)
	check("burst", []string{"connections.count=many"}, nil, "many")
	check("burst", []string{"connections.count=0"}, nil, "want 1 to")
	check("burst", []string{"phases.bursst.for=1s"}, nil, "want one of warmup, baseline, burst, recovery")
	check("burst", []string{"phases.burst=1s"}, nil, "say which key")
	check("burst", []string{"phases.burst.arrivals.brst=1"}, nil, "want one of burst, closed, constant, poisson")
	check("burst", []string{"protocol=http9"}, nil, "want one of http1, frame")
	check("churn", []string{"connections.close=none"}, nil, "say who closes")
	check("churn", []string{"connections.close=fin-server", "protocol=frame"}, nil, "http1 only")
	check("burst", []string{"work.kind=nap=1s"}, nil, "want one of none, cpu=DURATION, sleep=DURATION")
	check("burst", []string{"phases.burst.arrivals.constant=1e12"}, nil, "rate")
	check("idle", []string{"connections.steps=[20,10]"}, nil, "increasing")
	check("burst", []string{"work.kind=cpu=50us"}, nil, "work.kind cpu=50us with work.share 0%: nobody would ask for the work")
	check("burst", []string{"work.share=5%"}, nil, "with work.kind none")
	check("churn", []string{"connections.rate=500/s"}, nil, "connections.rate 500 with connections.requests 1: has no effect")
	check("idle", []string{"phases.still.open=15000"}, func(s *Scenario) bool { return s.Phases[2].Open == 15000 }, "")
	check("idle", []string{"connections.trickle=30s"}, func(s *Scenario) bool { return s.Connections.Trickle == Duration(30*time.Second) }, "")
	check("idle", []string{"connections.trickle=1ms"}, nil, "connections.trickle 1ms: want 0 (never), or 10ms to 24h0m0s")
	check("churn", []string{"phases.churn.active=50%"}, nil, "phases.churn.active 50%: want 100% where connections.requests is set")
	check("churn", []string{"connections.trickle=1s"}, nil, "only connections that are kept can be idle")
	check("burst", []string{"protocol=push"}, nil, "phases.warmup where the server sends on its own")
	check("churn", []string{"protocol=push"}, nil, "connections of subscribers")
	check("idle", []string{"phases.still.open=14999"}, nil, "phases.still.open 14999: want at least the 15000")
	check("burst", []string{"phases.warmup.open=10", "phases.burst.open=10"}, func(s *Scenario) bool { return s.Phases[2].Open == 10 }, "")
	check("burst", []string{"phases.warmup.open=10", "phases.burst.open=9"}, nil, "phases.burst.open 9: want at least the 10")
}

func TestDecodeIsStrict(t *testing.T) {
	check := func(yaml, want string) {
		t.Helper()
		_, err := Decode("dir/own.yaml", []byte(yaml))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "own.yaml") {
			t.Errorf("error %v, want own.yaml and %q in it", err, want)
		}
	}
	good := "name: own\nwhy: to test\nprotocol: frame\nconnections: {count: 1}\nphases: [{name: a, for: 1s}]\n"
	if _, err := Decode("own.yaml", []byte(good)); err != nil {
		t.Error(err)
	}
	push := strings.Replace(good, "frame", "push", 1)
	if s, err := Decode("own.yaml", []byte(push)); err != nil {
		t.Error(err)
	} else if _, err := s.Resolve(); err != nil {
		t.Error(err)
	}
	check(push+"work: {kind: sleep=1ms, share: 1%}\n", "work.kind sleep=1ms where the server sends on its own")
	check(good+"paylod: 3\n", "known: name, why, protocol, payload, connections.count")
	check(good+"payload: -3\n", "want 1 to")
	check(good+"timeout: 3\n", `duration "3"`)
	check(strings.Replace(good, "1s", "1 week", 1), "duration")
	check(strings.Replace(good, "why: to test", "why: ''", 1), "why is empty")
	check("[]", "own.yaml")
	check(good+"quick: {phases.b.for: 1s}\n", `unknown name "b"`)
}

func TestParseRate(t *testing.T) {
	check := func(text string, want Rate) {
		t.Helper()
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	check("20000", 20000)
	check("20k", 20000)
	check("1.5M/s", 1_500_000)
	for _, bad := range []string{"", "-1", "x", "1e99", "NaN", "10/m"} {
		if got, err := ParseRate(bad); err == nil {
			t.Errorf("ParseRate(%q) = %v, want an error", bad, got)
		}
	}
}
