package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// captured is what a tool really printed.
func captured(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// near compares a reading with the figures that a person reads in the file.
func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if math.IsNaN(want) != math.IsNaN(got) || math.Abs(got-want) > 1e-9*math.Abs(want) {
		t.Errorf("%s = %v, want %v", name, got, want)
	}
}

func TestParseWrk(t *testing.T) {
	for _, c := range []struct {
		file           string
		requests, bad  int64
		rate           float64
		mean, p50, p99 float64 // µs
	}{
		{"wrk.txt", 148585, 0, 148402.17, 513.15, 382, 4490},
		{"wrk-404.txt", 0, 66292, 0, 74.47, 53, 763},                  // a reply with 404 is no good one
		{"wrk-died.txt", 55654, 4 + 184840, 26506.02, 67.90, 62, 310}, // the server was killed
		{"wrk-silent.txt", 0, 0, 0, 0, 0, 0},                          // nothing was ever answered
	} {
		r, err := parseWrk(captured(t, c.file))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if r.requests != c.requests || r.bad != c.bad {
			t.Errorf("%s: %d good, %d bad, want %d and %d", c.file, r.requests, r.bad, c.requests, c.bad)
		}
		near(t, c.file+": rate", r.rate, c.rate)
		near(t, c.file+": mean", r.mean, c.mean*1000)
		near(t, c.file+": p50", r.p50, c.p50*1000)
		near(t, c.file+": p99", r.p99, c.p99*1000)
	}
}

// wrk pads units to a width: "1.00s " ends in a space.
func TestParseWrkInSeconds(t *testing.T) {
	r, err := parseWrk(strings.Replace(captured(t, "wrk.txt"), "4.49ms", " 1.21s ", 1))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "p99", r.p99, 1.21e9)
}

