package explained

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millrace/millrace/analysis/mechanism"
	"github.com/millrace/millrace/report/sheet"
)

func tenRounds(median, lo, hi float64) mechanism.Value {
	return mechanism.Value{Median: median, Lo: lo, Hi: hi, N: 10}
}

// estimated is the ratio of ten rounds with its interval.
func estimated(value, lo, hi float64) mechanism.Value {
	return mechanism.Value{Median: value, Lo: lo, Hi: hi, N: 10, Confidence: 0.951}
}

func onePoint(v float64) mechanism.Value { return mechanism.Value{Median: v, Lo: v, Hi: v, N: 1} }

// anExplanation is of two variants of which the second has less CPU time and system calls, and no other difference that the
// figures support.
func anExplanation() *mechanism.Explanation {
	row := func(key, title string, unit mechanism.Unit, a, b, ratio mechanism.Value) mechanism.Row {
		r := mechanism.Row{Key: key, Title: title, Unit: unit, Values: [2]mechanism.Value{a, b}, Ratio: ratio, Source: "10 rounds of the run"}
		if a.N == 1 || a.N == 0 {
			r.Source = mechanism.OwnTrial
		}
		return r
	}
	none := mechanism.Value{Missing: "unknown: needs root and tracefs"}
	f := func(name string, a, b float64, unclear bool) mechanism.Function {
		return mechanism.Function{Name: name, Flat: [2]float64{a, b}, Cum: [2]float64{a + 1000, b + 1000}, Unclear: unclear}
	}
	return &mechanism.Explanation{
		Run: "20261121T031500Z-burst-k3f9", Scenario: "burst", Variants: [2]string{"goroutine", "gnet"}, Span: "burst, until its last request had an outcome",
		Rows: []mechanism.Row{
			row("goodput", "goodput", mechanism.PerSecond, tenRounds(100e3, 99e3, 101e3), tenRounds(90e3, 89e3, 91e3), estimated(0.9, 0.88, 0.92)),
			row("p99", "response time, p99", mechanism.Ns, tenRounds(10e6, 9e6, 12e6), tenRounds(8e6, 7e6, 9e6), estimated(0.8, 0.7, 0.95)),
			row("cpu", "CPU time", mechanism.Ns, tenRounds(9410, 9190, 9470), tenRounds(8980, 8480, 9160), estimated(0.949, 0.923, 0.974)),
			row("wakeups", "wake-ups", mechanism.Number, tenRounds(0.1, 0.01, 0.3), tenRounds(0.4, 0.1, 0.5), estimated(4, 0.9, 9)), // the interval holds 1
			row("involuntary", "involuntary switches", mechanism.Number, tenRounds(1e-5, 1e-5, 1e-5), tenRounds(1e-4, 1e-4, 1e-4), estimated(10, 9, 11)),
			row("syscalls", "system calls", mechanism.Number, onePoint(2.6), onePoint(2), onePoint(2/2.6)),
			row("segments", "TCP segments", mechanism.Number, onePoint(2), onePoint(2.1), onePoint(1.05)), // less than one trial supports
			row("wire-bytes", "bytes on the wire", mechanism.Bytes, none, onePoint(3), mechanism.Value{Missing: "not known of both"}),
		},
		CPU: &mechanism.Difference{
			Total: [2]float64{9000, 8000}, Samples: [2]int64{900, 800},
			Areas: []mechanism.Function{f("system calls", 6000, 5000, false), f("the rest", 3000, 3100, true)},
			Flat:  []mechanism.Function{f("github.com/panjf2000/gnet/v2.(*conn).Write", 0, 3000, false), f("runtime.memmove", 100, 120, true)},
		},
		Allocs: &mechanism.Difference{Flat: []mechanism.Function{f("bufio.NewReaderSize", 4096, 0, false)}},
		Notes:  []string{"gnet took 9.00 CPU-µs a request with profiles taken, 8.98 in the measured rounds"},
	}
}

