package checks

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The oracle: how long each of many evenly spaced requests waits for the end of the stall it falls into.
func delayed(stalls []int64, q float64, span int64) int64 {
	const n = 200_000
	waits := make([]int64, n)
	step := span / n
	i := 0
	for _, g := range stalls {
		for left := g; left > 0 && i < n; left -= step {
			waits[i] = left
			i++
		}
	}
	slices.Sort(waits)
	return waits[int(math.Ceil(q*n))-1]
}

func TestStallsDelayRequests(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const span = 10_000_000_000
	for _, c := range []struct {
		name   string
		n      int
		length func() int64
	}{
		{"one of 300 ms", 1, func() int64 { return 300_000_000 }},
		{"too short to matter", 1, func() int64 { return 90_000_000 }},
		{"forty of 5 ms", 40, func() int64 { return 5_000_000 }},
		{"of two lengths", 40, func() int64 { return 5_000_000 + r.Int64N(2)*60_000_000 }},
		{"of many lengths", 100, func() int64 { return 2_000_000 + r.Int64N(50_000_000) }},
		{"none", 0, nil},
	} {
		var s Stalls
		var all []int64
		for range c.n {
			g := c.length()
			s.Add(g)
			all = append(all, g)
		}
		want := delayed(all, 0.99, span)
		// A class counts with its mean, which is off by a third at most.
		if got := s.DelayNs(0.99, span); math.Abs(float64(got-want)) > 0.15*float64(want)+100_000 {
			t.Errorf("%s: p99 of the delay %d ns, want %d", c.name, got, want)
		}
	}
	var a, b Stalls
	a.Add(3_000_000)
	a.Add(0)
	b.Add(300_000_000)
	a.Merge(&b)
	if got := a.Share(20_000_000, span); got != 0.03 {
		t.Errorf("share %v of the long ones, want 0.03", got)
	}
	if got := a.Share(1_000_000, span); math.Abs(got-0.0303) > 1e-12 {
		t.Errorf("share %v of all, want 0.0303", got)
	}
}
