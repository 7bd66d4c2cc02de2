package crossover

import (
	"math"
	"slices"
)

// line is the ln ratio over consecutive steps, by rounds that count at all of them.
type line struct {
	values []float64   // of the steps
	places []float64   // of the steps on the line, from 0 on: ln value, or one a step where a value is not positive
	rounds [][]float64 // rounds[r][k] at step k
	// below tells that the first winner is the one whose ln ratio is below 0.
	below   bool
	scratch []float64
	middles []float64
}

func newLine(steps []Step, logs [][]float64, below bool) *line {
	l := &line{below: below, middles: make([]float64, len(steps))}
	for k, s := range steps {
		place := 0.0
		if k > 0 {
			place = l.places[k-1] + width(steps[k-1].Value, s.Value)
		}
		l.values, l.places = append(l.values, s.Value), append(l.places, place)
	}
	for r := range logs[0] {
		var row []float64
		for k := range logs {
			row = append(row, logs[k][r])
		}
		if !slices.ContainsFunc(row, math.IsNaN) {
			l.rounds = append(l.rounds, row)
		}
	}
	l.scratch = make([]float64, len(l.rounds))
	return l
}

// width is the distance of two steps on the line.
func width(a, b float64) float64 {
	if a > 0 {
		return math.Log(b / a)
	}
	return 1
}

// meets is the place where the line through the medians of the rounds of that index meets 0: the length of its parts on the
// first winner's side. It allocates nothing.
func (l *line) meets(index []int) float64 {
	for k := range l.middles {
		for i, r := range index {
			l.scratch[i] = l.rounds[r][k]
		}
		slices.Sort(l.scratch)
		n := len(l.scratch)
		l.middles[k] = (l.scratch[(n-1)/2] + l.scratch[n/2]) / 2
		if !l.below {
			l.middles[k] = -l.middles[k]
		}
	}
	length := 0.0
	for k := 1; k < len(l.middles); k++ {
		length += (l.places[k] - l.places[k-1]) * negative(l.middles[k-1], l.middles[k])
	}
	return length
}

// negative is the share of the straight line from a to b that lies below 0; half of one that lies on it.
func negative(a, b float64) float64 {
	switch {
	case a == 0 && b == 0:
		return 0.5
	case a <= 0 && b <= 0:
		return 1
	case a >= 0 && b >= 0:
		return 0
	case a < 0:
		return a / (a - b)
	}
	return b / (b - a)
}

// at is the value at a place.
func (l *line) at(place float64) float64 {
	k := 1
	for k < len(l.places)-1 && place > l.places[k] {
		k++
	}
	a, b := l.values[k-1], l.values[k]
	if a > 0 {
		return a * math.Exp(place-l.places[k-1])
	}
	return a + (b-a)*(place-l.places[k-1])
}
