package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// quantityName is a figure that is compared, by the clock of service time unless it says otherwise.
type quantityName string

const (
	rate        quantityName = "rate"
	mean        quantityName = "mean"
	p50         quantityName = "p50"
	p99         quantityName = "p99"
	responseP50 quantityName = "response p50"
	responseP99 quantityName = "response p99"
)

// observed is what a tool's runs showed. Times are in ns; what is not known is NaN.
type observed struct {
	name string
	// each[q][i] is of pair i.
	each map[quantityName][]float64
	// client and server are CPU ns per request, clientBusy is the client's share of its core.
	client, server, clientBusy float64
	// covers is mean latency ÷ (connections ÷ rate), 1 where a closed loop's clock never stands still.
	covers float64
	// lagP99 is millrace's own.
	lagP99 float64
	// preempted is involuntary context switches a second: threads of the client that push each other off their core.
	preempted        float64
	clump50, clump99 float64
}

// observe adds up a tool's runs.
func observe(name string, samples []sample) *observed {
	of := func(f func(*sample) float64) float64 { return spreadOf(each(samples, f)).Median }
	o := &observed{name: name, each: map[quantityName][]float64{
		rate: each(samples, func(s *sample) float64 { return s.rate }),
		mean: each(samples, func(s *sample) float64 { return s.mean }),
		p50:  each(samples, func(s *sample) float64 { return s.p50 }),
		p99:  each(samples, func(s *sample) float64 { return s.p99 }),
	}}
	o.client = of(func(s *sample) float64 { return float64(s.cpu) / float64(s.requests) })
	o.server = of(func(s *sample) float64 { return float64(s.serverCPU) / float64(s.requests) })
	o.clientBusy = of(func(s *sample) float64 { return float64(s.cpu) / float64(s.wall) })
	o.covers = of(func(s *sample) float64 { return s.mean * s.rate / 1e9 / crossConnections })
	o.preempted = of(func(s *sample) float64 { return float64(s.preempted) / s.wall.Seconds() })
	o.clump50 = of(func(s *sample) float64 { return s.clump50 })
	o.clump99 = of(func(s *sample) float64 { return s.clump99 })
	o.lagP99 = math.NaN()
	if len(samples) > 0 && samples[0].report != nil {
		o.lagP99 = of(func(s *sample) float64 { return orNaN(s.report.LagNs.P99) })
		o.each[responseP50] = each(samples, func(s *sample) float64 { return orNaN(s.report.ResponseNs.P50) })
		o.each[responseP99] = each(samples, func(s *sample) float64 { return orNaN(s.report.ResponseNs.P99) })
	}
	return o
}

func (o *observed) median(q quantityName) float64 { return spreadOf(o.each[q]).Median }

// cycle is connections ÷ rate in ns: by Little's law the mean time of a request of a closed loop.
func (o *observed) cycle() float64 { return crossConnections / o.median(rate) * 1e9 }

// finding is what the pairs say of a difference.
type finding int

const (
	agrees   finding = iota // 1 as far as can be seen, and that is far enough
	differs                 // beyond the noise
	tooNoisy                // the noise would hide a difference of more than maxScatter
)

// difference is how a figure of a tool compares with the reference's.
type difference struct {
	ratio   spread
	finding finding
	why     string // of one that differs: the rule and its evidence; empty if there is none
}

const (
	// rateFloor is the difference of rates that the check of the offered rate lets pass too.
	rateFloor = 0.01
	// maxScatter is how far smallest and largest ratio may lie from their median, as a share of it, where they are to show that
	// two figures agree: an interval that holds 1 because it is wide shows nothing.
	maxScatter = 0.10
)

// narrow reports whether ratios scatter by at most maxScatter. One pair tells nothing of it.
func (s spread) narrow() bool {
	return s.N > 1 && s.Max <= s.Median*(1+maxScatter) && s.Min >= s.Median*(1-maxScatter)
}

