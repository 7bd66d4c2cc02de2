package scenarios

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration written as in Go: "250ms", "3s".
type Duration time.Duration

// Rate is a number of events a second, written "10000/s", "10k/s" or "10k".
type Rate float64

// Percent is a share in percent, written "1%"; 100 is everything.
type Percent float64

// ParseRate reads a rate such as "20000", "20k", "1.5M/s".
func ParseRate(text string) (Rate, error) {
	t := strings.TrimSuffix(strings.TrimSpace(text), "/s")
	factor := 1.0
	switch {
	case strings.HasSuffix(t, "k"):
		t, factor = strings.TrimSuffix(t, "k"), 1e3
	case strings.HasSuffix(t, "M"):
		t, factor = strings.TrimSuffix(t, "M"), 1e6
	}
	v, err := strconv.ParseFloat(t, 64)
	if err != nil || !(v >= 0 && v*factor <= maxRate) {
		return 0, fmt.Errorf("rate %q: want a number of events a second up to %d, such as 10000/s, 10k or 1.5M/s", text, int64(maxRate))
	}
	return Rate(v * factor), nil
}

// maxRate is more than any host can offer and keeps the distance between arrivals above a nanosecond's rounding.
const maxRate = 1e8

func (d Duration) String() string { return time.Duration(d).String() }
func (r Rate) String() string     { return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s" }
func (p Percent) String() string  { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// MarshalText writes the value as its parser reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// MarshalText writes the value as its parser reads it.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// MarshalText writes the value as its parser reads it.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a Go duration that is not negative.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("duration %q: want a number with a unit, such as 250ms, 3s or 2m", text)
	}
	*d = Duration(v)
	return nil
}

// UnmarshalText reads a rate as ParseRate does.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// UnmarshalText reads a share from 0% to 100%.
func (p *Percent) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(string(text), "%"), 64)
	if err != nil || !strings.HasSuffix(string(text), "%") || !(v >= 0 && v <= 100) {
		return fmt.Errorf("share %q: want 0%% to 100%%", text)
	}
	*p = Percent(v)
	return nil
}
