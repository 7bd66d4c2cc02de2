// Package axis has the scales of the figures and their ticks, which read as people write numbers.
package axis

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"

	"github.com/millrace/millrace/internal/quantity"
)

// LogTicks labels the decades; within less than two of them also 2 and 5. Over more than four it marks nothing else. Of bytes
// it labels powers of two.
type LogTicks struct{ Unit quantity.Unit }

var _ plot.Ticker = LogTicks{}

// maxLabels is how many labels an axis has room for.
const maxLabels = 9

// Ticks implements plot.Ticker.
func (l LogTicks) Ticks(from, to float64) []plot.Tick {
	if l.Unit == quantity.Bytes {
		return binaryTicks(from, to)
	}
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

// binaryTicks are powers of two, as many as have room for their labels.
func binaryTicks(from, to float64) []plot.Tick {
	lo, hi := int(math.Ceil(math.Log2(from)-1e-9)), int(math.Floor(math.Log2(to)+1e-9))
	every := 1 + (hi-lo)/maxLabels
	var ticks []plot.Tick
	for e := lo; e <= hi; e++ {
		if e%every == 0 {
			ticks = append(ticks, plot.Tick{Value: math.Ldexp(1, e), Label: quantity.Tick(math.Ldexp(1, e), quantity.Bytes)})
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

// RatioTicks labels round ratios on a logarithmic axis: the finest set whose labels are at least Gap of the axis apart.
type RatioTicks struct{ Gap float64 }

var _ plot.Ticker = RatioTicks{}

// ratios are the sets, from fine to coarse. Each but the last is for an axis that it covers.
var ratios = [][]float64{
	{0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2},
	{0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4},
	{0.6, 0.8, 1, 1.2, 1.4, 1.6},
	{0.25, 0.5, 0.75, 1, 1.5, 2},
	{0.5, 0.7, 1, 1.5, 2, 3},
	{0.7, 1, 1.5, 2, 3},
	{0.1, 0.2, 0.5, 1, 2, 5, 10, 20},
	{0.25, 0.5, 1, 2, 4},
	{0.3, 1, 3, 10},
	{0.01, 0.1, 1, 10, 100},
}

// Ticks implements plot.Ticker.
func (r RatioTicks) Ticks(from, to float64) []plot.Tick {
	var ticks []plot.Tick
	for i, set := range ratios {
		if i < len(ratios)-1 && (set[0] > 1.3*from || 1.5*set[len(set)-1] < to) {
			continue
		}
		ticks = ticks[:0]
		apart := math.Inf(1)
		for _, v := range set {
			if v < from || v > to {
				continue
			}
			if n := len(ticks); n > 0 {
				apart = min(apart, math.Log(v/ticks[n-1].Value)/math.Log(to/from))
			}
			ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', -1, 64)})
		}
		if apart >= r.Gap && len(ticks) > 1 {
			break
		}
	}
	return ticks
}
