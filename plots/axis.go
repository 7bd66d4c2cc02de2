package plots

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"

	"github.com/millrace/millrace/internal/quantity"
)

// logTicks labels the decades; within less than two of them also 2 and 5. Over more than four it marks nothing else.
type logTicks struct{ unit quantity.Unit }

var _ plot.Ticker = logTicks{}

// maxLabels is how many labels an axis has room for.
const maxLabels = 9

func (l logTicks) Ticks(from, to float64) []plot.Tick {
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
				t.Label = quantity.Tick(t.Value, l.unit)
			}
			if t.Label == "" && coarse {
				continue
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// linearTicks puts round numbers at equal distances: 1, 2 or 5 times a power of ten, of bytes within their prefix.
type linearTicks struct {
	unit quantity.Unit
	want int // about so many; zero: 6
}

var _ plot.Ticker = linearTicks{}

func (l linearTicks) Ticks(from, to float64) []plot.Tick {
	step := l.step(to - from)
	var ticks []plot.Tick
	for i := int(math.Ceil(from/step - 1e-9)); float64(i)*step <= to+step*1e-9; i++ {
		ticks = append(ticks, plot.Tick{Value: float64(i) * step, Label: quantity.Tick(float64(i)*step, l.unit)})
	}
	return ticks
}

func (l linearTicks) step(span float64) float64 {
	want := l.want
	if want == 0 {
		want = 6
	}
	raw, base := span/float64(want), 1.0
	if l.unit == quantity.Bytes {
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

// secondTicks is the axis of seconds after T0: plain numbers, the unit stands beside the axis.
type secondTicks struct{}

var _ plot.Ticker = secondTicks{}

func (secondTicks) Ticks(from, to float64) []plot.Tick {
	ticks := linearTicks{want: 10}.Ticks(from, to)
	for i := range ticks {
		ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'g', 6, 64)
	}
	return ticks
}

// nines is the place of quantile q on an axis by nines: −log10(1−q).
func nines(q float64) float64 { return -math.Log10(1 - q) }

// ninesTicks labels 50 %, 90 %, 99 %, 99.9 %, ….
type ninesTicks struct{}

var _ plot.Ticker = ninesTicks{}

func (ninesTicks) Ticks(from, to float64) []plot.Tick {
	ticks := []plot.Tick{{Value: nines(0.5), Label: "50 %"}, {Value: 1, Label: "90 %"}}
	for n := 2; float64(n) <= to+1e-9; n++ {
		label := "99"
		if n > 2 {
			label += "." + strings.Repeat("9", n-2)
		}
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: label + " %"})
	}
	return ticks
}

// unlabelled keeps the marks for the grid and leaves out the text, which stands at the panel to the left.
type unlabelled struct{ plot.Ticker }

func (u unlabelled) Ticks(from, to float64) []plot.Tick {
	ticks := u.Ticker.Ticks(from, to)
	for i := range ticks {
		if !ticks[i].IsMinor() {
			ticks[i].Label = " "
		}
	}
	return ticks
}

// rowTicks names rows: row i is at the height len−1−i, so that the first one is at the top.
type rowTicks []string

var _ plot.Ticker = rowTicks(nil)

func (r rowTicks) Ticks(from, to float64) []plot.Tick {
	ticks := make([]plot.Tick, len(r))
	for i, name := range r {
		ticks[i] = plot.Tick{Value: float64(len(r) - 1 - i), Label: name}
	}
	return ticks
}

// symlog is linear from zero to its value and logarithmic above, a decade being as long as the linear part. Unlike a
// logarithm it has a place for an interval in which nothing was done.
type symlog float64

var _ plot.Normalizer = symlog(0)

func (s symlog) at(v float64) float64 {
	t := float64(s)
	if v <= t {
		return v / t
	}
	return 1 + math.Log10(v/t)
}

// Normalize implements plot.Normalizer.
func (s symlog) Normalize(from, to, v float64) float64 {
	return (s.at(v) - s.at(from)) / (s.at(to) - s.at(from))
}

// symlogTicks labels zero and the decades from the linear part's end on.
type symlogTicks struct {
	linear float64
	unit   quantity.Unit
}

var _ plot.Ticker = symlogTicks{}

func (s symlogTicks) Ticks(_, to float64) []plot.Tick {
	return append([]plot.Tick{{Value: 0, Label: "0"}}, logTicks{s.unit}.Ticks(s.linear, to)...)
}
