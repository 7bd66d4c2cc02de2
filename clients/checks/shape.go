package checks

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/internal/validity"
)

// Limits of the checks of the latencies' shape, from docs/METHOD.md.
const (
	modeLeast   = 20    // requests beyond what the neighbours explain, or
	modeShare   = 0.001 // of the phase's good replies, if that is more
	modeFactor  = 2     // times the fuller neighbour
	trendLimit  = 0.10  // of the phase's median level, from its begin to its end
	trendP      = 0.01  // of the Mann–Kendall test, two-sided
	trendLeast  = 6     // means; of five no order is rarer than 1 in 60
	trendMost   = 300   // means; longer phases are judged by means over several seconds
	explainedBy = 0.5   // of a mode's requests must have an event of the kernel's
)

// Timers are the kernel's that leave a mode in a histogram, in ns: the delayed ACK, the least retransmission timeout, and
// the first and second retransmission of a SYN.
var Timers = [4]int64{40_000_000, 200_000_000, 1_000_000_000, 3_000_000_000}

var timerNames = [4]string{"delayed ACK", "least retransmission timeout", "SYN retransmission", "second SYN retransmission"}

// ModeWidth is the relative width of the band above a timer that its mode is looked for in. The kernel's timer wheel may be
// late by an eighth, and neighbours are as wide.
const ModeWidth = 0.12

// Mode counts the latencies around one of Timers, T, in bands of equal width on a logarithmic axis.
type Mode struct {
	In    int64 // in [T, 1.12·T)
	Below int64 // in [T/1.12, T)
	Above int64 // in [1.12·T, 1.12²·T)
}

// Modes counts the bands around all timers. between returns how many latencies lie in [from, to) ns.
func Modes(between func(from, to int64) int64) [len(Timers)]Mode {
	var out [len(Timers)]Mode
	for i, t := range Timers {
		const w = 1 + ModeWidth
		edge := func(f float64) int64 { return int64(float64(t) * f) }
		out[i] = Mode{In: between(t, edge(w)), Below: between(edge(1/w), t), Above: between(edge(w), edge(w*w))}
	}
	return out
}

// excess is how many of n latencies a mode holds beyond what its neighbours explain, zero if it is none:
//
//	In − max(Below, Above) ≥ max(20, 0.1 % of n)   and   In > 2 · max(Below, Above)
func (m Mode) excess(n int64) int64 {
	next := max(m.Below, m.Above)
	if d := m.In - next; float64(d) >= max(modeLeast, modeShare*float64(n)) && m.In > modeFactor*next {
		return d
	}
	return 0
}

// timerCheck looks for modes at the kernel's timers. It is quiet about a mode
//
//   - of which the kernel's own counters tell: those have their own checks;
//   - at 200 ms or more on loopback, where both ends' counters are read and tell of nothing: so it is the server that
//     waits;
//   - where the scenario's work, or in a closed loop connections ÷ throughput, takes as long.
//
// Nothing counts the requests that a delayed ACK held up, so a mode at 40 ms is always in doubt.
func timerCheck(p Phase, l Load) validity.Check {
	c := validity.Check{Name: "timer fingerprints", State: validity.OK, Limit: modeShare, Unit: "share"}
	if p.Overload || p.Counted == 0 {
		c.State = validity.NotApplicable
		return c
	}
	return judgeModes(c, fmt.Sprintf("phase %s", p.Name), p.Modes, p.Counted, l, func(i int) bool {
		from, to := Timers[i], int64(float64(Timers[i])*(1+ModeWidth))
		in := func(ns int64) bool { return from <= ns && ns < to }
		return slices.ContainsFunc(l.WorkNs, in) || p.Closed && p.Finished > 0 && in(p.HeldNs/p.Finished)
	})
}

// connectTimerCheck looks for the same modes in the time that connections took to open.
func connectTimerCheck(l Load) validity.Check {
	c := validity.Check{Name: "timer fingerprints, connect", State: validity.OK, Limit: modeShare, Unit: "share"}
	if l.Opened == 0 {
		c.State = validity.NotApplicable
		return c
	}
	return judgeModes(c, "connections", l.ConnectModes, l.Opened, l, func(i int) bool { return i == 0 })
}

func judgeModes(c validity.Check, what string, modes [len(Timers)]Mode, n int64, l Load, expected func(i int) bool) validity.Check {
	for i, m := range modes {
		beyond := m.excess(n)
		share := float64(beyond) / float64(n)
		if share <= c.Value || expected(i) || l.explained(i, beyond) {
			continue
		}
		c.State, c.Value = validity.Warn, share
		c.Reason = fmt.Sprintf("%s: %.2g %% took %s to %s, %d more than the neighbours explain: the mark of the %s",
			what, 100*share, quantity.Tick(float64(Timers[i]), quantity.Time), quantity.Format(float64(Timers[i])*(1+ModeWidth), quantity.Time), beyond, timerNames[i])
		c.Remedy = fmt.Sprintf("ask the counters of %s (nstat), and whether the server itself waits that long", l.remote())
		if i == 0 {
			c.Remedy = "set TCP_NODELAY on the server and write a reply in one piece, unless the server itself waits that long"
		}
	}
	return c
}

