package report

import (
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/scenarios"
)

// column is a quantity of a table. Several metrics are shown one after the other, with join in between, or under heads of
// their own where they have ratios.
type column struct {
	head    string
	metrics []string
	join    string
	heads   []string
	unit    quantity.Unit
	// slope columns show the interval of a single round's slope.
	slope bool
}

// group is a table of the report: the columns that belong together.
type group struct {
	title   string
	applies func(*scenarios.Scenario) bool
	columns []column
	// verdict adds the column of verdicts, once in a report.
	verdict bool
}

func one(head, metric string, unit quantity.Unit) column {
	return column{head: head, metrics: []string{metric}, unit: unit}
}

// groups is the one table of tables, in the order of the report.
var groups = []group{
	{"The burst: time until it is drained, and response time from the intended time", has(scenarios.Overload), []column{
		one("drain time", "drain-time-ns", quantity.Time),
		one("goodput", "goodput-rps", quantity.PerSecond),
		one("p50", "p50-latency-ns", quantity.Time),
		one("p99", "p99-latency-ns", quantity.Time),
		one("p99.9", "p99_9-latency-ns", quantity.Time),
		one("CPU a request", "cpu-per-req-ns", quantity.Time),
	}, false},
	{"Before and after the burst", has(scenarios.Disturbance), []column{
		one("baseline p99", "baseline-p99-latency-ns", quantity.Time),
		one("p99 back after", "recover-p99-ns", quantity.Time),
		{"CPU a request, before → after", []string{"baseline-cpu-per-req-ns", "recovery-cpu-per-req-ns"}, " → ",
			[]string{"CPU/req before", "CPU/req after"}, quantity.Time, false},
	}, true},
	{"Resident memory: what the burst leaves above the level before it", has(scenarios.Disturbance), []column{
		one("before", "before-RSS-bytes", quantity.Bytes),
		one("peak", "peak-RSS-bytes", quantity.Bytes),
		one("left at +1 s", "residue-1s-RSS-bytes", quantity.Bytes),
		one("+10 s", "residue-10s-RSS-bytes", quantity.Bytes),
		one("+20 s", "residue-20s-RSS-bytes", quantity.Bytes),
	}, false},
	{"Goroutines, and kernel socket memory of both ends", has(scenarios.Disturbance), []column{
		one("peak goroutines", "peak-goroutines", quantity.Number),
		one("left at +1 s", "residue-1s-goroutines", quantity.Number),
		one("peak sockets", "peak-socket-bytes", quantity.Bytes),
		one("left at +1 s", "residue-1s-socket-bytes", quantity.Bytes),
		one("+20 s", "residue-20s-socket-bytes", quantity.Bytes),
	}, false},
	{"What an idle connection costs", has(scenarios.Ladder), []column{
		{"user bytes/conn", []string{"user-bytes-per-conn"}, "", nil, quantity.Bytes, true},
		{"kernel bytes/conn", []string{"kernel-bytes-per-conn"}, "", nil, quantity.Bytes, true},
		one("goroutines/conn", "goroutines-per-conn", quantity.Number),
		one("base RSS", "base-RSS-bytes", quantity.Bytes),
	}, false},
	{"The active few among the idle", has(scenarios.Ladder), []column{
		one("active p50", "p50-latency-ns", quantity.Time),
		one("active p99", "active-p99-latency-ns", quantity.Time),
		one("CPU a request", "cpu-per-req-ns", quantity.Time),
	}, true},
	{"New connections: how fast they are taken and answered", has(scenarios.Churn), []column{
		one("accepted", "accepted-rps", quantity.PerSecond),
		one("connect p50", "p50-connect-ns", quantity.Time),
		one("connect p99", "p99-connect-ns", quantity.Time),
		one("response p50", "p50-latency-ns", quantity.Time),
		one("response p99", "p99-latency-ns", quantity.Time),
	}, false},
	{"What closing leaves, and what a request costs", has(scenarios.Churn), []column{
		one("TIME_WAIT server", "time-wait-server", quantity.Number),
		one("TIME_WAIT client", "time-wait-client", quantity.Number),
		one("CPU a request", "cpu-per-req-ns", quantity.Time),
	}, true},
	{"What holding connections costs", has(scenarios.Holding), []column{
		one("CPU cores", "cpu-cores", quantity.Number),
		one("response p50", "p50-latency-ns", quantity.Time),
		one("response p99", "p99-latency-ns", quantity.Time),
	}, true},
	{"What is pushed: deliveries to subscribers that are not slow", has(scenarios.Pushing), []column{
		one("deliveries", "deliveries-rps", quantity.PerSecond),
		one("delivery p50", "p50-delivery-ns", quantity.Time),
		one("delivery p99", "p99-delivery-ns", quantity.Time),
		one("missing share", "missing-share", quantity.Number),
		one("CPU a delivery", "cpu-per-delivery-ns", quantity.Time),
		one("RSS", "RSS-bytes", quantity.Bytes),
	}, true},
	{"Bystanders, and the requests that ask for work", has(scenarios.Divided), []column{
		one("bystander p50", "p50-bystander-ns", quantity.Time),
		one("bystander p99", "p99-bystander-ns", quantity.Time),
		one("work p50", "p50-work-ns", quantity.Time),
		one("work p99", "p99-work-ns", quantity.Time),
	}, false},
	{"Response time and cost", plain, []column{
		one("achieved", "achieved-rps", quantity.PerSecond),
		one("p50", "p50-latency-ns", quantity.Time),
		one("p99", "p99-latency-ns", quantity.Time),
		one("p99.9", "p99_9-latency-ns", quantity.Time),
		one("CPU a request", "cpu-per-req-ns", quantity.Time),
		one("RSS", "RSS-bytes", quantity.Bytes),
	}, true},
}

func has(t scenarios.Trait) func(*scenarios.Scenario) bool {
	return func(s *scenarios.Scenario) bool { return s.Has(t) }
}

// plain scenarios ask for requests and have no table of their own.
func plain(s *scenarios.Scenario) bool {
	return !s.Has(scenarios.Overload) && !s.Has(scenarios.Ladder) && !s.Has(scenarios.Churn) && !s.Has(scenarios.Holding) && !s.Has(scenarios.Pushing)
}
