package scenarios

import (
	"fmt"
	"math"
	"time"
)

// Arrivals is when requests are due. At most one field is set; the zero value offers none.
type Arrivals struct {
	// Constant offers requests at equal distances.
	Constant Rate `yaml:"constant" json:"constant,omitempty"`
	// Poisson offers requests with exponential distances of this mean rate.
	Poisson Rate `yaml:"poisson" json:"poisson,omitempty"`
	// Burst offers this many requests at equal distances over the phase.
	Burst int `yaml:"burst" json:"burst,omitempty"`
	// Ramp offers requests at a rate that changes evenly over the phase.
	Ramp Ramp `yaml:"ramp" json:"ramp,omitzero"`
	// Trace offers requests at given times.
	Trace *Trace `yaml:"trace" json:"trace,omitempty"`
	// Closed sends the next request of a connection when the last one is answered (closed loop).
	Closed bool `yaml:"closed" json:"closed,omitempty"`
}

// Ramp is a rate that goes evenly from one to another over a phase. One of them may be zero.
type Ramp struct {
	From Rate `yaml:"from" json:"from"`
	To   Rate `yaml:"to" json:"to"`
	// Poisson makes the arrivals a Poisson process of this rate; otherwise each is due when the rate has added up to it.
	Poisson bool `yaml:"poisson" json:"poisson,omitempty"`
}

// none reports whether no requests are offered.
func (a Arrivals) none() bool {
	return a.Constant == 0 && a.Poisson == 0 && a.Burst == 0 && a.Ramp == Ramp{} && a.Trace == nil && !a.Closed
}

// Rate is the mean rate of the arrivals over a phase of length d, in requests per second. It is zero for a closed loop
// and for a trace that was not read yet.
func (a Arrivals) Rate(d time.Duration) float64 {
	switch {
	case a.Constant > 0:
		return float64(a.Constant)
	case a.Poisson > 0:
		return float64(a.Poisson)
	case a.Ramp != Ramp{}:
		return (float64(a.Ramp.From) + float64(a.Ramp.To)) / 2
	case d <= 0:
		return 0
	case a.Burst > 0:
		return float64(a.Burst) / d.Seconds()
	case a.Trace != nil:
		return float64(len(a.Trace.TimesNs)) / d.Seconds()
	}
	return 0
}

// Peak is the highest rate in requests per second: of a ramp its higher end, of a trace the most in any one second, and
// of everything else the mean.
func (a Arrivals) Peak(d time.Duration) float64 {
	switch {
	case a.Ramp != Ramp{}:
		return math.Max(float64(a.Ramp.From), float64(a.Ramp.To))
	case a.Trace != nil && d > time.Second:
		return float64(a.Trace.most(time.Second))
	}
	return a.Rate(d)
}

// validate checks the arrivals of a phase of length d. path names them in errors.
func (a Arrivals) validate(path string, d time.Duration) error {
	kinds := 0
	for _, set := range []bool{a.Constant != 0, a.Poisson != 0, a.Burst != 0, a.Ramp != Ramp{}, a.Trace != nil, a.Closed} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return fmt.Errorf("%s: want one of constant, poisson, burst, ramp, trace and closed", path)
	case a.Burst < 0:
		return fmt.Errorf("%s.burst %d: want 0 or more requests", path, a.Burst)
	case a.Ramp.Poisson && a.Ramp.From == 0 && a.Ramp.To == 0:
		return fmt.Errorf("%s.ramp: want rates from and to, one of them above 0", path)
	case a.Peak(d) > maxRate || a.Rate(d)*d.Seconds() > maxPlanned:
		return fmt.Errorf("%s: %.0f requests at up to %.0f/s: want at most %d requests in a phase and %.0f/s", path, a.Rate(d)*d.Seconds(), a.Peak(d), maxPlanned, maxRate)
	}
	for _, r := range []Rate{a.Constant, a.Poisson, a.Ramp.From, a.Ramp.To} {
		if !(r >= 0) {
			return fmt.Errorf("%s: rate %v: want 0 to %.0f/s", path, r, maxRate)
		}
	}
	if a.Trace != nil {
		if err := a.Trace.validate(d); err != nil {
			return fmt.Errorf("%s.trace: %w", path, err)
		}
	}
	return nil
}
