package results

import "slices"

// Info describes a metric. Its name ends in its unit, as benchstat wants it.
type Info struct {
	Name  string
	Unit  string // ns, bytes, requests/s, connections/s, goroutines, sockets or share
	Title string
	// Better is one of BetterLower, BetterHigher and BetterNone.
	Better string
	// Scenarios that measure it; empty for all.
	Scenarios []string
	// Counted metrics count things and compare exactly; the others are continuous and compare by statistics.
	Counted bool
}

// Which way of a metric is better. BetterNone is of those that judge the measurement and not the server.
const (
	BetterLower  = "lower"
	BetterHigher = "higher"
	BetterNone   = "none"
)

// In tells whether the metric belongs to the scenario of that name.
func (i Info) In(scenario string) bool {
	return len(i.Scenarios) == 0 || slices.Contains(i.Scenarios, scenario)
}

// Metric returns the description of the metric of that name.
func Metric(name string) (Info, bool) {
	i := slices.IndexFunc(Metrics, func(m Info) bool { return m.Name == name })
	if i < 0 {
		return Info{}, false
	}
	return Metrics[i], true
}

var inBurst, inIdle, inChurn = []string{"burst"}, []string{"idle"}, []string{"churn"}

// Metrics are all metrics of a trial, in the order of tables and exports. The plain latency ones are of the scenario's
// headline phase: burst in burst, active in idle, all measured ones in churn. A residue is what is left above the level
// before the burst, and may be negative. Read only.
var Metrics = []Info{
	{"drain-time-ns", "ns", "time from the start of the burst until its last request has an outcome", BetterLower, inBurst, false},
	{"goodput-rps", "requests/s", "successful burst requests a second until drained", BetterHigher, inBurst, false},
	{"p50-latency-ns", "ns", "response time, median", BetterLower, nil, false},
	{"p90-latency-ns", "ns", "response time, 90th percentile", BetterLower, nil, false},
	{"p99-latency-ns", "ns", "response time, 99th percentile", BetterLower, nil, false},
	{"p99_9-latency-ns", "ns", "response time, 99.9th percentile", BetterLower, nil, false},
	{"window-p99-latency-ns", "ns", "response time, 99th percentile in a typical tenth of a second: the median over those of the headline phase", BetterLower, nil, false},
	{"max-latency-ns", "ns", "response time, largest", BetterLower, nil, false},
	{"baseline-p50-latency-ns", "ns", "response time before the burst, median", BetterLower, inBurst, false},
	{"baseline-p99-latency-ns", "ns", "response time before the burst, 99th percentile", BetterLower, inBurst, false},
	{"recover-p99-ns", "ns", "time from the end of the burst until p99 is back within 10 % of the baseline", BetterLower, inBurst, false},
	{"cpu-per-req-ns", "ns", "server CPU time a request", BetterLower, nil, false},
	{"baseline-cpu-per-req-ns", "ns", "server CPU time a request before the burst", BetterLower, inBurst, false},
	{"recovery-cpu-per-req-ns", "ns", "server CPU time a request after the burst", BetterLower, inBurst, false},
	{"before-RSS-bytes", "bytes", "resident memory before the burst", BetterLower, inBurst, false},
	{"peak-RSS-bytes", "bytes", "resident memory, largest", BetterLower, inBurst, false},
	{"residue-RSS-bytes", "bytes", "resident memory left at the end, above the level before the burst", BetterLower, inBurst, false},
	{"residue-1s-RSS-bytes", "bytes", "resident memory left 1 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"residue-10s-RSS-bytes", "bytes", "resident memory left 10 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"residue-20s-RSS-bytes", "bytes", "resident memory left 20 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"residue-60s-RSS-bytes", "bytes", "resident memory left 60 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"before-stack-bytes", "bytes", "goroutine stacks before the burst", BetterLower, inBurst, false},
	{"peak-stack-bytes", "bytes", "goroutine stacks, largest", BetterLower, inBurst, false},
	{"residue-1s-stack-bytes", "bytes", "goroutine stacks left 1 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"residue-10s-stack-bytes", "bytes", "goroutine stacks left 10 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"residue-20s-stack-bytes", "bytes", "goroutine stacks left 20 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"residue-60s-stack-bytes", "bytes", "goroutine stacks left 60 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"before-goroutines", "goroutines", "goroutines before the burst", BetterLower, inBurst, true},
	{"peak-goroutines", "goroutines", "goroutines, largest", BetterLower, inBurst, true},
	{"residue-1s-goroutines", "goroutines", "goroutines left 1 s after the burst, above the level before it", BetterLower, inBurst, true},
	{"residue-10s-goroutines", "goroutines", "goroutines left 10 s after the burst, above the level before it", BetterLower, inBurst, true},
	{"residue-20s-goroutines", "goroutines", "goroutines left 20 s after the burst, above the level before it", BetterLower, inBurst, true},
	{"residue-60s-goroutines", "goroutines", "goroutines left 60 s after the burst, above the level before it", BetterLower, inBurst, true},
	{"before-socket-bytes", "bytes", "kernel socket memory, both ends before the burst", BetterLower, inBurst, false},
	{"peak-socket-bytes", "bytes", "kernel socket memory, both ends, largest", BetterLower, inBurst, false},
	{"residue-1s-socket-bytes", "bytes", "kernel socket memory, both ends left 1 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"residue-10s-socket-bytes", "bytes", "kernel socket memory, both ends left 10 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"residue-20s-socket-bytes", "bytes", "kernel socket memory, both ends left 20 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"residue-60s-socket-bytes", "bytes", "kernel socket memory, both ends left 60 s after the burst, above the level before it", BetterLower, inBurst, false},
	{"half-life-RSS-ns", "ns", "time from the peak of resident memory until half of its rise is given back", BetterLower, inBurst, false},
	{"user-bytes-per-conn", "bytes", "resident memory of the server per connection", BetterLower, inIdle, false},
	{"kernel-bytes-per-conn", "bytes", "kernel memory per connection, both ends", BetterLower, inIdle, false},
	{"goroutines-per-conn", "goroutines", "goroutines per connection", BetterLower, inIdle, true},
	{"base-RSS-bytes", "bytes", "anonymous resident memory without connections, the intercept of the line through the steps", BetterLower, inIdle, false},
	{"active-p99-latency-ns", "ns", "response time of the active connections, 99th percentile", BetterLower, inIdle, false},
	{"accepted-rps", "connections/s", "connections accepted a second", BetterHigher, inChurn, false},
	{"p50-connect-ns", "ns", "time to an open connection, median", BetterLower, inChurn, false},
	{"p99-connect-ns", "ns", "time to an open connection, 99th percentile", BetterLower, inChurn, false},
	{"time-wait-server", "sockets", "sockets in TIME_WAIT on the server side", BetterNone, inChurn, true},
	{"time-wait-client", "sockets", "sockets in TIME_WAIT on the client side", BetterNone, inChurn, true},
	{"achieved-rps", "requests/s", "good replies a second that came during the headline phase", BetterHigher, nil, false},
	{"gc-share", "share", "garbage collection's share of the server's CPU time", BetterLower, nil, false},
	{"lag-p99-ns", "ns", "the load client's own lateness, 99th percentile", BetterNone, nil, false},
	{"sampler-cpu-share", "share", "share of one core that sampling took", BetterNone, nil, false},
}
