package report

import (
	"math"
	"strings"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

func slopeText(s results.Slope, unit quantity.Unit) string {
	mid := quantity.Format(s.PerConn, unit)
	if math.IsNaN(s.Lo) || math.IsNaN(s.Hi) {
		return mid
	}
	return mid + " [" + sheet.Interval(s.Lo, s.Hi, mid, unit) + "]"
}

// level writes a share that was chosen, not measured: a percentage without zeros behind the point, as in 5 % and 98.3 %.
func level(share float64) string {
	number := strings.TrimSuffix(quantity.Share(share), " %")
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	return number + " %"
}
