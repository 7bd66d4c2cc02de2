package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/clients"
)

// reading is what a tool says of one run, by its own definitions. Times are in ns; what a tool does not say is NaN.
type reading struct {
	requests int64   // with a good reply
	bad      int64   // every other outcome it tells of
	rate     float64 // good replies a second
	// mean, p50 and p99 are by the tool's own clock, which starts when it begins to send.
	mean, p50, p99 float64
	// clump50 and clump99 are how many requests the median request, and the one in a hundred, was sent together with,
	// itself included, where the tool logs when requests are sent.
	clump50, clump99 float64
	// report is millrace's own, nil of other tools.
	report *clients.Report
	// waits are those of a thread without a network, nil of tools.
	waits *waits
}

func unknownReading() reading {
	nan := math.NaN()
	return reading{rate: nan, mean: nan, p50: nan, p99: nan, clump50: nan, clump99: nan}
}

// fields finds numbers in a tool's text. The first that is missing, or twice there, is the error.
type fields struct {
	tool, text string
	err        error
}

// find is the only match's first group. A field that may be missing gives the empty string.
func (f *fields) find(pattern string, optional bool) string {
	m := regexp.MustCompile(`(?m)`+pattern).FindAllStringSubmatch(f.text, -1)
	if len(m) == 1 {
		return m[0][1]
	}
	if len(m) > 1 || !optional {
		f.fail(fmt.Errorf("%d lines match %s, want one", len(m), pattern))
	}
	return ""
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = fmt.Errorf("reading %s's output: %w", f.tool, err)
	}
}

func (f *fields) number(pattern string) float64 {
	text := f.find(pattern, false)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		f.fail(fmt.Errorf("%s: %w", pattern, err))
	}
	return v
}

// count is a whole number; where optional and missing it is 0.
func (f *fields) count(pattern string, optional bool) int64 {
	text := f.find(pattern, optional)
	if text == "" {
		return 0
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f.fail(fmt.Errorf("%s: %w", pattern, err))
	}
	return v
}

// span is a time such as 334.00us, in ns. m is a minute.
func (f *fields) span(pattern string) float64 {
	d, err := time.ParseDuration(f.find(pattern, false))
	if err != nil {
		f.fail(fmt.Errorf("%s: %w", pattern, err))
	}
	return float64(d)
}

// parseWrk reads wrk 4 with --latency.
func parseWrk(text string) (reading, error) {
	f, r := fields{tool: "wrk", text: text}, unknownReading()
	r.mean = f.span(`^    Latency +(\S+) `)
	r.p50 = f.span(`^ +50% +(\S+) *$`)
	r.p99 = f.span(`^ +99% +(\S+) *$`)
	all := f.count(`^  (\d+) requests in \S+, \S+ read$`, false)
	rate := f.number(`^Requests/sec: +(\S+)$`)
	r.bad = f.count(`^  Non-2xx or 3xx responses: (\d+)$`, true)
	r.requests = all - r.bad
	for _, kind := range []string{"connect", "read", "write", "timeout"} {
		r.bad += f.count(`^  Socket errors: .*\b`+kind+` (\d+)`, true)
	}
	r.rate = rate * float64(r.requests) / float64(max(all, 1))
	return r, f.err
}

// parseAB reads ab 2.3 and the percentiles 0 to 100 that it wrote with -e. The mean is that of a distribution with straight
// lines between them, the slowest hundredth counted as its fastest: the text has times in whole ms only.
func parseAB(text, percentiles string) (reading, error) {
	f, r := fields{tool: "ab", text: text}, unknownReading()
	all := f.count(`^Complete requests: +(\d+)$`, false)
	r.bad = f.count(`^Failed requests: +(\d+)$`, false) + f.count(`^Write errors: +(\d+)$`, true) + f.count(`^Non-2xx responses: +(\d+)$`, true)
	r.requests = max(all-r.bad, 0) // it counts some of the last ones as bad only
	r.rate = f.number(`^Requests per second: +(\S+) \[#/sec\] \(mean\)$`) * float64(r.requests) / float64(max(all, 1))
	if f.err != nil {
		return r, f.err
	}
	rows, err := csv.NewReader(strings.NewReader(percentiles)).ReadAll()
	if err != nil {
		return r, fmt.Errorf("reading ab's percentiles: %w", err)
	}
	if len(rows) != 102 || strings.Join(rows[0], ",") != "Percentage served,Time in ms" {
		return r, fmt.Errorf("reading ab's percentiles: %d lines, want a head and 101", len(rows))
	}
	var ns [101]float64
	var sum float64
	for i, row := range rows[1:] {
		ms, err := strconv.ParseFloat(row[1], 64)
		if err != nil || row[0] != strconv.Itoa(i) {
			return r, fmt.Errorf("reading ab's percentiles: line %d: %q", i+2, row)
		}
		ns[i] = ms * 1e6
	}
	for i := range 99 {
		sum += (ns[i] + ns[i+1]) / 2
	}
	r.mean, r.p50, r.p99 = (sum+ns[99])/100, ns[50], ns[99]
	return r, nil
}