func TestParseAB(t *testing.T) {
	r, err := parseAB(captured(t, "ab.txt"), captured(t, "ab.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if r.requests != 144847 || r.bad != 0 {
		t.Errorf("%d good, %d bad, want 144847 and 0", r.requests, r.bad)
	}
	near(t, "rate", r.rate, 144846.13)
	near(t, "p50", r.p50, 276_000)
	near(t, "p99", r.p99, 3_459_000)
	// Little's law, ab's own "Time per request": 0.442 ms. The slowest hundredth is counted as its fastest, so it is less.
	if r.mean < 0.35e6 || r.mean > 0.442e6 {
		t.Errorf("mean = %v ns, want a little below 442000", r.mean)
	}
	if r, err = parseAB(captured(t, "ab-404.txt"), captured(t, "ab-404.csv")); err != nil || r.requests != 0 || r.bad != 34690 {
		t.Errorf("replies with 404: %d good, %d bad, %v; want 0, 34690", r.requests, r.bad, err)
	}
}

func TestParseH2load(t *testing.T) {
	r, err := parseH2load(captured(t, "h2load.txt"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.requests != 196904 || r.bad != 0 {
		t.Errorf("%d good, %d bad, want 196904 and 0", r.requests, r.bad)
	}
	near(t, "rate", r.rate, 196904)
	near(t, "mean", r.mean, 324_000)
	near(t, "p50 without a log", r.p50, math.NaN())
	if r, err = parseH2load(captured(t, "h2load-404.txt"), nil); err != nil || r.requests != 0 || r.bad != 53191 {
		t.Errorf("replies with 404: %d good, %d bad, %v; want 0, 53191", r.requests, r.bad, err)
	}

	// The log's first 200 lines: its 64 connections have timers that tick together.
	r, err = parseH2load(captured(t, "h2load-rate.txt"), []byte(captured(t, "h2load.log")))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "rate", r.rate, 9984)
	near(t, "clump of the median request", r.clump50, 64)
	near(t, "p99 of 200 requests", r.p99, math.NaN())
	if !(r.p50 > 100_000 && r.p50 < 5_160_000) {
		t.Errorf("p50 = %v ns, want it between the smallest and the largest", r.p50)
	}
}

func TestParseVegeta(t *testing.T) {
	r, err := parseVegeta(captured(t, "vegeta.json"), strings.NewReader(captured(t, "vegeta.csv")))
	if err != nil {
		t.Fatal(err)
	}
	if r.requests != 19995 || r.bad != 0 {
		t.Errorf("%d good, %d bad, want 19995 and 0", r.requests, r.bad)
	}
	near(t, "rate", r.rate, 9995.224312316632)
	near(t, "mean", r.mean, 262381)
	near(t, "p50", r.p50, 154878)
	near(t, "p99", r.p99, 1981692)
	if !(r.clump50 >= 2) {
		t.Errorf("clump of the median request = %v, want several: vegeta sleeps a millisecond at a time", r.clump50)
	}
}

func TestParseMillrace(t *testing.T) {
	r, err := parseMillrace(captured(t, "millrace.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r.requests != 19997 || r.bad != 0 {
		t.Errorf("%d good, %d bad, want 19997 and 0", r.requests, r.bad)
	}
	near(t, "rate", r.rate, 19997)
	near(t, "service p50", r.p50, 91327)
	near(t, "service p99", r.p99, 15196159)
	near(t, "response p99", orNaN(r.report.ResponseNs.P99), 95420415)
	lost := strings.Replace(captured(t, "millrace.json"), `"planned": 20000`, `"planned": 20001`, 1)
	if _, err := parseMillrace(lost); err == nil || !strings.Contains(err.Error(), "20001 planned, 20000 outcomes") {
		t.Errorf("a report that lost a request: %v, want an error", err)
	}
}

// Whatever line is missing, the output is refused: a tool of another version must not be read by halves.
func TestParsersAreStrict(t *testing.T) {
	ab, log := captured(t, "ab.csv"), []byte(captured(t, "h2load.log"))
	for _, c := range []struct {
		name, file string
		parse      func(text string) error
		needs      []string // beginnings of lines
	}{
		{"wrk", "wrk.txt", func(s string) error { _, err := parseWrk(s); return err }, []string{"    Latency", "     50%", "     99%", "  148585 requests", "Requests/sec"}},
		{"ab", "ab.txt", func(s string) error { _, err := parseAB(s, ab); return err }, []string{"Complete requests", "Failed requests", "Requests per second"}},
		{"ab's percentiles", "ab.csv", func(s string) error { _, err := parseAB(captured(t, "ab.txt"), s); return err }, []string{"Percentage", "0,", "50,", "100,"}},
		{"h2load", "h2load-rate.txt", func(s string) error { _, err := parseH2load(s, log); return err }, []string{"finished in", "requests:", "status codes", "time for request"}},
		{"vegeta", "vegeta.json", func(s string) error { _, err := parseVegeta(s, bytes.NewReader(nil)); return err }, []string{"{"}},
		{"millrace", "millrace.json", func(s string) error { _, err := parseMillrace(s); return err }, []string{"{", `  "schema"`, `  "planned"`}},
	} {
		text := captured(t, c.file)
		if err := c.parse(text); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, need := range c.needs {
			var kept strings.Builder
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, need) {
					kept.WriteString(line)
				}
			}
			if kept.Len() == len(text) {
				t.Errorf("%s: no line begins with %q", c.name, need)
			}
			if err := c.parse(kept.String()); err == nil {
				t.Errorf("%s without its line %q: no error", c.name, need)
			}
		}
		if err := c.parse(""); err == nil {
			t.Errorf("%s without output: no error", c.name)
		}
	}
}

func TestAllocsPerRequest(t *testing.T) {
	got, err := allocsPerRequest("goos: linux\nBenchmarkClosedLoop/engine=epoll-2   \t       1\t1218123456 ns/op\t         0.0012 allocs/request\t    100000 requests/s\nPASS\n")
	if err != nil || !slices.Equal(got, []float64{0.0012}) {
		t.Errorf("= %v, %v; want 0.0012", got, err)
	}
	for _, text := range []string{"PASS\n", "BenchmarkClosedLoop 1 1018123456 ns/op 100000 requests/s\n", "BenchmarkClosedLoop 1 x allocs/request\n"} {
		if got, err := allocsPerRequest(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestClumps(t *testing.T) {
	for _, c := range []struct {
		starts   []int64 // µs
		p50, p99 float64
	}{
		{nil, math.NaN(), math.NaN()},
		{[]int64{0, 100, 200, 300}, 1, 1},
		{[]int64{300, 310, 0, 320, 100, 200}, 1, 3}, // in any order; half of them alone
		{[]int64{0, 40, 80, 120, 1000}, 4, 4},
	} {
		ns := make([]int64, len(c.starts))
		for i, us := range c.starts {
			ns[i] = us * 1000
		}
		p50, p99 := clumps(ns)
		near(t, "p50", p50, c.p50)
		near(t, "p99", p99, c.p99)
	}
}
