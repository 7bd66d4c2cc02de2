package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// spread is what several pairs gave. The zero value is that of no pair.
type spread struct {
	Median, Min, Max float64
	N                int
}

// spreadOf leaves out what is not a number: a figure that a tool could not give.
func spreadOf(v []float64) spread {
	v = slices.DeleteFunc(slices.Clone(v), math.IsNaN)
	if len(v) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN(), 0}
	}
	slices.Sort(v)
	n := len(v)
	return spread{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1], n}
}

// ratios are a[i] ÷ b[i], pair by pair.
func ratios(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] / b[i]
	}
	return out
}

// alternate calls run for every arm of every pair, the order drawn anew for each pair, and stops at the first error.
func alternate(pairs, arms int, seed uint64, run func(pair, arm int) error) error {
	order := rand.New(rand.NewPCG(seed, 0))
	for p := range pairs {
		for _, a := range order.Perm(arms) {
			if err := run(p, a); err != nil {
				return err
			}
		}
	}
	return nil
}
