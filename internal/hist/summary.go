// Package hist records latencies: a histogram whose recording neither allocates nor locks, its percentiles under the
// rule that too few samples give none, and HdrHistogram V2 logs that the Java tools read.
package hist

// Summary is a histogram in a few numbers of ns. A percentile q is nil with fewer than 100/(1−q) requests, those without
// an answer among them, or where its rank falls among those. Max is nil where there is one without an answer.
type Summary struct {
	Count int64  `json:"count"`
	P50   *int64 `json:"p50"`
	P90   *int64 `json:"p90"`
	P95   *int64 `json:"p95"`
	P99   *int64 `json:"p99"`
	P999  *int64 `json:"p99_9"`
	Max   *int64 `json:"max"`
	// Mean is of the values; zero without any.
	Mean float64 `json:"mean"`
	// Outside counts values that the histogram's range (1 ns to 600 s) does not hold.
	Outside int64 `json:"outside"`
}
