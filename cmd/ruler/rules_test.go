package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/validity"
)

// seen is a tool of which five pairs all showed the same but for a little noise.
func seen(name string, perSecond, p50Ns, p99Ns, client, server float64) *observed {
	around := func(v float64) []float64 { return []float64{v * 0.99, v, v * 1.01, v, v} }
	return &observed{
		name: name, each: map[quantityName][]float64{rate: around(perSecond), p50: around(p50Ns), p99: around(p99Ns)},
		client: client, server: server, covers: 1, lagP99: math.NaN(), clump50: math.NaN(), clump99: math.NaN(),
	}
}

func TestRules(t *testing.T) {
	closed, open := cell{rate: 0}, cell{rate: 10_000}
	// 64 connections at 200 000/s: a turn is 320 µs.
	ref := seen("millrace", 200_000, 300e3, 400e3, 4000, 4500)
	with := func(o *observed, change func(*observed)) *observed { change(o); return o }
	for _, c := range []struct {
		name string
		q    quantityName
		c    cell
		o    *observed
		rule string // empty: unexplained
	}{
		{"a client that costs more", rate, closed, seen("x", 100_000, 0, 0, 9500, 4500), "CPU"},
		{"a client that costs less but is slower", rate, closed, seen("x", 140_000, 0, 0, 3500, 4400), ""},
		{"slow though both cores are idle half of the time", rate, closed, seen("x", 50_000, 0, 0, 5000, 5000), ""},
		{"more than one core can do", rate, closed, seen("x", 300_000, 0, 0, 9500, 4500), ""},
		{"a fixed rate that is missed", rate, open, seen("x", 9_000, 0, 0, 50_000, 9000), ""},
		{"half the rate, twice the latency", p50, closed, seen("x", 100_000, 600e3, 800e3, 9500, 4500), "Little"},
		{"more than two turns", p99, closed, seen("x", 100_000, 600e3, 1500e3, 9500, 4500), ""},
		{"wrk's clock stands still", p50, closed, with(seen("wrk", 190_000, 150e3, 0, 5000, 4500), func(o *observed) { o.covers = 0.6 }), "clock"},
		{"another tool's clock must not", p50, closed, with(seen("h2load", 190_000, 150e3, 0, 5000, 4500), func(o *observed) { o.covers = 0.6 }), ""},
		{"clumps of 64", p50, open, with(seen("h2load", 10_000, 700e3, 0, 6000, 5000), func(o *observed) { o.clump50 = 64 }), "clumps"},
		{"slower than its clumps", p50, open, with(seen("h2load", 10_000, 1500e3, 0, 6000, 5000), func(o *observed) { o.clump50 = 64 }), ""},
		{"the client's own work", p50, open, seen("millrace, engine vegeta", 10_000, 350e3, 0, 70_000, 5000), "work"},
		{"more than its own work", p50, open, seen("millrace, engine vegeta", 10_000, 400e3, 0, 70_000, 5000), ""},
		{"goroutines in each other's way", p99, open, with(seen("vegeta", 10_000, 0, 5e6, 70_000, 5000), func(o *observed) { o.preempted = 2000 }), "threads"},
		{"longer than Go lets one run", p99, open, with(seen("vegeta", 10_000, 0, 12e6, 70_000, 5000), func(o *observed) { o.preempted = 2000 }), ""},
		{"alone on the core", p99, open, seen("vegeta", 10_000, 0, 5e6, 70_000, 5000), ""},
		{"faster than millrace", p50, open, seen("x", 10_000, 100e3, 0, 70_000, 5000), ""},
	} {
		d := compare(c.q, c.o, ref, ref, c.c)
		rule, _, _ := strings.Cut(d.why, " ")
		if d.within || rule != c.rule {
			t.Errorf("%s: within %v, %q, want rule %q", c.name, d.within, d.why, c.rule)
		}
	}
}

func TestWithin(t *testing.T) {
	again := spread{1.01, 0.97, 1.04, 5}
	for _, c := range []struct {
		q     quantityName
		ratio spread
		want  bool
	}{
		{p50, spread{1.2, 0.99, 1.4, 5}, true},  // on both sides
		{p50, spread{1.03, 1.02, 1.1, 5}, true}, // as far as the reference is from itself
		{p50, spread{1.05, 1.02, 1.1, 5}, false},
		{p50, spread{0.95, 0.90, 0.98, 5}, false},
		{rate, spread{0.992, 0.991, 0.993, 5}, true},
		{p99, spreadOf(nil), true}, // a figure that the tool does not give
	} {
		if got := within(c.q, c.ratio, again); got != c.want {
			t.Errorf("%s %v: %v, want %v", c.q, c.ratio, got, c.want)
		}
	}
}

func TestTableSaysWhatIsUnexplained(t *testing.T) {
	ref := seen("millrace", 200_000, 300e3, 400e3, 4000, 4500)
	ref.each[responseP50], ref.each[responseP99] = ref.each[p50], ref.each[p99]
	c := cell{server: "nginx"}
	if text, ok := c.table([]*observed{ref, ref, seen("x", 100_000, 600e3, 800e3, 9500, 4500)}); !ok || strings.Contains(text, "unexplained") || !strings.Contains(text, "no: rate, p50, p99") {
		t.Errorf("explained differences: %v\n%s", ok, text)
	}
	if text, ok := c.table([]*observed{ref, ref, seen("x", 50_000, 100e3, 900e3, 5000, 5000)}); ok || !strings.Contains(text, "rate: **unexplained**") {
		t.Errorf("an unexplained difference: %v\n%s", ok, text)
	}
}

func TestOfferedWithin(t *testing.T) {
	r := &clients.Report{
		IntervalNs: int64(100 * time.Millisecond), Phases: []clients.PhaseReport{{Planned: 100}},
		Intervals: []clients.Interval{{Sent: 60}, {Sent: 20}, {Sent: 40}, {Sent: 5}},
	}
	near(t, "sent", offeredWithin(r), 0.25) // 20 of the third interval's 40
	r.Phases[0].DrainedNs = int64(210 * time.Millisecond)
	near(t, "sent, at most when all were answered", offeredWithin(r), 0.21)
	r.Phases[0].Planned = 200
	near(t, "never sent", offeredWithin(r), math.NaN())
}

func TestInvalidRunsProveNothing(t *testing.T) {
	run := func(v validity.Verdict) sample { return sample{reading: reading{report: &clients.Report{Verdict: v}}} }
	few := []sample{run(validity.Invalid), run(validity.Suspect), run(validity.Valid)}
	most := []sample{run(validity.Invalid), run(validity.Invalid), run(validity.Valid)}
	for _, c := range []struct {
		ok      bool
		samples []sample
		want    string
	}{{true, few, met}, {false, few, missed}, {true, most, void}, {false, most, missed}} {
		if got := judgeValid(c.ok, c.samples); got != c.want {
			t.Errorf("%v with %s: %s, want %s", c.ok, verdicts(c.samples), got, c.want)
		}
	}
}