// explained reports whether the kernel's counters say where a mode comes from.
func (l *Load) explained(timer int, requests int64) bool {
	k := l.Kernel
	events := int64(0) // nothing counts requests held up by delayed ACKs
	switch {
	case timer == 1:
		events = k.Retransmits
	case timer > 1:
		events = max(k.SynRetransmits, k.ListenDrops, k.ListenOverflows)
	}
	if events == Unknown || timer == 0 {
		return false
	}
	return float64(events) >= explainedBy*float64(requests) || len(l.Remote) == 0
}

// remote names the hosts of the other end.
func (l *Load) remote() string {
	const most = 3
	switch n := len(l.Remote); {
	case n == 0:
		return "the server's host"
	case n > most:
		return fmt.Sprintf("%s and %d other hosts", strings.Join(l.Remote[:most], ", "), n-most)
	}
	return strings.Join(l.Remote, ", ")
}

// stationaryCheck looks for a trend in the means of every second of a steady phase: the test of Mann and Kendall says
// whether there is one (Mann, Econometrica 13, 1945), the slope of Theil and Sen how much it makes from the phase's begin
// to its end. A phase whose plan changes the rate has a trend by itself, and so has one that works off an overload.
func stationaryCheck(p Phase) validity.Check {
	c := validity.Check{Name: "stationarity", State: validity.OK, Limit: trendLimit, Unit: "share"}
	means := grouped(p.MeansNs, trendMost)
	if p.Recovers {
		c.State, c.Reason = validity.NotApplicable, fmt.Sprintf("phase %s works off the overload before it", p.Name)
		return c
	}
	if p.Overload || len(means) < trendLeast || !p.Closed && ramps(p) {
		c.State = validity.NotApplicable
		return c
	}
	score, _ := MannKendall(means)
	change := changeOf(means)
	if c.Value = math.Abs(change); score < trendP && c.Value > trendLimit {
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("phase %s: the mean response time went by %+.0f %% from its begin to its end (Mann–Kendall p = %.2g): the figures mix different states", p.Name, 100*change, score)
		c.Remedy = "warm up longer, or look for what grows: a queue, memory, connections, another program on the host"
	}
	return c
}

// ramps reports whether the plan itself changes the rate by more than trendLimit over the phase.
func ramps(p Phase) bool {
	const perSecond = 1_000_000_000 / WindowNs
	var planned []float64
	for i := 0; i+perSecond <= len(p.Windows); i += perSecond {
		var n int64
		for _, w := range p.Windows[i : i+perSecond] {
			n += w.Planned
		}
		planned = append(planned, float64(n))
	}
	planned = grouped(planned, trendMost)
	score, _ := MannKendall(planned)
	return len(planned) >= trendLeast && score < trendP && math.Abs(changeOf(planned)) > trendLimit
}

// grouped averages neighbours so that at most so many values are left.
func grouped(v []float64, most int) []float64 {
	size := (len(v) + most - 1) / most
	if size <= 1 {
		return v
	}
	var out []float64
	for i := 0; i+size <= len(v); i += size {
		var sum float64
		for _, x := range v[i : i+size] {
			sum += x
		}
		out = append(out, sum/float64(size))
	}
	return out
}

// MannKendall returns the two-sided p of the Mann–Kendall test for a trend in v, by the normal approximation with
// correction for continuity and ties, and Kendall's S:
//
//	S = Σ_{i<j} sign(v[j] − v[i])
//	Var S = (n(n−1)(2n+5) − Σ t(t−1)(2t+5)) ÷ 18
//
// Where: n = len(v), t = the size of each group of equal values. From six values on the approximation is the more careful
// one. Source: M. Kendall, Rank Correlation Methods, 1975.
func MannKendall(v []float64) (p float64, s int) {
	n := float64(len(v))
	variance := n * (n - 1) * (2*n + 5)
	for i, a := range v {
		for _, b := range v[i+1:] {
			switch {
			case b > a:
				s++
			case b < a:
				s--
			}
		}
	}
	sorted := slices.Sorted(slices.Values(v))
	for i := 0; i < len(sorted); {
		j := i
		for j < len(sorted) && sorted[j] == sorted[i] {
			j++
		}
		t := float64(j - i)
		variance -= t * (t - 1) * (2*t + 5)
		i = j
	}
	if s == 0 || variance <= 0 {
		return 1, s
	}
	z := (math.Abs(float64(s)) - 1) / math.Sqrt(variance/18)
	return math.Erfc(z / math.Sqrt2), s
}

// changeOf is the Theil–Sen slope of v over its whole length, as a share of its median.
func changeOf(v []float64) float64 {
	var slopes []float64
	for i := range v {
		for j := i + 1; j < len(v); j++ {
			slopes = append(slopes, (v[j]-v[i])/float64(j-i))
		}
	}
	level := median(slices.Clone(v))
	if len(slopes) == 0 || level == 0 {
		return 0
	}
	return median(slopes) * float64(len(v)-1) / level
}

// median sorts v, which has at least one value.
func median(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
