// Package axis has the scales of the figures and their ticks, which read as people write numbers.
package axis

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"

	"github.com/millrace/millrace/internal/quantity"
)

// LogTicks labels the decades; within less than two of them also 2 and 5. Over more than four it marks nothing else.
type LogTicks struct{ Unit quantity.Unit }

var _ plot.Ticker = LogTicks{}

// maxLabels is how many labels an axis has room for.
const maxLabels = 9

// Ticks implements plot.Ticker.
func (l LogTicks) Ticks(from, to float64) []plot.Tick {
	lo, hi := int(math.Floor(math.Log10(from)+1e-9)), int(math.Ceil(math.Log10(to)-1e-9))
	every := 1 + (hi-lo)/maxLabels
	fine, coarse := math.Log10(to/from) < 2, math.Log10(to/from) > 4
	var ticks []plot.Tick
	for e := lo; e <= hi; e++ {
		for digit := 1; digit <= 9; digit++ {
			t := plot.Tick{Value: float64(digit) * math.Pow(10, float64(e))}
			if t.Value < from*(1-1e-9) || t.Value > to*(1+1e-9) {
				continue
			}
			if digit == 1 && (e-lo)%every == 0 || fine && (digit == 2 || digit == 5) {
				t.Label = quantity.Tick(t.Value, l.Unit)
			}
			if t.Label == "" && coarse {
				continue
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// LinearTicks puts round numbers at equal distances: 1, 2 or 5 times a power of ten, of bytes within their prefix.
type LinearTicks struct {
	Unit quantity.Unit
	Want int // about so many; zero: 6
}

var _ plot.Ticker = LinearTicks{}

// Ticks implements plot.Ticker.
func (l LinearTicks) Ticks(from, to float64) []plot.Tick {
	step := l.step(to - from)
	var ticks []plot.Tick
	for i := int(math.Ceil(from/step - 1e-9)); float64(i)*step <= to+step*1e-9; i++ {
		ticks = append(ticks, plot.Tick{Value: float64(i) * step, Label: quantity.Tick(float64(i)*step, l.Unit)})
	}
	return ticks
}

func (l LinearTicks) step(span float64) float64 {
	want := l.Want
	if want == 0 {
		want = 6
	}
	raw, base := span/float64(want), 1.0
	if l.Unit == quantity.Bytes {
		for base*1024 <= raw {
			base *= 1024
		}
	}
	power := math.Pow(10, math.Floor(math.Log10(raw/base)))
	for _, m := range []float64{1, 2, 5} {
		if m*power*base >= raw {
			return m * power * base
		}
	}
	return 10 * power * base
}

// SecondTicks is the axis of seconds after T0: plain numbers, the unit stands beside the axis.
type SecondTicks struct{}

var _ plot.Ticker = SecondTicks{}

// Ticks implements plot.Ticker.
func (SecondTicks) Ticks(from, to float64) []plot.Tick {
	ticks := LinearTicks{Want: 10}.Ticks(from, to)
	for i := range ticks {
		ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'g', 6, 64)
	}
	return ticks
}

// Nines is the place of quantile q on an axis by nines: −log10(1−q).
func Nines(q float64) float64 { return -math.Log10(1 - q) }

// NinesTicks labels 50 %, 90 %, 99 %, 99.9 %, ….
type NinesTicks struct{}

var _ plot.Ticker = NinesTicks{}

// Ticks implements plot.Ticker.
func (NinesTicks) Ticks(from, to float64) []plot.Tick {
	ticks := []plot.Tick{{Value: Nines(0.5), Label: "50 %"}, {Value: 1, Label: "90 %"}}
	for n := 2; float64(n) <= to+1e-9; n++ {
		label := "99"
		if n > 2 {
			label += "." + strings.Repeat("9", n-2)
		}
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: label + " %"})
	}
	return ticks
}

// Unlabelled keeps the marks for the grid and leaves out the text, which stands at the panel to the left.
type Unlabelled struct{ plot.Ticker }

// Ticks implements plot.Ticker.
func (u Unlabelled) Ticks(from, to float64) []plot.Tick {
	ticks := u.Ticker.Ticks(from, to)
	for i := range ticks {
		if !ticks[i].IsMinor() {
			ticks[i].Label = " "
		}
	}
	return ticks
}

// RowTicks names rows: row i is at the height len−1−i, so that the first one is at the top.
type RowTicks []string

var _ plot.Ticker = RowTicks(nil)

// Ticks implements plot.Ticker.
func (r RowTicks) Ticks(from, to float64) []plot.Tick {
	ticks := make([]plot.Tick, len(r))
	for i, name := range r {
		ticks[i] = plot.Tick{Value: float64(len(r) - 1 - i), Label: name}
	}
	return ticks
}

// Symlog is linear from zero to its value and logarithmic above, a decade being as long as the linear part. Unlike a
// logarithm it has a place for an interval in which nothing was done.
type Symlog float64

var _ plot.Normalizer = Symlog(0)

func (s Symlog) at(v float64) float64 {
	t := float64(s)
	if v <= t {
		return v / t
	}
	return 1 + math.Log10(v/t)
}

// Normalize implements plot.Normalizer.
func (s Symlog) Normalize(from, to, v float64) float64 {
	return (s.at(v) - s.at(from)) / (s.at(to) - s.at(from))
}

// SymlogTicks labels zero and the decades from the linear part's end on.
type SymlogTicks struct {
	Linear float64
	Unit   quantity.Unit
}

var _ plot.Ticker = SymlogTicks{}

// Ticks implements plot.Ticker.
func (s SymlogTicks) Ticks(_, to float64) []plot.Tick {
	return append([]plot.Tick{{Value: 0, Label: "0"}}, LogTicks{s.Unit}.Ticks(s.Linear, to)...)
}
