package sheet

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/quantity"
)

// Spread writes the median and, of several values, the smallest and the largest. A unit that all three share stands once.
func Spread(values []float64, unit quantity.Unit) string {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	mid := quantity.Format((v[(n-1)/2]+v[n/2])/2, unit)
	if n == 1 {
		return mid
	}
	return mid + " (" + Interval(v[0], v[n-1], mid, unit) + ")"
}

// Interval writes "lo–hi", without the unit where lo and hi have that of mid.
func Interval(lo, hi float64, mid string, unit quantity.Unit) string {
	a, b := quantity.Format(lo, unit), quantity.Format(hi, unit)
	suffix := strings.TrimLeft(mid, "−0123456789.")
	x, okX := strings.CutSuffix(a, suffix)
	y, okY := strings.CutSuffix(b, suffix)
	if okX && okY && strings.Trim(x, "−0123456789.") == "" && strings.Trim(y, "−0123456789.") == "" {
		a, b = x, y
	}
	if lo < 0 {
		return a + " to " + b // a dash before a minus sign is hard to read
	}
	return a + "–" + b
}
