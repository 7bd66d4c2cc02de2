// Package known holds the known answers: loads against scripted reflectors whose latencies and outcomes follow from
// arithmetic, so that an engine can be held against what must come out. Each case states its prediction with its
// derivation, and how near an engine has to come.
//
// Every case also keeps the books (see identity): what was planned is what the schedule holds and what the outcomes add
// up to, in every second and in all, and the server saw every request that was sent exactly once.
package known

import (
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/scenarios"
)

// Case is one load against one reflector, and what must come out.
type Case struct {
	Name   string
	Script reflect.Script
	// Connections, Timeout and Phases are of the load. Pipelined, it keeps Pipeline requests in flight on a connection.
	Connections int
	Pipeline    int
	Timeout     time.Duration
	Phases      []scenarios.Phase
	// Share of the requests asks for work; see Script.WorkDelay.
	Share scenarios.Percent
	// Judge holds a trial against the prediction.
	Judge func(t *Trial) []Answer
	// Beside is whether it may run beside other such cases: it has next to no load and predicts no times.
	Beside bool
	// Except has the engines that can't give the predicted answer, and what they give instead.
	Except map[string]Exception
}

// Exception is what an engine shows instead of the right answer, which is checked as well: everything but what stands
// here.
type Exception struct {
	Reason string
	// Late is how much longer a time beyond the median may be, Median how much longer that one, and Drain how much longer for
	// each request that waited in front.
	Late, Median, Drain time.Duration
	// Skip is whether the engine can't run the case at all.
	Skip bool
}

// Trial is one load as it ran.
type Trial struct {
	Plan   *clients.Plan
	Report *clients.Report
	Served reflect.Counts
	// Response and Service are of the measured phases, from the logs: of them any quantile can be asked for, however few
	// requests there were.
	Response, Service *hist.Histogram
	// Exception is what the engine is allowed beyond the prediction.
	Exception
}

// Answer is one figure held against its prediction. A figure that is not there is nil: a percentile that a report
// withholds.
type Answer struct {
	What      string   `json:"what"`
	Unit      string   `json:"unit"` // "ns" or "requests", "connections"
	Predicted *float64 `json:"predicted"`
	Measured  *float64 `json:"measured"`
	// Low and High are the bounds of what is accepted.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	OK   bool    `json:"ok"`
}

const (
	// tolerance of a predicted time: what issue and method ask of the tails.
	tolerance = 0.03
	// wake is beside it what an exchange over loopback and the waking of both ends may take: some 100 µs on a
	// virtual machine with a core for each.
	wake = 300 * time.Microsecond
	// early is how much too early a time may be: the histogram's three digits.
	early = 0.001
)

// within judges a time with bounds of its own.
func within(what string, predicted time.Duration, measured int64, low, high time.Duration) Answer {
	p, m := float64(predicted), float64(measured)
	return Answer{what, "ns", &p, &m, float64(low), float64(high), m >= float64(low) && m <= float64(high)}
}

// about judges a response time by the tolerance.
func (t *Trial) about(what string, predicted time.Duration, q float64) Answer {
	p := float64(predicted)
	return within(what, predicted, t.Response.Quantile(q), time.Duration(p*(1-tolerance)), time.Duration(p*(1+tolerance))+wake+t.late(q))
}

// late is how much longer the engine's quantile q may be.
func (t *Trial) late(q float64) time.Duration {
	if q <= 0.5 {
		return t.Median
	}
	return t.Late
}

// calm judges that a quantile shows no delay.
func (t *Trial) calm(what string, q float64, measured int64) Answer {
	limit := calm
	if q > 0.5 {
		limit += t.Late
	}
	return within(what, 0, measured, 0, limit)
}

// exactly judges a count.
func exactly(what, unit string, predicted, measured int64) Answer {
	return around(what, unit, predicted, measured, 0)
}

// around judges a count that may be off by so much.
func around(what, unit string, predicted, measured, off int64) Answer {
	p, m := float64(predicted), float64(measured)
	low, high := float64(predicted-off), float64(predicted+off)
	return Answer{what, unit, &p, &m, low, high, m >= low && m <= high}
}

