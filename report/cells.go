package report

import (
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/results"
)

// spread writes the median and, of several values, the smallest and the largest. A unit that all three share stands once.
func spread(values []float64, unit quantity.Unit) string {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	mid := quantity.Format((v[(n-1)/2]+v[n/2])/2, unit)
	if n == 1 {
		return mid
	}
	return mid + " (" + interval(v[0], v[n-1], mid, unit) + ")"
}

func slopeText(s results.Slope, unit quantity.Unit) string {
	mid := quantity.Format(s.PerConn, unit)
	if math.IsNaN(s.Lo) || math.IsNaN(s.Hi) {
		return mid
	}
	return mid + " [" + interval(s.Lo, s.Hi, mid, unit) + "]"
}

// interval writes "lo–hi", without the unit where lo and hi have that of mid.
func interval(lo, hi float64, mid string, unit quantity.Unit) string {
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

// level writes a share that was chosen, not measured: a percentage without zeros behind the point, as in 5 % and 98.3 %.
func level(share float64) string {
	number := strings.TrimSuffix(quantity.Share(share), " %")
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	return number + " %"
}
