package results

import "slices"

// headlines are the metrics by which a scenario's variants are compared in figures and in the first table, the most telling
// one first. A scenario without a line of its own has defaultHeadline.
var headlines = []struct {
	scenario string
	metrics  []string
}{
	{"burst", []string{"drain-time-ns", "p99-latency-ns", "cpu-per-req-ns", "peak-RSS-bytes"}},
	{"idle", []string{"user-bytes-per-conn", "kernel-bytes-per-conn", "active-p99-latency-ns"}},
	{"churn", []string{"p50-connect-ns", "p99-connect-ns", "p50-latency-ns", "p99-latency-ns", "cpu-per-req-ns"}},
}

var defaultHeadline = []string{"p50-latency-ns", "p99-latency-ns", "cpu-per-req-ns"}

// Headline lists the names of a scenario's headline metrics, all of them in the table Metrics; those of a scenario that is
// not known are the response times and the CPU time a request. The list is the caller's.
func Headline(scenario string) []string {
	for _, h := range headlines {
		if h.scenario == scenario {
			return slices.Clone(h.metrics)
		}
	}
	return slices.Clone(defaultHeadline)
}