// withheld judges a percentile that must not be given.
func withheld(what string, measured *int64) Answer {
	a := Answer{What: what, Unit: "ns", OK: measured == nil}
	if measured != nil {
		m := float64(*measured)
		a.Measured = &m
	}
	return a
}

// given judges the median of a report, which must be there and show no delay.
func (t *Trial) given(what string, measured *int64) Answer {
	if measured == nil {
		var none float64
		return Answer{What: what, Unit: "ns", Predicted: &none, High: float64(calm)}
	}
	return t.calm(what, 0.5, *measured)
}

// outcome judges how many requests had one.
func outcome(t *Trial, o clients.Outcome, predicted int64) Answer {
	return exactly(o.String(), "requests", predicted, t.Report.Outcomes[o.String()])
}

// all judges that every planned request had one outcome.
func all(t *Trial, o clients.Outcome) Answer { return outcome(t, o, t.Report.Planned) }

// calm is the most that a request may take that meets no delay: far below every delay that is scripted, and far above what an
// exchange over loopback takes on a busy host.
const calm = 5 * time.Millisecond

// onSharedThreads are engines whose requests are goroutines: one is sent, and its reply noticed, when Go's scheduler gets
// to it, which shares few threads among the pacer, a worker for each connection and the collector. So their times are never
// less than the right ones, which is held as of every engine, but may be longer:
//
//	Median    a hand-over between goroutines or two, 0.2 to 0.6 ms on a busy host of two cores
//	Late      a turn of another goroutine, which the scheduler ends after 10 ms (forcePreemptNS in Go's runtime/proc.go);
//	          2.3 ms at a p99 on the same host
//	Drain     what a request costs in a backlog: vegeta's closed loop reached 42 k/s there, which is 24 µs, and its backlog of
//	          a stall on 10 connections drained at 50 µs; twice that is allowed for a host that others use as well
//
// That is what they show, and not what they hide: response times still count from when a request was due.
var onSharedThreads = map[string]Exception{
	"vegeta": {
		Reason: "vegeta's requests are goroutines, sent and noticed when Go's scheduler gets to them: medians may be 2 ms longer, other times 10 ms, and 100 µs for each request in front in a backlog",
		Median: 2 * time.Millisecond, Late: 10 * time.Millisecond, Drain: 100 * time.Microsecond,
	},
	tlsEngine: {
		Reason: "engine tls and the reflector's TLS are goroutines: times may be 2 ms longer, and 200 µs for each request in front in a backlog",
		Median: 2 * time.Millisecond, Late: 2 * time.Millisecond, Drain: 200 * time.Microsecond,
	},
}

// Names of the phases.
const (
	loadPhase  = "load"
	drainPhase = "drain"
)

// steady is the measured phase with its arrivals.
func steady(d time.Duration, a scenarios.Arrivals) scenarios.Phase {
	return scenarios.Phase{Name: loadPhase, Load: "steady", For: scenarios.Duration(d), Arrivals: a, Measure: true, Active: 100}
}

// drain is a phase without requests of its own, in which those of the last one are answered.
func drain(d time.Duration) scenarios.Phase {
	return scenarios.Phase{Name: drainPhase, Load: "steady", For: scenarios.Duration(d), Active: 100}
}

func constant(rate float64) scenarios.Arrivals {
	return scenarios.Arrivals{Constant: scenarios.Rate(rate)}
}

// body is what every good reply carries.
const body = "hello, world!"

// Cases are all known answers, timed ones first, or the quick ones: the same with shorter times.
func Cases(quick bool) []Case {
	cases := []Case{fixedDelay(quick), bystanders(quick), freezeInTheMiddle(quick), freezeAtTheEnd(quick, 50), stalls(quick, 10), queue(quick, true)}
	if !quick {
		cases = append(cases, twoPointDelay(), queue(quick, false), freezeAtTheEnd(quick, 1500), stalls(quick, 100))
	}
	cases = append(cases, wrongBodies(quick, "http1", 8), wrongBodies(quick, "frame", 8), wrongBodies(quick, "http1", 1))
	return append(cases, drawers()...)
}
