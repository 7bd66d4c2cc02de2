package results

import (
	"slices"

	"github.com/millrace/millrace/scenarios"
)

// Info describes a metric. Its name ends in its unit, as benchstat wants it.
type Info struct {
	Name  string
	Unit  string // ns, bytes, requests/s, connections/s, deliveries/s, goroutines, sockets, cores or share
	Title string
	// Better is one of BetterLower, BetterHigher and BetterNone.
	Better string
	// Of scenarios that have this trait it is measured; empty for all.
	Of scenarios.Trait
	// Counted metrics count things and compare exactly; the others are continuous and compare by statistics.
	Counted bool
}

// Which way of a metric is better. BetterNone is of those that judge the measurement and not the server.
const (
	BetterLower  = "lower"
	BetterHigher = "higher"
	BetterNone   = "none"
)

// In tells whether the metric is measured of the scenario.
func (i Info) In(s *scenarios.Scenario) bool { return i.Of == "" || s.Has(i.Of) }

// Metric returns the description of the metric of that name.
func Metric(name string) (Info, bool) {
	i := slices.IndexFunc(Metrics, func(m Info) bool { return m.Name == name })
	if i < 0 {
		return Info{}, false
	}
	return Metrics[i], true
}

// Metrics are all metrics of a trial, in the order of tables and exports. The plain latency ones are of the scenario's
// headline phase: the overload, else the last measured one with arrivals, else the last measured one. What is said of a burst
// holds of windows in which the downstream stalls or refuses as well, from the begin of the first to the end of the last; drain
// and goodput are of an overload only. A connection of ws is open when its upgrade is answered. A residue is what is left above the
// level before the burst, and may be negative. Read only.
var Metrics = []Info{
	{"drain-time-ns", "ns", "time from the start of the burst until its last request has an outcome", BetterLower, scenarios.Overload, false},
	{"goodput-rps", "requests/s", "successful burst requests a second until drained", BetterHigher, scenarios.Overload, false},
	{"p50-latency-ns", "ns", "response time, median", BetterLower, "", false},
	{"p90-latency-ns", "ns", "response time, 90th percentile", BetterLower, "", false},
	{"p99-latency-ns", "ns", "response time, 99th percentile", BetterLower, "", false},
	{"p99_9-latency-ns", "ns", "response time, 99.9th percentile", BetterLower, "", false},
	{"window-p99-latency-ns", "ns", "response time, 99th percentile in a typical tenth of a second: the median over those of the headline phase", BetterLower, "", false},
	{"max-latency-ns", "ns", "response time, largest", BetterLower, "", false},
	{"baseline-p50-latency-ns", "ns", "response time before the burst, median", BetterLower, scenarios.Disturbance, false},
	{"baseline-p99-latency-ns", "ns", "response time before the burst, 99th percentile", BetterLower, scenarios.Disturbance, false},
	{"recover-p99-ns", "ns", "time from the end of the burst until p99 is back within 10 % of the baseline", BetterLower, scenarios.Disturbance, false},
	{"cpu-per-req-ns", "ns", "server CPU time a request", BetterLower, "", false},
	{"baseline-cpu-per-req-ns", "ns", "server CPU time a request before the burst", BetterLower, scenarios.Disturbance, false},
	{"recovery-cpu-per-req-ns", "ns", "server CPU time a request after the burst", BetterLower, scenarios.Disturbance, false},
	{"RSS-bytes", "bytes", "resident memory, median over the headline phase", BetterLower, "", false},
	{"goroutines", "goroutines", "goroutines, median over the headline phase", BetterLower, "", true},
	{"before-RSS-bytes", "bytes", "resident memory before the burst", BetterLower, scenarios.Disturbance, false},
	{"peak-RSS-bytes", "bytes", "resident memory, largest", BetterLower, scenarios.Disturbance, false},
	{"residue-RSS-bytes", "bytes", "resident memory left at the end, above the level before the burst", BetterLower, scenarios.Disturbance, false},
	{"residue-1s-RSS-bytes", "bytes", "resident memory left 1 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"residue-10s-RSS-bytes", "bytes", "resident memory left 10 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"residue-20s-RSS-bytes", "bytes", "resident memory left 20 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"residue-60s-RSS-bytes", "bytes", "resident memory left 60 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"before-stack-bytes", "bytes", "goroutine stacks before the burst", BetterLower, scenarios.Disturbance, false},
	{"peak-stack-bytes", "bytes", "goroutine stacks, largest", BetterLower, scenarios.Disturbance, false},
	{"residue-1s-stack-bytes", "bytes", "goroutine stacks left 1 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"residue-10s-stack-bytes", "bytes", "goroutine stacks left 10 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"residue-20s-stack-bytes", "bytes", "goroutine stacks left 20 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"residue-60s-stack-bytes", "bytes", "goroutine stacks left 60 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"before-goroutines", "goroutines", "goroutines before the burst", BetterLower, scenarios.Disturbance, true},
	{"peak-goroutines", "goroutines", "goroutines, largest", BetterLower, scenarios.Disturbance, true},
	{"residue-1s-goroutines", "goroutines", "goroutines left 1 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, true},
	{"residue-10s-goroutines", "goroutines", "goroutines left 10 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, true},
	{"residue-20s-goroutines", "goroutines", "goroutines left 20 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, true},
	{"residue-60s-goroutines", "goroutines", "goroutines left 60 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, true},
	{"before-socket-bytes", "bytes", "kernel socket memory, both ends before the burst", BetterLower, scenarios.Disturbance, false},
	{"peak-socket-bytes", "bytes", "kernel socket memory, both ends, largest", BetterLower, scenarios.Disturbance, false},
	{"residue-1s-socket-bytes", "bytes", "kernel socket memory, both ends left 1 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"residue-10s-socket-bytes", "bytes", "kernel socket memory, both ends left 10 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"residue-20s-socket-bytes", "bytes", "kernel socket memory, both ends left 20 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"residue-60s-socket-bytes", "bytes", "kernel socket memory, both ends left 60 s after the burst, above the level before it", BetterLower, scenarios.Disturbance, false},
	{"half-life-RSS-ns", "ns", "time from the peak of resident memory until half of its rise is given back", BetterLower, scenarios.Disturbance, false},
	{"user-bytes-per-conn", "bytes", "resident memory of the server per connection", BetterLower, scenarios.Ladder, false},
	{"kernel-bytes-per-conn", "bytes", "kernel memory per connection, both ends", BetterLower, scenarios.Ladder, false},
	{"goroutines-per-conn", "goroutines", "goroutines per connection", BetterLower, scenarios.Ladder, true},
	{"base-RSS-bytes", "bytes", "anonymous resident memory without connections, the intercept of the line through the steps", BetterLower, scenarios.Ladder, false},
	{"active-p99-latency-ns", "ns", "response time of the active connections, 99th percentile", BetterLower, scenarios.Ladder, false},
	{"accepted-rps", "connections/s", "connections accepted a second", BetterHigher, scenarios.Churn, false},
	{"p50-connect-ns", "ns", "time to an open connection, median", BetterLower, scenarios.Churn, false},
	{"p99-connect-ns", "ns", "time to an open connection, 99th percentile", BetterLower, scenarios.Churn, false},
	{"time-wait-server", "sockets", "sockets in TIME_WAIT on the server side", BetterNone, scenarios.Churn, true},
	{"time-wait-client", "sockets", "sockets in TIME_WAIT on the client side", BetterNone, scenarios.Churn, true},
	{"cpu-cores", "cores", "server CPU time by time", BetterLower, scenarios.Holding, false},
	{"p50-bystander-ns", "ns", "response time of requests that don't ask for the work, median", BetterLower, scenarios.Divided, false},
	{"p99-bystander-ns", "ns", "response time of requests that don't ask for the work, 99th percentile", BetterLower, scenarios.Divided, false},
	{"p50-work-ns", "ns", "response time of requests that ask for the work, median", BetterLower, scenarios.Divided, false},
	{"p99-work-ns", "ns", "response time of requests that ask for the work, 99th percentile", BetterLower, scenarios.Divided, false},
	{"deliveries-rps", "deliveries/s", "frames delivered a second, to subscribers that are not slow", BetterHigher, scenarios.Pushing, false},
	{"p50-delivery-ns", "ns", "time from a frame's making to its arrival, at subscribers that are not slow, median", BetterLower, scenarios.Pushing, false},
	{"p99-delivery-ns", "ns", "time from a frame's making to its arrival, at subscribers that are not slow, 99th percentile", BetterLower, scenarios.Pushing, false},
	{"missing-share", "share", "share of the frames that did not come, of subscribers that are not slow", BetterLower, scenarios.Pushing, false},
	{"cpu-per-delivery-ns", "ns", "server CPU time a delivery", BetterLower, scenarios.Pushing, false},
	{"achieved-rps", "requests/s", "good replies a second that came during the headline phase", BetterHigher, "", false},
	{"gc-share", "share", "garbage collection's share of the server's CPU time", BetterLower, "", false},
	{"lag-p99-ns", "ns", "the load client's own lateness, 99th percentile", BetterNone, "", false},
	{"sampler-cpu-share", "share", "share of one core that sampling took", BetterNone, "", false},
}
