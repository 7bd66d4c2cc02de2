package compared

import (
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/results"
)

// headings are the names of headline metrics above a narrow panel.
var headings = map[string]string{
	"p50-bystander-ns":        "bystander p50",
	"p99-bystander-ns":        "bystander p99",
	"p99-work-ns":             "work p99",
	"deliveries-rps":          "deliveries",
	"p50-delivery-ns":         "delivery p50",
	"p99-delivery-ns":         "delivery p99",
	"missing-share":           "missing share",
	"cpu-per-delivery-ns":     "CPU a delivery",
	"drain-time-ns":           "drain time",
	"cpu-cores":               "CPU cores",
	"peak-goroutines":         "peak goroutines",
	"p50-latency-ns":          "response p50",
	"p99-latency-ns":          "response p99",
	"cpu-per-req-ns":          "CPU a request",
	"recovery-cpu-per-req-ns": "CPU/req after",
	"RSS-bytes":               "RSS",
	"peak-RSS-bytes":          "peak RSS",
	"user-bytes-per-conn":     "user bytes/conn",
	"kernel-bytes-per-conn":   "kernel bytes/conn",
	"active-p99-latency-ns":   "active p99",
	"p50-connect-ns":          "connect p50",
	"p99-connect-ns":          "connect p99",
}

// Heading is the short name of a metric, or its own where it has none.
func Heading(metric string) string {
	if h, ok := headings[metric]; ok {
		return h
	}
	return metric
}

// better says which way of a metric is better, as the name of an axis.
func better(metric string) string {
	if info, ok := results.Metric(metric); ok && info.Better != results.BetterNone {
		return info.Better + " is better"
	}
	return ""
}

// unitOf is the unit of a metric for people.
func unitOf(metric string) quantity.Unit {
	info, _ := results.Metric(metric)
	return quantity.UnitOf(info.Unit)
}