// decide judges a ratio. It is 1 as far as can be seen where its pairs lie on both sides of 1, or its median is among the
// ratios of the reference to itself; of five pairs smallest and largest are an interval of the median with a confidence of
// 1 − 2/2⁵ = 94 %. That is agreement where what shows it is narrow, and undecided otherwise. A ratio whose pairs all lie on one
// side differs however they scatter. A figure that a tool does not give can't differ.
func decide(q quantityName, ratio, again spread) finding {
	if ratio.N == 0 {
		return agrees
	}
	around := ratio.Min <= 1 && ratio.Max >= 1 || q == rate && math.Abs(ratio.Median-1) <= rateFloor
	among := ratio.Median >= again.Min && ratio.Median <= again.Max
	switch {
	case !around && !among:
		return differs
	case ratio.narrow() && (around || again.narrow()):
		return agrees
	}
	return tooNoisy
}

// compare judges one figure of a tool.
func compare(q quantityName, o, ref, again *observed, c cell) difference {
	d := difference{ratio: spreadOf(ratios(o.each[q], ref.each[q]))}
	d.finding = decide(q, d.ratio, spreadOf(ratios(again.each[q], ref.each[q])))
	if d.finding != differs {
		return d
	}
	for _, r := range rules {
		if evidence, ok := r.applies(q, o, ref, c); ok {
			d.why = r.key + " (" + evidence + ")"
			break
		}
	}
	return d
}

// rule explains a difference by what tools measure or how they work, where its condition holds.
type rule struct {
	key, text string
	applies   func(q quantityName, o, ref *observed, c cell) (evidence string, ok bool)
}

// Slack of the conditions.
const (
	costSlack  = 0.10 // of CPU time per request: starting and connecting are in it
	coverSlack = 0.10 // of Little's law: connecting is in some tools' time, ab's mean is of its percentiles
)

// slice is how long Go lets a goroutine run before it takes the processor away (forcePreemptNS in runtime/proc.go).
const slice = 10 * time.Millisecond

// rules are tried in order.
var rules = []rule{
	{"CPU", "A closed loop's rate is set by what client and server spend on a request. Condition: with both tools, 1 ÷ rate lies between the larger of " +
		"the two CPU times per request (both cores work at once) and their sum (they take turns), within 10 %; and the slower tool's client or server spends more.",
		func(q quantityName, o, ref *observed, c cell) (string, bool) {
			if q != rate || c.rate > 0 {
				return "", false
			}
			slow, fast := o, ref
			if ref.median(rate) < o.median(rate) {
				slow, fast = ref, o
			}
			ok := slow.costsItsRate() && fast.costsItsRate() && (slow.client > fast.client || slow.server > fast.server)
			return fmt.Sprintf("client %s and server %s a request, millrace's %s and %s", asTime(o.client), asTime(o.server), asTime(ref.client), asTime(ref.server)), ok
		}},
	{"Little", "A closed loop's mean latency is connections ÷ rate (Little's law), and how it is spread over the requests is the order in which the tool's " +
		"loop takes its turns. Condition: mean × rate ÷ connections is 1 within 10 %, and the figure is at most two turns, 2 × connections ÷ rate, or, where that is nearer to millrace's than the figure itself, as many turns within 10 %.",
		func(q quantityName, o, ref *observed, c cell) (string, bool) {
			turns, refs := o.median(q)/o.cycle(), ref.median(q)/ref.cycle()
			apart := math.Abs(turns/refs - 1)
			stretched := apart <= coverSlack && apart < math.Abs(o.median(q)/ref.median(q)-1)
			ok := c.rate == 0 && q != rate && math.Abs(o.covers-1) <= coverSlack && (turns <= 2 || stretched)
			return fmt.Sprintf("connections ÷ rate is %s, its clock covers %.2f of it; %.1f turns, millrace's %.1f", asTime(o.cycle()), o.covers, turns, refs), ok
		}},
	{"clock", "The tool's clock stands still for a part of each turn: wrk starts it when it writes, a turn of its loop after the reply that freed the connection; " +
		"vegeta starts it when a worker picks a request up, and one goroutine hands them out. millrace's runs on. Condition: the tool is one of these, mean × rate ÷ connections is " +
		"below 0.9, and the figure is at most two turns.",
		func(q quantityName, o, _ *observed, c cell) (string, bool) {
			known := o.name == "wrk" || strings.Contains(o.name, "vegeta")
			ok := known && c.rate == 0 && q != rate && o.covers < 1-coverSlack && o.median(q) <= 2*o.cycle()
			return fmt.Sprintf("connections ÷ rate is %s, its clock covers %.2f of it", asTime(o.cycle()), o.covers), ok
		}},
	{"clumps", "The tool sends in clumps at its timer's ticks, less than half of the planned distance apart, and the last of a clump waits for all of it. Condition: the tool logs when it sends; the figure exceeds millrace's " +
		"by at most the clump's size (of the median request for p50, of one in a hundred for p99) × the CPU time of client and server per request, within 10 %.",
		func(q quantityName, o, ref *observed, c cell) (string, bool) {
			size := o.clump50
			if q == p99 {
				size = o.clump99
			}
			more := o.median(q) - ref.median(q)
			ok := c.rate > 0 && q != rate && more > 0 && size >= 2 && more <= size*(o.client+o.server)*(1+costSlack)
			return fmt.Sprintf("%s more, clumps of %.0f at %s", asTime(more), size, asTime(o.client+o.server)), ok
		}},
	{"work", "The client's own work for a request lies between its sending and the end of the clock. Condition: the figure exceeds millrace's by at most the client's CPU time per request.",
		func(q quantityName, o, ref *observed, c cell) (string, bool) {
			more := o.median(q) - ref.median(q)
			ok := c.rate > 0 && q != rate && more > 0 && more <= o.client
			return fmt.Sprintf("%s more, %s of client CPU a request", asTime(more), asTime(o.client)), ok
		}},
	{"threads", "A Go client's goroutines share one core: a reply waits unread while another runs, for up to the 10 ms after which Go takes the processor away, beside the two turns of a closed loop. " +
		"Condition: the tool is vegeta; its p99 exceeds millrace's by at most 10 ms (in a closed loop: lies below two turns and 10 ms); its threads were pushed off the core at least a hundred times a second.",
		func(q quantityName, o, ref *observed, c cell) (string, bool) {
			limit := ref.median(q) + float64(slice)
			if c.rate == 0 {
				limit = 2*o.cycle() + float64(slice)
			}
			more := o.median(q) - ref.median(q)
			ok := q == p99 && strings.Contains(o.name, "vegeta") && o.preempted >= 100 && more > 0 && o.median(q) <= limit
			return fmt.Sprintf("%s more, %.0f involuntary switches a second%s", asTime(more), o.preempted, o.lag(c)), ok
		}},
}