// parseH2load reads h2load 1.52 and, where there is one, its log of requests: start in µs, status, µs until the end.
func parseH2load(text string, log []byte) (reading, error) {
	f, r := fields{tool: "h2load", text: text}, unknownReading()
	rate := f.number(`^finished in \S+, (\S+) req/s, `)
	const counts = `^requests: \d+ total, \d+ started, `
	done := f.count(counts+`(\d+) done, `, false)
	good := f.count(`^status codes: (\d+) 2xx, `, false)
	failed := f.count(counts+`.* (\d+) failed, `, false)
	r.requests, r.bad = good, max(done-good, failed)
	r.rate = rate * float64(good) / float64(max(done, 1))
	r.mean = f.span(`^time for request: +\S+ +\S+ +(\S+) `)
	if f.err != nil || log == nil {
		return r, f.err
	}
	var starts, took []int64
	lines := bufio.NewScanner(bytes.NewReader(log))
	for n := 1; lines.Scan(); n++ {
		var start, us int64
		var status int
		if _, err := fmt.Sscanf(lines.Text(), "%d\t%d\t%d", &start, &status, &us); err != nil {
			return r, fmt.Errorf("reading h2load's log: line %d: %q: %w", n, lines.Text(), err)
		}
		if status == 200 {
			starts, took = append(starts, start*1000), append(took, us*1000)
		}
	}
	r.setQuantiles(took)
	r.clump50, r.clump99 = clumps(starts)
	return r, nil
}

// parseVegeta reads `vegeta report -type json` and the lines of `vegeta encode -to csv`, whose first field is the start in
// ns, the second the status.
func parseVegeta(report string, results io.Reader) (reading, error) {
	r := unknownReading()
	var v struct {
		Latencies struct {
			Mean float64 `json:"mean"`
			P50  float64 `json:"50th"`
			P99  float64 `json:"99th"`
		} `json:"latencies"`
		Requests   int64            `json:"requests"`
		Throughput float64          `json:"throughput"`
		Codes      map[string]int64 `json:"status_codes"`
	}
	if err := json.Unmarshal([]byte(report), &v); err != nil {
		return r, fmt.Errorf("reading vegeta's report: %w", err)
	}
	if v.Requests == 0 || v.Latencies.P50 == 0 {
		return r, errors.New("reading vegeta's report: no requests or latencies in it")
	}
	r.requests = v.Codes["200"]
	r.bad = v.Requests - r.requests
	r.rate, r.mean, r.p50, r.p99 = v.Throughput, v.Latencies.Mean, v.Latencies.P50, v.Latencies.P99
	var starts []int64
	lines := csv.NewReader(results)
	for {
		row, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return r, fmt.Errorf("reading vegeta's results: %w", err)
		}
		at, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			return r, fmt.Errorf("reading vegeta's results: %w", err)
		}
		starts = append(starts, at)
	}
	r.clump50, r.clump99 = clumps(starts)
	return r, nil
}

// parseMillrace reads `millrace load --json -`. The clock of mean, p50 and p99 is that of service time.
func parseMillrace(text string) (reading, error) {
	r := unknownReading()
	var report clients.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return r, fmt.Errorf("reading millrace's report: %w", err)
	}
	if report.Schema != clients.Schema {
		return r, fmt.Errorf("reading millrace's report: schema %d, want %d: build both programs from one commit", report.Schema, clients.Schema)
	}
	var all int64
	for _, n := range report.Outcomes {
		all += n
	}
	if all != report.Planned {
		return r, fmt.Errorf("reading millrace's report: %d planned, %d outcomes", report.Planned, all)
	}
	r.requests = report.Outcomes[clients.OK.String()]
	// What is under way at the end is no fault of the server's.
	r.bad = all - r.requests - report.Outcomes[clients.InFlight.String()] - report.Outcomes[clients.Unsent.String()]
	r.rate, r.mean = report.AchievedRPS, report.ServiceNs.Mean
	r.p50, r.p99 = orNaN(report.ServiceNs.P50), orNaN(report.ServiceNs.P99)
	r.report = &report
	return r, nil
}

func orNaN(v *int64) float64 {
	if v == nil {
		return math.NaN()
	}
	return float64(*v)
}

// setQuantiles sets p50 and p99, the latter of at least 10 000 only.
func (r *reading) setQuantiles(ns []int64) {
	slices.Sort(ns)
	if n := len(ns); n > 0 {
		r.p50 = float64(ns[(n-1)/2])
		if n >= 10_000 {
			r.p99 = float64(ns[(n*99+99)/100-1])
		}
	}
}

// clumpGap is the gap between starts, in ns, up to which requests count as sent together: half of what it is planned to be at
// 10 000 a second.
const clumpGap = 50_000

// clumps groups starts that follow each other within clumpGap, and gives the size of the group that the median request,
// and the one in a hundred with the largest, belongs to.
func clumps(starts []int64) (p50, p99 float64) {
	if len(starts) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.SortFunc(starts, cmp.Compare)
	var sizes []int // one for each request
	for from := 0; from < len(starts); {
		to := from + 1
		for to < len(starts) && starts[to]-starts[to-1] <= clumpGap {
			to++
		}
		sizes = append(sizes, slices.Repeat([]int{to - from}, to-from)...)
		from = to
	}
	slices.Sort(sizes)
	n := len(sizes)
	return float64(sizes[(n-1)/2]), float64(sizes[(n*99+99)/100-1])
}
