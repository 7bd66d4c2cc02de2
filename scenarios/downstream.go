package scenarios

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Downstream scripts bin/downstream: how long it takes to answer, and when it stalls or refuses. Its latencies are drawn with
// the round's seed, so that every server of a round meets the same ones.
type Downstream struct {
	// Protocol is "tcp" (frames, echoed) or "http". Work of kind upload needs http. Default tcp, http for uploads.
	Protocol string `yaml:"protocol" json:"protocol,omitempty"`
	// Latency of a reply, as ParseLatency reads it. Default constant=5ms.
	Latency string `yaml:"latency" json:"latency,omitempty"`
	// Windows are when it behaves otherwise. They must not overlap.
	Windows []Window `yaml:"windows" json:"windows,omitempty"`
}

// Window is a span of a phase in which the downstream behaves otherwise.
type Window struct {
	// Phase by name, and the span's offset in it.
	Phase string   `yaml:"phase" json:"phase"`
	After Duration `yaml:"after" json:"after"`
	For   Duration `yaml:"for" json:"for"`
	// Latency is as Downstream.Latency; or "stall": what arrives, or should be answered, waits for the end of the window; or
	// "refuse": new connections are refused and those that are open are reset.
	Latency string `yaml:"latency" json:"latency"`
}

// Behaviours of a window that are no latency.
const (
	Stall  = "stall"
	Refuse = "refuse"
)

// Latencies are the kinds of latency in words, for messages.
const Latencies = "constant=DURATION, exponential=MEAN, lognormal=MEDIAN,SIGMA or trace=DURATION,DURATION,…"

// Latency is how long a reply takes: a distribution in the words of its parameters.
type Latency struct {
	Kind string // constant, exponential, lognormal or trace
	// Center is the constant, the mean of the exponential, or the median of the log-normal distribution.
	Center time.Duration
	// Sigma is the standard deviation of ln(latency) of the log-normal distribution.
	Sigma float64
	// Trace is taken in turn, again from its start when it is over.
	Trace []time.Duration
}

const (
	maxLatency = time.Minute
	maxSigma   = 3
	// maxLatencyText is the most characters of a latency, most of a trace: it is an argument of a program, which may have
	// 128 KiB (MAX_ARG_STRLEN of linux/binfmts.h).
	maxLatencyText = 100_000
)

// ParseLatency reads one of Latencies.
func ParseLatency(text string) (Latency, error) {
	kind, value, _ := strings.Cut(text, "=")
	l := Latency{Kind: kind}
	if len(text) > maxLatencyText {
		return Latency{}, fmt.Errorf("latency %.40q…: %d characters: want at most %d", text, len(text), maxLatencyText)
	}
	bad := fmt.Errorf("latency %.200q: want %s, durations from 0s to %v, sigma above 0 to %d", text, Latencies, maxLatency, maxSigma)
	parts := strings.Split(value, ",")
	var ds []time.Duration
	for i, p := range parts {
		if kind == "lognormal" && i == 1 {
			v, err := strconv.ParseFloat(p, 64)
			if err != nil || !(v > 0 && v <= maxSigma) || math.IsInf(v, 0) {
				return Latency{}, bad
			}
			l.Sigma = v
			continue
		}
		d, err := time.ParseDuration(strings.TrimSpace(p))
		if err != nil || d < 0 || d > maxLatency {
			return Latency{}, bad
		}
		ds = append(ds, d)
	}
	wanted := map[string]int{"constant": 1, "exponential": 1, "lognormal": 2}[kind]
	switch {
	case kind == "trace":
		l.Trace = ds
	case wanted == 0 || len(parts) != wanted || kind != "constant" && ds[0] == 0:
		return Latency{}, bad
	default:
		l.Center = ds[0]
	}
	return l, nil
}

func (d *Downstream) setDefaults(w Work) {
	if !w.Calls() {
		return
	}
	if d.Protocol == "" {
		d.Protocol = "tcp"
		if w.Kind == WorkUpload {
			d.Protocol = "http"
		}
	}
	if d.Latency == "" {
		d.Latency = "constant=5ms"
	}
}

func (s *Scenario) validateDownstream() error {
	d := &s.Downstream
	if !s.Work.Calls() {
		if d.Protocol != "" || d.Latency != "" || len(d.Windows) > 0 {
			return fmt.Errorf("downstream with work.kind %s: nobody would call it: want kind %s or %s without an address, or no downstream", s.Work.Kind, WorkDownstream, WorkUpload)
		}
		return nil
	}
	if err := oneOf("downstream.protocol", d.Protocol, []string{"tcp", "http"}); err != nil {
		return err
	}
	if s.Work.Kind == WorkUpload && d.Protocol != "http" {
		return fmt.Errorf("downstream.protocol %s with work.kind upload: want http", d.Protocol)
	}
	if _, err := ParseLatency(d.Latency); err != nil {
		return fmt.Errorf("downstream.%w", err)
	}
	for i := range d.Windows {
		if err := s.validateWindow(i); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scenario) validateWindow(i int) error {
	w := s.Downstream.Windows[i]
	path := fmt.Sprintf("downstream.windows[%d]", i)
	from, to, ok := s.windowAt(w)
	if !ok {
		var names []string
		for _, p := range s.Phases {
			names = append(names, p.Name)
		}
		return fmt.Errorf("%s.phase %q: want one of %s", path, w.Phase, strings.Join(names, ", "))
	}
	if w.For <= 0 || to > s.Duration()-s.ConnectFor() {
		return fmt.Errorf("%s.for %v: want more than 0s, and an end before that of the last phase", path, w.For)
	}
	if w.Latency != Stall && w.Latency != Refuse {
		if _, err := ParseLatency(w.Latency); err != nil {
			return fmt.Errorf("%s: %w, or %s, or %s", path, err, Stall, Refuse)
		}
	}
	for j := range i {
		if a, b, _ := s.windowAt(s.Downstream.Windows[j]); from < b && a < to {
			return fmt.Errorf("%s overlaps with windows[%d]: want spans apart", path, j)
		}
	}
	return nil
}

// windowAt is the window's span after the start of the first phase; ok is false where there is no such phase. Of a phase that is
// repeated for steps it is the first.
func (s *Scenario) windowAt(w Window) (from, to time.Duration, ok bool) {
	var at time.Duration
	for _, p := range s.Phases {
		if p.Name == w.Phase || p.Open > 0 && p.Name == fmt.Sprintf("%s-%d", w.Phase, p.Open) {
			from = at + time.Duration(w.After)
			return from, from + time.Duration(w.For), true
		}
		at += time.Duration(p.For)
	}
	return 0, 0, false
}

// Spans are the windows of a resolved scenario in ns after T0, in the order of the windows.
func (s *Scenario) Spans() [][2]int64 {
	var out [][2]int64
	for _, w := range s.Downstream.Windows {
		from, to, _ := s.windowAt(w)
		out = append(out, [2]int64{int64(s.ConnectFor() + from), int64(s.ConnectFor() + to)})
	}
	return out
}
