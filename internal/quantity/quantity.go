// Package quantity writes numbers for people: three significant digits and a unit. Tables, figures and the terminal use
// it alike, so that one measurement reads the same everywhere.
package quantity

import (
	"math"
	"strconv"
	"strings"
)

// Unit is what a number counts. It decides the prefixes that a large or small number gets.
type Unit int

// The units. Time is given in ns.
const (
	Number    Unit = iota // 12.3 k
	Time                  // from ns: 850 ns, 1.23 ms, 4.50 s
	Bytes                 // 512 B, 1.50 KiB, 210 MiB
	PerSecond             // 98.7 k/s
)

// step is a prefix: values from size on are divided by it and followed by suffix.
type step struct {
	size   float64
	suffix string
}

// steps[unit] is in increasing order; the first one takes the smallest values too.
var steps = map[Unit][]step{
	Number:    {{1, ""}, {1e3, " k"}, {1e6, " M"}, {1e9, " G"}},
	Time:      {{1, " ns"}, {1e3, " µs"}, {1e6, " ms"}, {1e9, " s"}},
	Bytes:     {{1, " B"}, {1 << 10, " KiB"}, {1 << 20, " MiB"}, {1 << 30, " GiB"}, {1 << 40, " TiB"}},
	PerSecond: {{1, "/s"}, {1e3, " k/s"}, {1e6, " M/s"}, {1e9, " G/s"}},
}

// UnitOf is the unit for the word that a metric has for its unit: "ns", "bytes", "requests/s", "connections/s", "deliveries/s", and Number for all others.
func UnitOf(word string) Unit {
	switch word {
	case "ns":
		return Time
	case "bytes":
		return Bytes
	case "requests/s", "connections/s", "deliveries/s":
		return PerSecond
	}
	return Number
}

// Format writes v with three significant digits. Whole numbers below 1000 are written without a fraction where the unit
// can't be divided (Number, Bytes and ns). A v that is not finite gives "–".
func Format(v float64, u Unit) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	if v == 0 && u == Time {
		return "0 s" // no zero is a matter of nanoseconds
	}
	s := pick(math.Abs(v), u)
	scaled := v / s.size
	if s.size == 1 && scaled == math.Trunc(scaled) {
		return minus(strconv.FormatFloat(scaled, 'f', 0, 64)) + s.suffix
	}
	return minus(strconv.FormatFloat(scaled, 'f', decimals(math.Abs(scaled)), 64)) + s.suffix
}

// Tick writes v as Format does, without zeros behind the decimal point: an axis says 0 and 10 ms, not 0 ns and 10.0 ms.
func Tick(v float64, u Unit) string {
	if v == 0 {
		return "0"
	}
	number, suffix, found := strings.Cut(Format(v, u), " ")
	if found {
		suffix = " " + suffix
	}
	if u == PerSecond && !found {
		number, suffix = strings.TrimSuffix(number, "/s"), "/s"
	}
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	return number + suffix
}

// Share writes a share of 1 as a percentage with up to three significant digits.
func Share(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	p := v * 100
	return strconv.FormatFloat(p, 'f', min(decimals(math.Abs(p)), 3), 64) + " %"
}

// pick is the prefix for a value that is not negative, after rounding: 999.9 µs reads 1.00 ms.
func pick(v float64, u Unit) step {
	list := steps[u]
	s := list[0]
	for i, next := range list[1:] {
		// A number of bytes may reach 1023 of a unit before the next one begins.
		limit := next.size
		if u != Bytes {
			limit -= 0.5 * list[i].size
		}
		if v >= limit {
			s = next
		}
	}
	return s
}

// decimals is how many places behind the point give three significant digits.
func decimals(v float64) int {
	switch {
	case v == 0 || v >= 99.95:
		return 0
	case v >= 9.995:
		return 1
	case v >= 0.9995:
		return 2
	}
	return min(2-int(math.Floor(math.Log10(v))), 6)
}

// minus replaces the hyphen by a minus sign, and a negative zero by zero.
func minus(s string) string {
	rest, negative := strings.CutPrefix(s, "-")
	if !negative {
		return s
	}
	if strings.Trim(rest, "0.") == "" {
		return rest
	}
	return "−" + rest
}
