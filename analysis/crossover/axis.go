package crossover

import (
	"math"
	"strings"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/results"
)

// Axis is what a sweep goes over, for people.
type Axis struct {
	// Label is what is swept, such as "connections"; "swept value" where the steps set more than one field.
	Label string
	// Unit of Factor · value. Suffix follows the number.
	Unit   quantity.Unit
	Factor float64
	Suffix string
	// Log tells that the values span a decade, all of them positive.
	Log bool
}

// AxisOf is what a run sweeps over; its values are those of the run's steps.
func AxisOf(run *results.Run) Axis {
	a := Axis{Label: "swept value", Factor: 1}
	switch path := run.Swept(); {
	case path == "":
	case path == "payload":
		a.Label, a.Unit = path, quantity.Bytes
	case strings.HasSuffix(path, ".constant"), strings.HasSuffix(path, ".poisson"), strings.HasSuffix(path, ".rate"):
		a.Label, a.Unit = path, quantity.PerSecond
	case path == "timeout", strings.HasSuffix(path, ".for"), strings.HasSuffix(path, ".trickle"), strings.HasSuffix(path, ".heartbeat"):
		a.Label, a.Unit, a.Factor = path, quantity.Time, 1e9
	case path == "work.share", strings.HasSuffix(path, ".renew"), strings.HasSuffix(path, ".active"), strings.HasSuffix(path, ".slow"):
		a.Label, a.Suffix = path, " %"
	default:
		a.Label = strings.TrimSuffix(path, ".count")
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, s := range run.Steps {
		if s.Value != nil {
			lo, hi = min(lo, *s.Value), max(hi, *s.Value)
		}
	}
	a.Log = lo > 0 && hi >= 10*lo
	return a
}

// Text writes a value.
func (a Axis) Text(v float64) string { return quantity.Tick(v*a.Factor, a.Unit) + a.Suffix }
