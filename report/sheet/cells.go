package sheet

import (
	"fmt"
	"slices"
	"strings"
	"time"

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

// Span writes a duration as people plan it: 45 s, 12 min, 1 h 12 min, 3 d 4 h.
func Span(seconds float64) string {
	if seconds < 90 {
		return fmt.Sprintf("%.0f s", seconds)
	}
	minutes := int(time.Duration(seconds*1e9).Round(time.Minute) / time.Minute)
	days, hours, minutes := minutes/(24*60), minutes/60%24, minutes%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	}
	return fmt.Sprintf("%d min", minutes)
}
