package axis

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/plot"

	"github.com/millrace/millrace/internal/quantity"
)

func TestTicks(t *testing.T) {
	check := func(name string, ticker plot.Ticker, from, to float64, want ...string) {
		t.Helper()
		var got []string
		for _, tick := range ticker.Ticks(from, to) {
			if !tick.IsMinor() {
				got = append(got, tick.Label)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	check("decades", LogTicks{Unit: quantity.Time}, 1e4, 1e7, "10 µs", "100 µs", "1 ms", "10 ms")
	check("one decade", LogTicks{Unit: quantity.Time}, 2e5, 2e6, "200 µs", "500 µs", "1 ms", "2 ms")
	check("bytes", LinearTicks{Unit: quantity.Bytes}, 0, 600<<20, "0", "100 MiB", "200 MiB", "300 MiB", "400 MiB", "500 MiB", "600 MiB")
	check("seconds", SecondTicks{}, 0, 30, "0", "5", "10", "15", "20", "25", "30")
	check("nines", NinesTicks{}, Nines(0.5), 4.3, "50 %", "90 %", "99 %", "99.9 %", "99.99 %")
	check("symlog", SymlogTicks{Linear: 1e3, Unit: quantity.PerSecond}, 0, 1.2e6, "0", "1 k/s", "10 k/s", "100 k/s", "1 M/s")
}

func TestSymlogIsContinuousAndIncreasing(t *testing.T) {
	s := Symlog(1000)
	last := -1.0
	for v := 0.0; v <= 1e6; v += 97 {
		at := s.Normalize(0, 1e6, v)
		if at <= last || at < 0 || at > 1+1e-9 {
			t.Fatalf("at %v: %v after %v", v, at, last)
		}
		last = at
	}
	if a, b := s.Normalize(0, 1e6, 999.999), s.Normalize(0, 1e6, 1000.001); math.Abs(a-b) > 1e-5 {
		t.Errorf("a jump at its end: %v and %v", a, b)
	}
}
