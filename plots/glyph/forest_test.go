package glyph

import (
	"math"
	"testing"
)

func TestForestRange(t *testing.T) {
	nan := math.NaN()
	reference := ForestRow{Ratio: 1, Lo: nan, Hi: nan}
	for _, c := range []struct {
		name   string
		row    ForestRow
		lo, hi float64 // the axis holds these
		below  float64 // and nothing from here on
	}{
		{"the reference alone: ±20 %", reference, 1 / 1.2, 1.2, 1.3},
		{"a narrow interval is within", ForestRow{Ratio: 2, Lo: 1.9, Hi: 2.1}, 1 / 1.2, 2.1, 2.4},
		{"a wide interval doubles the distance", ForestRow{Ratio: 2, Lo: 0.01, Hi: 100}, 1 / 1.2 / 2, 4, 5},
		{"a mark far off does not squeeze the others", ForestRow{Ratio: 1000, Lo: 900, Hi: 1100}, 1 / 1.2, farthest, farthest * 1.3},
		{"no ratio", ForestRow{Ratio: nan, Lo: nan, Hi: nan}, 1 / 1.2, 1.2, 1.3},
	} {
		f := &Forest{Rows: []ForestRow{reference, c.row}}
		lo, hi := f.Range()
		if lo > c.lo || hi < c.hi || hi >= c.below {
			t.Errorf("%s: the axis goes from %.3g to %.3g, want from %.3g at most to %.3g, below %.3g", c.name, lo, hi, c.lo, c.hi, c.below)
		}
	}
}
