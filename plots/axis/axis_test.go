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
	check("bytes by a logarithm", LogTicks{Unit: quantity.Bytes}, 10<<20, 70<<20, "16 MiB", "32 MiB", "64 MiB")
	check("many bytes by a logarithm", LogTicks{Unit: quantity.Bytes}, 1<<10, 1<<32, "4 KiB", "32 KiB", "256 KiB", "2 MiB", "16 MiB", "128 MiB", "1 GiB")
	check("ratios close to 1", RatioTicks{Gap: 0.12}, 0.83, 1.2, "0.9", "1", "1.1", "1.2")
	check("ratios", RatioTicks{Gap: 0.12}, 0.6, 2.1, "0.75", "1", "1.5", "2")
	check("ratios with little room", RatioTicks{Gap: 0.19}, 0.6, 3.2, "1", "2")
	check("ratios far off", RatioTicks{Gap: 0.12}, 1.0/20, 20, "0.1", "1", "10")
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
