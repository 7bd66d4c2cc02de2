package known

import (
	"fmt"
	"math"
	"strconv"

	"github.com/millrace/millrace/internal/quantity"
)

// String is the answer in a line, as in "p99 174 ms, want 180 ms (175 to 186 ms)".
func (a Answer) String() string {
	return fmt.Sprintf("%s %s, want %s (%s)", a.What, a.MeasuredText(), a.PredictedText(), a.ToleranceText())
}

// PredictedText is the prediction for people; "–" is a percentile that must be withheld.
func (a Answer) PredictedText() string { return a.text(a.Predicted) }

// MeasuredText is the figure for people; "–" is one that is not there.
func (a Answer) MeasuredText() string { return a.text(a.Measured) }

// ToleranceText is what is accepted.
func (a Answer) ToleranceText() string {
	switch {
	case a.Predicted == nil, a.Low == a.High:
		return "exact"
	case a.High >= 1e9 && a.Unit != "ns":
		return "or more"
	case *a.Predicted == 0:
		return "up to " + a.text(&a.High)
	}
	return a.text(&a.Low) + " to " + a.text(&a.High)
}

func (a Answer) text(v *float64) string {
	switch {
	case v == nil:
		return "–"
	case a.Unit == "ns":
		return quantity.Format(*v, quantity.Time)
	case a.Unit == "requests/s":
		return quantity.Format(*v, quantity.PerSecond)
	}
	return strconv.FormatInt(int64(math.Round(*v)), 10)
}
