package inference

import (
	"cmp"
	"slices"
)

// doubledRanks returns twice the midrank of each value, which is an integer: 2 for the smallest alone, 3 for the smallest two
// where they are equal. tied tells whether any are equal.
func doubledRanks(x []float64) (ranks []int, tied bool) {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	ranks = make([]int, len(x))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && x[order[to]] == x[order[from]] {
			to++
		}
		tied = tied || to > from+1
		for _, i := range order[from:to] {
			ranks[i] = from + 1 + to // twice the mean of from+1 … to
		}
		from = to
	}
	return ranks, tied
}

// Median of x, NaN of none and where one is NaN. It reorders x and allocates nothing: hand it a copy. Expected cost O(len(x)).
func Median(x []float64) float64 {
	n := len(x)
	for _, v := range x {
		if v != v {
			return v
		}
	}
	if n == 0 {
		return noEstimate(0, "").Value
	}
	upper := selectNth(x, n/2)
	if n%2 == 1 {
		return upper
	}
	return midpoint(slices.Max(x[:n/2]), upper)
}

// selectNth returns the k-th smallest of x, k counting from 0, and leaves nothing larger before it (Hoare's quickselect,
// middle pivot).
func selectNth(x []float64, k int) float64 {
	lo, hi := 0, len(x)-1
	for lo < hi {
		if hi-lo < 24 {
			slices.Sort(x[lo : hi+1])
			break
		}
		pivot := x[lo+(hi-lo)/2]
		i, j := lo, hi
		for i <= j {
			for x[i] < pivot {
				i++
			}
			for x[j] > pivot {
				j--
			}
			if i <= j {
				x[i], x[j] = x[j], x[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return x[k]
		}
	}
	return x[k]
}
