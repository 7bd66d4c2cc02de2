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
		{"clumps of 64, and what connecting adds to the CPU time", p50, open, with(seen("h2load", 10_000, 1050e3, 0, 6000, 5000), func(o *observed) { o.clump50 = 64 }), "clumps"},
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
		if d.finding != differs || rule != c.rule {
			t.Errorf("%s: finding %d, %q, want rule %q", c.name, d.finding, d.why, c.rule)
		}
	}
}

// A tool that turns faster has shorter times all along: as many turns as millrace's. 64 connections at 100 000/s make one of 640 µs.
func TestTurnsThatStretchTheTail(t *testing.T) {
	ref := seen("millrace", 100_000, 630e3, 1670e3, 5400, 10_000)
	for ns, rule := range map[float64]string{1510e3: "Little", 1200e3: "", 1400e3: "Little"} {
		d := compare(p99, seen("wrk", 112_000, 593e3, ns, 5300, 9200), ref, ref, cell{})
		if got, _, _ := strings.Cut(d.why, " "); d.finding != differs || got != rule {
			t.Errorf("p99 of %.0f ns: finding %d, %q, want rule %q", ns, d.finding, d.why, rule)
		}
	}
}

// At the same rate a turn explains no difference.
func TestEqualTurnsStretchNothing(t *testing.T) {
	ref := seen("millrace", 100_000, 630e3, 1670e3, 5400, 10_000)
	if d := compare(p99, seen("wrk", 100_000, 630e3, 1550e3, 5400, 10_000), ref, ref, cell{}); d.finding != differs || d.why != "" {
		t.Errorf("finding %d, %q, want one without a rule", d.finding, d.why)
	}
}

func TestDecide(t *testing.T) {
	again, noisy := spread{1.01, 0.97, 1.04, 5}, spread{1.01, 0.7, 1.04, 5}
	for _, c := range []struct {
		name         string
		q            quantityName
		ratio, again spread
		want         finding
	}{
		{"on both sides of 1", p50, spread{1.02, 0.99, 1.1, 5}, again, agrees},
		{"on both sides of 1, the reference noisy", p50, spread{1.02, 0.99, 1.1, 5}, noisy, agrees},
		{"on both sides of 1 since it is wide", p50, spread{1.2, 0.99, 1.3, 5}, again, tooNoisy},
		{"wide to the other side", p50, spread{1, 0.89, 1.01, 5}, again, tooNoisy},
		{"as far as the reference is from itself", p50, spread{1.03, 1.02, 1.1, 5}, again, agrees},
		{"the same, but wide", p50, spread{1.03, 1.02, 1.2, 5}, again, tooNoisy},
		{"as far as a noisy reference is from itself", p50, spread{0.75, 0.74, 0.76, 5}, noisy, tooNoisy},
		{"above", p50, spread{1.05, 1.02, 1.1, 5}, again, differs},
		{"below", p50, spread{0.95, 0.90, 0.98, 5}, again, differs},
		{"above however far", p99, spread{2, 1.02, 9, 5}, noisy, differs},
		{"rates within 1 %", rate, spread{0.992, 0.991, 0.993, 5}, again, agrees},
		{"medians of rates within 1 %, but wide", rate, spread{0.992, 0.85, 0.993, 5}, again, tooNoisy},
		{"a figure that the tool does not give", p99, spreadOf(nil), again, agrees},
		{"one pair", p50, spread{1, 1, 1, 1}, again, tooNoisy},
	} {
		if got := decide(c.q, c.ratio, c.again); got != c.want {
			t.Errorf("%s: %s %v: %d, want %d", c.name, c.q, c.ratio, got, c.want)
		}
	}
}

// What was not decided must not pass as agreement, nor hide what is unexplained.
func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		unexplained, undecided, status int
		says                           string
	}{
		{0, 0, exitDone, ""},
		{0, 2, exitUndecided, "scatter by more than ±10 %: 2: see the table"},
		{1, 2, exitFailed, "without an explanation: 1, undecided: 2: see the table"},
	} {
		err := outcome(c.unexplained, c.undecided, 0.2)
		if got := statusOf(err); got != c.status || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: status %d, %v", c, got, err)
		}
	}
}

func TestTableSaysWhatIsUnexplained(t *testing.T) {
	ref := seen("millrace", 200_000, 300e3, 400e3, 4000, 4500)
	ref.each[responseP50], ref.each[responseP99] = ref.each[p50], ref.each[p99]
	c := cell{server: "nginx"}
	wide := seen("x", 200_000, 300e3, 400e3, 4000, 4500)
	wide.each[p99] = []float64{300e3, 400e3, 900e3, 400e3, 400e3}
	for _, x := range []struct {
		name                   string
		o                      *observed
		unexplained, undecided int
		says                   string
	}{
		{"explained differences", seen("x", 100_000, 600e3, 800e3, 9500, 4500), 0, 0, "| no: rate, p50, p99 |"},
		{"an unexplained difference", seen("x", 50_000, 100e3, 900e3, 5000, 5000), 1, 0, "rate: **unexplained**"},
		{"agreement", seen("x", 200_000, 300e3, 400e3, 4000, 4500), 0, 0, "| yes | – |"},
		{"noise", wide, 0, 1, "| undecided, too noisy: p99 | – |"},
	} {
		text, unexplained, undecided := c.table([]*observed{ref, ref, x.o})
		if unexplained != x.unexplained || undecided != x.undecided || !strings.Contains(text, x.says) {
			t.Errorf("%s: %d unexplained, %d undecided, want %d, %d and %q\n%s", x.name, unexplained, undecided, x.unexplained, x.undecided, x.says, text)
		}
	}
	if !strings.Contains(legend(), "scatter by more than ±10 % around") {
		t.Error("the legend does not say what is undecided")
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
