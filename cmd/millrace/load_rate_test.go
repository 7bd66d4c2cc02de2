package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

func TestRatesBecomePhases(t *testing.T) {
	check := func(rate, arrival string, d time.Duration, asked bool, want ...scenarios.Phase) {
		t.Helper()
		f := loadFlags{rate: rate, arrival: arrival, duration: d, durationSet: asked}
		got, err := f.phases(false)
		if err != nil {
			t.Errorf("--rate %s -d %v: %v", rate, d, err)
			return
		}
		for i := range want {
			want[i].Load, want[i].Measure = "steady", true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("--rate %s -d %v: %s", rate, d, diff)
		}
	}
	phase := func(name string, d time.Duration, a scenarios.Arrivals) scenarios.Phase {
		return scenarios.Phase{Name: name, For: scenarios.Duration(d), Arrivals: a}
	}
	const s = time.Second
	constant := func(r scenarios.Rate) scenarios.Arrivals { return scenarios.Arrivals{Constant: r} }
	ramp := func(from, to scenarios.Rate) scenarios.Arrivals {
		return scenarios.Arrivals{Ramp: scenarios.Ramp{From: from, To: to}}
	}
	check("", "constant", 10*s, false, phase("load", 10*s, scenarios.Arrivals{Closed: true}))
	check("20k/s", "constant", 10*s, false, phase("load", 10*s, constant(20_000)))
	check("20k/s/5s", "constant", 10*s, false, phase("load", 5*s, constant(20_000)))
	check("20k", "poisson", 10*s, false, phase("load", 10*s, scenarios.Arrivals{Poisson: 20_000}))
	check("1k:50k/60s", "constant", 10*s, false, phase("load", 60*s, ramp(1000, 50_000)))
	check("1k:50k/60s", "constant", 60*s, true, phase("load", 60*s, ramp(1000, 50_000)))
	check("50k:0", "constant", 7*s, true, phase("load", 7*s, ramp(50_000, 0)))
	check("5:5", "constant", 7*s, true, phase("load", 7*s, constant(5)))
	check("0:5", "poisson", 7*s, true, phase("load", 7*s, scenarios.Arrivals{Ramp: scenarios.Ramp{To: 5, Poisson: true}}))
	check("10k, 20k,40k", "constant", 9*s, true, phase("step-1", 3*s, constant(10_000)), phase("step-2", 3*s, constant(20_000)), phase("step-3", 3*s, constant(40_000)))
	check("1,2,3", "constant", 10*s, true, phase("step-1", 3_333_333_333, constant(1)), phase("step-2", 3_333_333_333, constant(2)), phase("step-3", 3_333_333_334, constant(3)))
	check("0:10/5s,10,0/1s", "constant", 10*s, false, phase("step-1", 5*s, ramp(0, 10)), phase("step-2", 4*s, constant(10)), phase("step-3", s, scenarios.Arrivals{}))
}

func TestRatesThatMakeNoSense(t *testing.T) {
	check := func(f loadFlags, want string) {
		t.Helper()
		if f.arrival == "" {
			f.arrival = "constant"
		}
		f.duration = 10 * time.Second
		if got, err := f.phases(false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, %v; want %q", f, got, err, want)
		}
	}
	for _, rate := range []string{"fast", "1k:", ":1k", "1k,", ",", "1k:2k:3k", "1k/60", "1k/0s", "1k/-1s", "1k/m", "1k:2k/x", "-1", "1k-2k"} {
		check(loadFlags{rate: rate}, rateForms)
	}
	check(loadFlags{rate: "0"}, "want more than none")
	check(loadFlags{rate: "0:0,0"}, "want more than none")
	check(loadFlags{rate: "0.05"}, "in 10s not even one request is due")
	check(loadFlags{rate: "0:0.1"}, "not even one request")
	check(loadFlags{rate: "1k/5s,2k/6s", durationSet: true}, "-d 10s, but the durations in --rate add up to 11s")
	check(loadFlags{rate: "1k/5s,2k/4s", durationSet: true}, "add up to 9s")
	check(loadFlags{rate: "1k/10s,2k"}, "-d 10s leaves 0s for 1 part of")
	check(loadFlags{rate: "1k", arrival: "uniform"}, "want constant or poisson")
	check(loadFlags{arrival: "poisson"}, "without --rate")
	check(loadFlags{rate: "1k", trace: "x"}, "--trace with --rate")
	check(loadFlags{trace: "x", arrival: "poisson"}, "--trace with --arrival poisson")
	check(loadFlags{trace: "no/such/file"}, "no such file")
	wrong := filepath.Join(t.TempDir(), "wrong.txt")
	if err := os.WriteFile(wrong, []byte("0\n2\n1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	check(loadFlags{trace: wrong}, "wrong.txt: line 3: time 1s comes before 2s")
}

// TestLoadOffersWhatItWasAsked holds the plans of ramps, steps and traces against what an engine made of them.
func TestLoadOffersWhatItWasAsked(t *testing.T) {
	srv, err := reflect.Start(reflect.Script{Protocol: "http1"})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	defer debug.SetGCPercent(debug.SetGCPercent(100)) // load turns it off
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace.txt")
	if err := os.WriteFile(trace, []byte("# three bursts\n0\n0\n0.1\n0.1\n0.1\n300ms\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	check := func(want map[string]int64, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		c := loadCommand()
		c.SetOut(&out)
		c.SetErr(&errs)
		c.SilenceUsage = true
		c.SetArgs(append([]string{srv.URL(), "-c", "4", "--json", "-"}, args...))
		_ = c.Execute() // the host may be too noisy for a verdict; what is offered does not depend on it
		var r clients.Report
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v: %v: %s %s", args, err, out.String(), errs.String())
		}
		got := map[string]int64{}
		for _, p := range r.Phases {
			got[p.Name] = p.Planned
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", args, diff)
		}
	}
	check(map[string]int64{"load": 150}, "--rate", "100:500/500ms")
	check(map[string]int64{"load": 150}, "--rate", "500:100/500ms", "--engine", "vegeta")
	check(map[string]int64{"step-1": 20, "step-2": 60, "step-3": 40}, "-d", "600ms", "--rate", "100,100:500,200")
	check(map[string]int64{"load": 6}, "--trace", trace, "-d", "400ms")
}
