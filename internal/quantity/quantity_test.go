package quantity

import (
	"math"
	"testing"
)

func TestFormat(t *testing.T) {
	check := func(v float64, u Unit, want, tick string) {
		t.Helper()
		if got := Format(v, u); got != want {
			t.Errorf("Format(%v, %d) = %q, want %q", v, u, got, want)
		}
		if got := Tick(v, u); got != tick {
			t.Errorf("Tick(%v, %d) = %q, want %q", v, u, got, tick)
		}
	}
	check(0, Time, "0 s", "0")
	check(850, Time, "850 ns", "850 ns")
	check(1234, Time, "1.23 µs", "1.23 µs")
	check(999_400, Time, "999 µs", "999 µs")
	check(999_600, Time, "1.00 ms", "1 ms")
	check(10e6, Time, "10.0 ms", "10 ms")
	check(99.96e6, Time, "100 ms", "100 ms")
	check(4.5e9, Time, "4.50 s", "4.5 s")
	check(60e9, Time, "60.0 s", "60 s")
	check(0, Bytes, "0 B", "0")
	check(1023, Bytes, "1023 B", "1023 B")
	check(1536, Bytes, "1.50 KiB", "1.5 KiB")
	check(200<<20, Bytes, "200 MiB", "200 MiB")
	check(1010<<20, Bytes, "1010 MiB", "1010 MiB")
	check(-3<<20, Bytes, "−3.00 MiB", "−3 MiB")
	check(6, Number, "6", "6")
	check(1.5, Number, "1.50", "1.5")
	check(999.7, Number, "1.00 k", "1 k")
	check(10_000, Number, "10.0 k", "10 k")
	check(1_000_000, Number, "1.00 M", "1 M")
	check(500, PerSecond, "500/s", "500/s")
	check(0.5, PerSecond, "0.500/s", "0.5/s")
	check(98_765, PerSecond, "98.8 k/s", "98.8 k/s")
	check(math.NaN(), Time, "–", "–")
	check(math.Inf(1), Time, "–", "–")
	if got := Share(0.00123); got != "0.123 %" {
		t.Errorf("Share(0.00123) = %q", got)
	}
	if got := Share(1); got != "100 %" {
		t.Errorf("Share(1) = %q", got)
	}
}
