package results

import (
	"slices"

	"github.com/millrace/millrace/scenarios"
)

// headlines are the metrics by which the variants of scenarios with a trait are compared in figures and in the first table, the
// most telling one first. Of several traits the first here holds; a scenario without any has defaultHeadline.
var headlines = []struct {
	of      scenarios.Trait
	metrics []string
}{
	{scenarios.Overload, []string{"drain-time-ns", "p99-latency-ns", "cpu-per-req-ns", "peak-RSS-bytes"}},
	{scenarios.Disturbance, []string{"recovery-cpu-per-req-ns", "p99-latency-ns", "peak-RSS-bytes", "peak-goroutines"}},
	{scenarios.Pushing, []string{"deliveries-rps", "p50-delivery-ns", "p99-delivery-ns", "missing-share", "cpu-per-delivery-ns"}},
	{scenarios.Divided, []string{"p99-bystander-ns", "p50-bystander-ns", "p99-work-ns", "cpu-per-req-ns"}},
	{scenarios.Ladder, []string{"user-bytes-per-conn", "kernel-bytes-per-conn", "active-p99-latency-ns"}},
	{scenarios.Idling, []string{"p99-latency-ns", "cpu-per-req-ns", "RSS-bytes", "p50-latency-ns"}},
	{scenarios.Holding, []string{"cpu-cores", "p99-latency-ns", "p50-latency-ns"}},
	{scenarios.Churn, []string{"p50-connect-ns", "p99-connect-ns", "p50-latency-ns", "p99-latency-ns", "cpu-per-req-ns"}},
}

var defaultHeadline = []string{"p50-latency-ns", "p99-latency-ns", "cpu-per-req-ns"}

// Headline lists the names of a scenario's headline metrics, all of them in the table Metrics. The list is the caller's.
func Headline(s *scenarios.Scenario) []string {
	for _, h := range headlines {
		if s.Has(h.of) {
			return slices.Clone(h.metrics)
		}
	}
	return slices.Clone(defaultHeadline)
}

// Headline lists the names of the run's headline metrics: those of any of its steps, the ones that most steps have first. The
// list is the caller's.
func (r *Run) Headline() []string {
	var list []string
	steps := map[string]int{}
	for _, s := range r.Workloads() {
		for _, name := range Headline(s) {
			if steps[name]++; steps[name] == 1 {
				list = append(list, name)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b string) int { return steps[b] - steps[a] })
	return list
}
