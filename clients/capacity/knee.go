package capacity

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/millrace/millrace/internal/quantity"
)

// Knee is where a load–latency curve bends: the load of the highest power,
//
//	P(λ) = λ ÷ T(λ)
//
// Where: λ = achieved rate, T = mean response time there (L. Kleinrock, "Power and deterministic rules of thumb for
// probabilistic problems in computer communications", ICC 1979). At that load a straight line from the origin just touches
// the curve T(λ): up to it, more load costs less than its share of latency. A single server with random arrivals and service
// (M/M/1) has it at half of its capacity, one with constant service (M/D/1) at 2−√2 of it.
//
// Kneedle (Satopää et al., 2011) is not used: it takes the bend relative to the range that was swept, so that the same server
// has another knee when the sweep goes further. Power knows no range, and no unit.
type Knee struct {
	// RPS is the achieved rate with the highest power, between the points of the sweep by a parabola through the three
	// highest ones in logarithms; nil without a knee.
	RPS *float64 `json:"rps"`
	// FromRPS and ToRPS are the loads around it with at least 95 % of that power: how sharp the knee is.
	FromRPS float64 `json:"from_rps,omitempty"`
	ToRPS   float64 `json:"to_rps,omitempty"`
	// MeanNs is T at the point of the sweep nearest to the knee.
	MeanNs float64 `json:"mean_ns,omitempty"`
	// Why there is no knee; empty with one.
	Why string `json:"why,omitempty"`
}

// The limits of a knee.
const (
	// kneePower is the share of the highest power that still counts as the knee's.
	kneePower = 0.95
	// leastPoints are needed for a rise, a bend and a fall with one more on either side.
	leastPoints = 5
)

// FindKnee finds the knee of a sweep. Trials that do not count are left out. There is none where the power at the
// first or at the last point is within 5 % of the highest, since the curve may bend outside of the range, and none where two
// loads have it with less between them.
func FindKnee(trials []Trial) Knee {
	var points []powerPoint
	for i := range trials {
		t := &trials[i]
		if t.Kind == Point && t.Limit == "" && t.AchievedRPS > 0 && t.ResponseNs.Mean > 0 {
			points = append(points, powerPoint{t.AchievedRPS, t.ResponseNs.Mean, t.offered()})
		}
	}
	// By what was offered: beyond the capacity the achieved rate goes up and down by chance.
	slices.SortStableFunc(points, func(a, b powerPoint) int { return cmp.Compare(a.offered, b.offered) })
	if len(points) < leastPoints {
		verb := "count"
		if len(points) == 1 {
			verb = "counts"
		}
		return none("%s %s, a knee needs %d", quantity.Count(len(points), "point"), verb, leastPoints)
	}
	top := 0
	for i, p := range points {
		if p.power() > points[top].power() {
			top = i
		}
	}
	at := func(i int) string { return quantity.Format(points[i].rate, quantity.PerSecond) }
	from, to := plateau(points, top)
	switch {
	case from == 0:
		return none("no knee within the range: the power (rate ÷ mean response time) does not rise from the first point on, %s", at(0))
	case to == len(points)-1:
		return none("no knee within the range: the power (rate ÷ mean response time) has not fallen at the last point, %s", at(to))
	}
	for i, p := range points {
		if (i < from || i > to) && p.power() >= kneePower*points[top].power() {
			return none("no knee within the range: %s and %s have the same power (rate ÷ mean response time), with less between them", at(min(i, top)), at(max(i, top)))
		}
	}
	rate := vertex(points[top-1], points[top], points[top+1])
	return Knee{RPS: &rate, FromRPS: min(cross(points, top, from, -1), rate), ToRPS: max(cross(points, top, to, 1), rate), MeanNs: points[top].mean}
}

func none(format string, args ...any) Knee { return Knee{Why: fmt.Sprintf(format, args...)} }

// powerPoint is a point of a load–latency curve.
type powerPoint struct{ rate, mean, offered float64 }

func (p powerPoint) power() float64 { return p.rate / p.mean }

// plateau is the first and the last point around the top with at least kneePower of its power.
func plateau(points []powerPoint, top int) (from, to int) {
	enough := func(i int) bool {
		return i >= 0 && i < len(points) && points[i].power() >= kneePower*points[top].power()
	}
	from, to = top, top
	for enough(from - 1) {
		from--
	}
	for enough(to + 1) {
		to++
	}
	return from, to
}

// cross is the rate at which the power falls below the plateau beyond its point i, on a straight line to the next point;
// the point's own rate at the end of the range, or where the rate does not rise any more.
func cross(points []powerPoint, top, i, step int) float64 {
	k := i + step
	if k < 0 || k >= len(points) {
		return points[i].rate
	}
	limit := kneePower * points[top].power()
	share := (points[i].power() - limit) / (points[i].power() - points[k].power())
	return points[i].rate + share*(points[k].rate-points[i].rate)
}

// vertex is the rate at the top of the parabola through three points of logarithms, held between the outer two; the rate of
// the middle one where they do not bend down, or lie on one another.
func vertex(a, b, c powerPoint) float64 {
	x := [3]float64{math.Log(a.rate), math.Log(b.rate), math.Log(c.rate)}
	y := [3]float64{math.Log(a.power()), math.Log(b.power()), math.Log(c.power())}
	if !(x[0] < x[1] && x[1] < x[2]) {
		return b.rate
	}
	left, right := (y[1]-y[0])/(x[1]-x[0]), (y[2]-y[1])/(x[2]-x[1])
	bend := (right - left) / (x[2] - x[0])
	if !(bend < 0) {
		return b.rate
	}
	return math.Exp(min(max((x[0]+x[1])/2-left/(2*bend), x[0]), x[2]))
}
