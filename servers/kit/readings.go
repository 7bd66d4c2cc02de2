package kit

import (
	"math"
	"runtime/metrics"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit/push"
)

// metric is one value of readings: its name in a reading, and the runtime metrics that it is the sum of.
type metric struct {
	name    string
	sources []string
	scale   float64 // of float values, to the unit of the name
}

// runtimeMetrics are read without stopping the world. Everything that the runtime has mapped and not given back is in
// heap_in_use, stack, runtime_other, or free heap.
var runtimeMetrics = []metric{
	{name: "goroutines", sources: []string{"/sched/goroutines:goroutines"}},
	{name: "threads", sources: []string{"/sched/threads/total:threads"}},
	{name: "heap_live_bytes", sources: []string{"/gc/heap/live:bytes"}}, // as the last collection found it
	{name: "heap_in_use_bytes", sources: []string{"/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes"}},
	{name: "stack_bytes", sources: []string{"/memory/classes/heap/stacks:bytes", "/memory/classes/os-stacks:bytes"}},
	{name: "runtime_other_bytes", sources: []string{
		"/memory/classes/metadata/mcache/free:bytes", "/memory/classes/metadata/mcache/inuse:bytes",
		"/memory/classes/metadata/mspan/free:bytes", "/memory/classes/metadata/mspan/inuse:bytes",
		"/memory/classes/metadata/other:bytes", "/memory/classes/profiling/buckets:bytes", "/memory/classes/other:bytes",
	}},
	{name: "alloc_bytes", sources: []string{"/gc/heap/allocs:bytes"}},
	{name: "alloc_objects", sources: []string{"/gc/heap/allocs:objects"}},
	{name: "gc_cycles", sources: []string{"/gc/cycles/total:gc-cycles"}},
	{name: "gc_cpu_ns", sources: []string{"/cpu/classes/gc/total:cpu-seconds"}, scale: 1e9}, // moves when a cycle ends
}

// The histograms, behind the values of runtimeMetrics in the samples.
const (
	pausesMetric    = "/sched/pauses/total/gc:seconds"
	latenciesMetric = "/sched/latencies:seconds"
)

// readings takes the process's own resource values. It belongs to one goroutine, and allocates only the first time.
type readings struct {
	counters *Counters
	hub      *push.Hub           // nil where the server does not push
	more     func([]byte) []byte // appends further members; nil appends none
	samples  []metrics.Sample
	// latencies are the counts of the scheduler latency histogram at the last reading.
	latencies []uint64
}

func newReadings(counters *Counters) *readings {
	r := &readings{counters: counters}
	for _, m := range runtimeMetrics {
		for _, s := range m.sources {
			r.samples = append(r.samples, metrics.Sample{Name: s})
		}
	}
	r.samples = append(r.samples, metrics.Sample{Name: pausesMetric}, metrics.Sample{Name: latenciesMetric})
	return r
}

// append appends the values as JSON members, each behind a comma, under the names that results.Reading has for them. A
// value that can't be read is left out.
func (r *readings) append(b []byte) []byte {
	metrics.Read(r.samples)
	i := 0
	for _, m := range runtimeMetrics {
		var sum float64
		for range m.sources {
			switch v := r.samples[i].Value; v.Kind() {
			case metrics.KindUint64:
				sum += float64(v.Uint64())
			case metrics.KindFloat64:
				sum += v.Float64() * m.scale
			}
			i++
		}
		b = member(b, m.name, int64(sum))
	}
	if v := r.samples[i].Value; v.Kind() == metrics.KindFloat64Histogram {
		sum, largest := pauses(v.Float64Histogram())
		b = member(b, "gc_pause_ns", sum)
		b = member(b, "gc_pause_max_ns", largest)
	}
	if v := r.samples[i+1].Value; v.Kind() == metrics.KindFloat64Histogram {
		if p99, ok := r.p99Since(v.Float64Histogram()); ok {
			b = member(b, "sched_p99_ns", p99)
		}
	}
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		b = member(b, "switches_voluntary", usage.Nvcsw)
		b = member(b, "switches_involuntary", usage.Nivcsw)
	}
	return r.appendCounters(b)
}

// appendCounters reads closed before accepted, so that open is never negative.
func (r *readings) appendCounters(b []byte) []byte {
	c := r.counters
	closed := c.Closed.Load()
	accepted := c.Accepted.Load()
	b = member(b, "accepted", accepted)
	b = member(b, "open", accepted-closed)
	b = member(b, "closed", closed)
	b = member(b, "handled", c.Handled.Load())
	b = member(b, "refused", c.Refused.Load())
	b = member(b, "body_bytes_in", c.BodyBytesIn.Load())
	b = member(b, "body_bytes_out", c.BodyBytesOut.Load())
	if r.hub != nil {
		b = appendPushes(b, r.hub.Counts())
	}
	if r.more != nil {
		b = r.more(b)
	}
	return b
}

func member(b []byte, name string, v int64) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return strconv.AppendInt(b, v, 10)
}

// pauses returns the sum of all pauses so far, each counted as the middle of its bucket, and the upper bound of the largest
// one's bucket, both in ns. The runtime's buckets are at most 25 % wide, so the sum is within 12.5 %.
func pauses(h *metrics.Float64Histogram) (sum, largest int64) {
	var total float64
	for i, n := range h.Counts {
		if n == 0 {
			continue
		}
		low, high := bounds(h.Buckets, i)
		total += float64(n) * (low + high) / 2
		largest = int64(high * 1e9)
	}
	return int64(total * 1e9), largest
}

// p99Since returns the upper bound in ns of the bucket that holds the 99th percentile of what was counted since the last
// call, false if nothing was.
func (r *readings) p99Since(h *metrics.Float64Histogram) (ns int64, ok bool) {
	if len(r.latencies) != len(h.Counts) {
		r.latencies = make([]uint64, len(h.Counts))
	}
	var total uint64
	for i, n := range h.Counts {
		total += n - r.latencies[i]
	}
	rank := uint64(math.Ceil(0.99 * float64(total)))
	var seen uint64
	for i, n := range h.Counts {
		before := seen
		seen += n - r.latencies[i]
		if total > 0 && before < rank && seen >= rank {
			_, high := bounds(h.Buckets, i)
			ns = int64(high * 1e9)
		}
		r.latencies[i] = n
	}
	return ns, total > 0
}

// bounds are those of bucket i: counts[i] counts values in [buckets[i], buckets[i+1]). The open ends become 0 and the
// last finite bound.
func bounds(buckets []float64, i int) (low, high float64) {
	low, high = max(buckets[i], 0), buckets[i+1]
	if math.IsInf(high, 1) {
		high = low
	}
	return low, high
}
