// Package witness reads, at the edges of a load's phases, what the client's host and Go runtime did to the client's
// process: what its checks call surroundings, and what the kernel dropped.
package witness

import (
	"runtime/metrics"
	"time"

	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/internal/procfs"
)

// Witness takes a reading at every edge of a time axis. One goroutine may use it at a time; it allocates in New and Begin
// only. What could not be opened is Unknown in every result.
//
//	w := New()                // before connections are opened
//	w.Begin(edges)
//	for … { <-time.After(w.Wait()); w.Turn() }
//	w.Close()
//	w.Between(i), w.Kernel()
type Witness struct {
	cpus       int
	steal      *procfs.Steal
	throttling *procfs.Throttling
	host       *procfs.Host
	runtime    []metrics.Sample // as pauses, then the scheduler's latencies

	first, last checks.Kernel
	base        reading    // of Begin
	edges       []int64    // CLOCK_MONOTONIC ns
	readings    []reading  // readings[i] belongs to edges[i]; as far as they were taken
	before      [][]uint64 // before[i] are the counts of histogram i at the last reading
	closed      bool
}

// reading are the counters at a time. The runtime's say what came since the reading before.
type reading struct {
	at, stealNs, periods, throttledNs int64
	pauseMaxNs, schedP99Ns            int64
}

// The histograms of runtime/metrics: the pauses of all kinds first.
var histograms = []string{"/sched/pauses/total/gc:seconds", "/sched/pauses/total/other:seconds", "/sched/latencies:seconds"}

// New opens what it reads, and counts the kernel's drops from now on.
func New() *Witness {
	w := &Witness{throttling: procfs.OpenThrottling()}
	if cpus, err := procfs.Affinity(); err == nil {
		w.cpus = len(cpus)
		w.steal, _ = procfs.OpenSteal(cpus) // nil reads Unknown
	}
	w.host, _ = procfs.OpenHost()
	w.first = w.kernel()
	return w
}

// Begin fixes the edges, in order.
func (w *Witness) Begin(edges []int64) {
	w.edges = edges
	w.readings = make([]reading, 0, len(edges))
	w.before = make([][]uint64, len(histograms))
	for _, name := range histograms {
		w.runtime = append(w.runtime, metrics.Sample{Name: name})
	}
	w.base = w.read() // and has the runtime allocate what it reads into
}

// Wait is how long it is until the next edge; an hour after the last.
func (w *Witness) Wait() time.Duration {
	if len(w.readings) == len(w.edges) {
		return time.Hour
	}
	return time.Duration(w.edges[len(w.readings)] - procfs.Monotonic())
}

// Turn takes the reading of the edges that have passed. It takes some µs at an edge.
func (w *Witness) Turn() {
	if w.Wait() > 0 {
		return
	}
	r := w.read()
	for len(w.readings) < len(w.edges) && w.edges[len(w.readings)] <= r.at {
		w.readings = append(w.readings, r)
	}
}

// Close takes the last reading, for all edges that are left, and closes the files. It may be called more than once.
func (w *Witness) Close() {
	if w.closed {
		return
	}
	w.closed = true
	if w.edges != nil {
		r := w.read()
		for len(w.readings) < len(w.edges) {
			w.readings = append(w.readings, r)
		}
	}
	w.last = w.kernel()
	w.steal.Close()
	w.throttling.Close()
	if w.host != nil {
		w.host.Close()
	}
}

// Between returns what happened between the readings of edge i and edge i+1, after Close. Where one reading came too late
// for both, it is what happened since the one before.
func (w *Witness) Between(i int) checks.Surroundings {
	a, b := w.readings[i], w.readings[i+1]
	for a.at == b.at && i > 0 {
		i--
		a = w.readings[i]
	}
	if a.at == b.at {
		a = w.base
	}
	return checks.Surroundings{
		StealNs: grown(a.stealNs, b.stealNs), CPUSpanNs: (b.at - a.at) * int64(w.cpus),
		Throttled: grown(a.periods, b.periods), ThrottledNs: grown(a.throttledNs, b.throttledNs),
		PauseMaxNs: b.pauseMaxNs, SchedP99Ns: b.schedP99Ns,
	}
}

// Kernel returns what the kernel dropped from New to Close.
func (w *Witness) Kernel() checks.Kernel {
	a, b := w.first, w.last
	return checks.Kernel{
		ListenOverflows: grown(a.ListenOverflows, b.ListenOverflows), ListenDrops: grown(a.ListenDrops, b.ListenDrops),
		SynRetransmits: grown(a.SynRetransmits, b.SynRetransmits), BacklogDrops: grown(a.BacklogDrops, b.BacklogDrops),
		Retransmits: grown(a.Retransmits, b.Retransmits),
	}
}

// grown is the growth of a counter, Unknown where one end is. One that went back did not grow: some hypervisors take steal
// back, and of the retransmits a loss probe is taken off that sent something new; −1 would read as Unknown.
func grown(from, to int64) int64 {
	if from == checks.Unknown || to == checks.Unknown {
		return checks.Unknown
	}
	return max(to-from, 0)
}

func (w *Witness) kernel() checks.Kernel {
	unknown := checks.Kernel{
		ListenOverflows: checks.Unknown, ListenDrops: checks.Unknown, SynRetransmits: checks.Unknown, BacklogDrops: checks.Unknown,
		Retransmits: checks.Unknown,
	}
	if w.host == nil {
		return unknown
	}
	c, err := w.host.Read()
	if err != nil {
		return unknown
	}
	return checks.Kernel{
		ListenOverflows: c.ListenOverflows, ListenDrops: c.ListenDrops, SynRetransmits: c.SynRetransmits,
		BacklogDrops: c.BacklogDrops, Retransmits: c.Retransmits,
	}
}

func (w *Witness) read() reading {
	r := reading{at: procfs.Monotonic(), stealNs: w.steal.Read()}
	r.periods, r.throttledNs = w.throttling.Read()
	metrics.Read(w.runtime)
	for i, s := range w.runtime {
		if s.Value.Kind() != metrics.KindFloat64Histogram {
			continue // a runtime without it
		}
		h := s.Value.Float64Histogram()
		if w.before[i] == nil {
			w.before[i] = make([]uint64, len(h.Counts))
		}
		q := 1.0
		if i == len(histograms)-1 {
			q = 0.99
		}
		ns := since(w.before[i], h, q)
		if i == len(histograms)-1 {
			r.schedP99Ns = ns
		} else {
			r.pauseMaxNs = max(r.pauseMaxNs, ns)
		}
		copy(w.before[i], h.Counts)
	}
	return r
}

// since is the lower end in ns of the bucket that holds quantile q of what h counted more than before; zero for nothing.
func since(before []uint64, h *metrics.Float64Histogram, q float64) int64 {
	var all uint64
	for i, n := range h.Counts {
		all += n - before[i]
	}
	left := uint64(float64(all) * (1 - q)) // that may lie beyond
	for i := len(h.Counts) - 1; i >= 0; i-- {
		n := h.Counts[i] - before[i]
		if n > left {
			return int64(max(h.Buckets[i], 0) * 1e9) // the first bucket begins at −∞
		}
		left -= n
	}
	return 0
}