// costsItsRate is the condition of rule CPU for one tool.
func (o *observed) costsItsRate() bool {
	per := 1e9 / o.median(rate)
	return per >= max(o.client, o.server)*(1-costSlack) && per <= (o.client+o.server)*(1+costSlack)
}

// lag is the lag of a report, as evidence.
func (o *observed) lag(c cell) string {
	if math.IsNaN(o.lagP99) || c.rate == 0 {
		return ""
	}
	return ", own lag p99 " + asTime(o.lagP99)
}

// legend says what the tools' clocks are, and the rules.
func legend() string {
	var b strings.Builder
	fmt.Fprintf(&b, `p50 and p99 are by each tool's own clock, from its sending on; ÷ is to millrace's service time, which has the same definition. "÷ response" is to millrace's response time,
the headline, which counts from when a request was due (millrace's own rows: their response time). Within noise: the pairs' ratios lie on both sides of 1, or their median is among those
of millrace to itself, or rates are within 1 %%. Where the ratios that show it scatter by more than ±%.0f %% around their median, the cell is undecided: so wide an interval would hide a difference,
and it counts neither as agreement nor as a difference. The exit status is 1 if something is unexplained, else 3 if something is undecided.

| tool | what its figures are |
|---|---|
| wrk | service time from the write; late ones are invented beside those it saw (coordinated omission, guessed at); closed loop only |
| ab | HTTP/1.0 with keep-alive, one thread; service time; closed loop only |
| h2load | service time; percentiles from its log, which it writes at a fixed rate only; each connection has a timer of its own |
| vegeta | from when a worker picks the request up, waiting for a connection included |
| millrace, engine vegeta | vegeta's workers with millrace's pacing and clock |

| rule | what explains a difference |
|---|---|
`, 100*maxScatter)
	for _, r := range rules {
		fmt.Fprintf(&b, "| %s | %s |\n", r.key, r.text)
	}
	return b.String()
}