func TestWrite(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, anExplanation(), false); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	flat := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{
		"Against goroutine, gnet has p99 down 20.0 % (10.0 ms to 8.00 ms), and goodput down 10.0 % (100 k/s to 90.0 k/s).",
		"gnet spends 8.98 µs of CPU time a request where goroutine spends 9.41 µs; it makes 2 system calls a request where goroutine makes 2.60.",
		"CPU time a request differs by −1.00 µs: most of it −1.00 µs in system calls.",
		"CPU time 9.41 µs (9.19–9.47) 8.98 µs (8.48–9.16) 0.949 [0.923–0.974]",
		"What a request costs, from 10 rounds of the run", "from a trial of its own each",
		"bytes on the wire –¹ 3 B –", "¹ unknown: needs root and tracefs",
		"gnet/v2.(*conn).Write 0 s 3.00 µs +3.00 µs 1.00 µs 4.00 µs", "+20 ns²", "² less than two standard errors",
		"bufio.NewReaderSize 4.00 KiB 0 B −4.00 KiB", "– gnet took 9.00 CPU-µs",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(flat, "support no order") || !strings.Contains(flat, "signed-rank interval (95.1 %), each by itself") {
		t.Errorf("ten rounds are called few, or their intervals nothing:\n%s", text)
	}
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(line) > sheet.Width+1 {
			t.Errorf("line of more than %d columns: %s", sheet.Width, line)
		}
	}
}

// Where nothing is known or nothing differs, the sentences claim nothing.
func TestSentencesClaimNothing(t *testing.T) {
	x := anExplanation()
	x.CPU = nil
	for i := range x.Rows {
		x.Rows[i].Values[1], x.Rows[i].Ratio = x.Rows[i].Values[0], estimated(1, 0.9, 1.1)
	}
	got := strings.Join(allSentences(x), " ")
	if !strings.Contains(got, "no supported difference of p99 (10.0 ms, 10.0 ms)") || !strings.Contains(got, "None of the figures below supports a difference.") {
		t.Error(got)
	}
	x.Rows = nil
	if got := allSentences(x); len(got) != 1 {
		t.Errorf("%q of nothing", got)
	}
	var out bytes.Buffer
	if err := Write(&out, x, true); err != nil || !strings.Contains(out.String(), "gnet against goroutine") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// Five rounds that all agree support no sentence, nor do single trials that differ by less than a tenth; six rounds whose
// extremes lie on both sides of 1 do where their interval doesn't hold it.
func TestSentencesGoByIntervals(t *testing.T) {
	x := anExplanation()
	x.CPU.Areas[0].Flat = [2]float64{6000, 5600}
	for i := range x.Rows {
		r := &x.Rows[i].Ratio
		if x.Rows[i].Source != mechanism.OwnTrial {
			r.N, r.Confidence = mechanism.IntervalRounds-1, 0
		}
	}
	if got := allSentences(x); len(got) != 1 || got[0] != "gnet makes 2 system calls a request where goroutine makes 2.60." {
		t.Errorf("five rounds: %q", got)
	}
	var out bytes.Buffer
	if err := Write(&out, x, false); err != nil || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "Fewer than 6 rounds, as here, support no order") {
		t.Errorf("%v: %s", err, out.String())
	}
	cpu := &x.Rows[2]
	cpu.Ratio = mechanism.Value{Median: 0.949, Lo: 0.923, Hi: 1.01, N: 20} // the range, of rounds that have no interval
	if supported(*cpu, 100) {
		t.Error("a range is taken for an interval")
	}
	cpu.Ratio.Hi, cpu.Ratio.Confidence = 0.99, 0.95
	if !supported(*cpu, 100) {
		t.Error("an interval below 1 supports nothing")
	}
}

func TestShortName(t *testing.T) {
	for name, want := range map[string]string{
		"github.com/panjf2000/gnet/v2.(*conn).Write":               "gnet/v2.(*conn).Write",
		"github.com/cloudwego/netpoll.(*connection).Read":          "netpoll.(*connection).Read",
		"internal/runtime/maps.(*Iter).Next":                       "maps.(*Iter).Next",
		"runtime.memmove":                                          "runtime.memmove",
		"main.main.func1":                                          "main.main.func1",
		"sync/atomic.(*Pointer[github.com/a/b.c]).Load":            "atomic.(*Pointer[github.com/a/b.c]).Load",
		"slices.SortFunc[github.com/a/b/v2.t,github.com/a/b.(*x)]": "slices.SortFunc[github.com/a/b/v2.t,github.com/a/b.(*x)]",
		"write [system call]":                                      "write [system call]",
	} {
		if got := shortName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
