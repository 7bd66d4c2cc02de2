package main

import (
	"strings"
	"testing"
	"time"
)

// A share of what a request costs is injected as far as the servers do that.
func TestInjected(t *testing.T) {
	check := func(share, cost float64, want time.Duration, refused string) {
		t.Helper()
		d, err := injected(share, cost)
		if d != want || (err == nil) != (refused == "") || err != nil && !strings.Contains(err.Error(), refused) {
			t.Errorf("%v of %v ns: %v, %v; want %v, %q", share, cost, d, err, want, refused)
		}
	}
	check(0.08, 50_000, 4*time.Microsecond, "")
	check(1, 1e6, time.Millisecond, "")
	check(0.08, 13e6, 0, "8 % of 13ms is 1.04ms: the servers inject 1ns to 1ms: lower the share")
	check(0.00001, 50_000, 0, "0.001 % of 50µs is 0s: the servers inject 1ns to 1ms: raise the share")
}
