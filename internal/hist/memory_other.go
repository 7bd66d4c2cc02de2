//go:build !linux

package hist

// newCounts takes the counters from the Go heap, which leaves fresh memory untouched but promises nothing.
func newCounts(*Histogram) *counts { return new(counts) }
