package hist

import (
	"math"
	"math/bits"
	"runtime"
)

// The range in ns of the values that a histogram holds.
const (
	Lowest  = 1
	Highest = 600_000_000_000
)

// The layout is that of HdrHistogram for Lowest, Highest and three significant digits: counts below 2048 have a bucket
// per ns, and from there on every doubling of the value is cut into 1024 buckets, so that a bucket is narrower than
// 0.1 % of its values.
const (
	digits     = 3
	subBits    = 11           // 2·10³ values with a bucket each need 2^11
	chunkLen   = 1024         // buckets of one doubling
	chunks     = 40 - 11 + 2  // Highest < 2^40; the values below 2048 take two
	bucketsLen = chunks << 10 // 31744
)

// counts[i] counts values in bucket i. A chunk of it is 4 KiB, a page. Counters have 32 bits, because half of the pages
// then stay untouched and a counter full after 4·10⁹ values carries into Histogram.carry.
type counts [bucketsLen]uint32

// Histogram counts latencies in ns with three significant digits from Lowest to Highest. It must come from New. One
// goroutine may use it at a time; it must not be copied. Its counters take 124 KiB of address space, of which only the
// pages that values fell into are resident (Linux; elsewhere the Go heap decides).
type Histogram struct {
	counts  *counts
	touched uint32 // bit c: chunk c of counts may be other than zero
	count   uint64
	outside uint64
	min     int64
	max     int64
	// carry[i] is what counts[i] lacks, in units of 2³². Nil until a counter is full.
	carry map[int]uint64
}

// New returns an empty histogram. Its memory is given back when it is no longer reachable.
func New() *Histogram {
	h := &Histogram{min: math.MaxInt64}
	h.counts = newCounts(h)
	return h
}

// Record counts one latency of ns. A latency of 0 ns, which a coarse clock may read, counts as 1 ns. A negative one, or
// one above Highest, is counted by Outside and nowhere else. It takes a few ns, allocates nothing and takes no lock.
func (h *Histogram) Record(ns int64) {
	if uint64(ns-Lowest) >= Highest {
		if ns != 0 {
			h.outside++
			return
		}
		ns = Lowest
	}
	i := index(ns)
	n := h.counts[i] + 1
	h.counts[i] = n
	if n == 0 {
		h.carryAt(i, 1)
	}
	h.touched |= 1 << (uint(i) / chunkLen)
	h.count++
	if ns > h.max {
		h.max = ns
	}
	if ns < h.min {
		h.min = ns
	}
	runtime.KeepAlive(h)
}

// RecordN counts n latencies of ns as Record counts one. It does nothing where n is not positive.
func (h *Histogram) RecordN(ns, n int64) {
	if n <= 0 {
		return
	}
	if uint64(ns-Lowest) >= Highest {
		if ns != 0 {
			h.outside += uint64(n)
			return
		}
		ns = Lowest
	}
	h.add(index(ns), uint64(n))
	h.max, h.min = max(h.max, ns), min(h.min, ns)
}

// Merge adds what o counted. It takes time by the pages that o touched, and o stays as it is.
func (h *Histogram) Merge(o *Histogram) {
	o.each(func(i int, n uint64) bool {
		h.add(i, n)
		return true
	})
	h.outside += o.outside
	h.max, h.min = max(h.max, o.max), min(h.min, o.min)
}

// Reset empties the histogram. It clears only the pages that values fell into, and keeps them.
func (h *Histogram) Reset() {
	for t := h.touched; t != 0; t &= t - 1 {
		c := bits.TrailingZeros32(t)
		clear(h.counts[c*chunkLen : (c+1)*chunkLen])
	}
	h.touched, h.count, h.outside = 0, 0, 0
	h.min, h.max = math.MaxInt64, 0
	h.carry = nil
	runtime.KeepAlive(h)
}

// Count is the number of values recorded, those outside the range apart.
func (h *Histogram) Count() int64 { return int64(h.count) }

// Outside is the number of values that were negative or above Highest.
func (h *Histogram) Outside() int64 { return int64(h.outside) }

// Max is the largest value recorded, exactly, or zero without values.
func (h *Histogram) Max() int64 { return h.max }

// Min is the smallest value recorded, exactly, or zero without values. ReadLog knows it only by its bucket.
func (h *Histogram) Min() int64 {
	if h.count == 0 {
		return 0
	}
	return h.min
}

// Mean is the arithmetic mean in ns, with the middle of each bucket for its values (less than 0.05 % from the exact
// one), so that it is the same when computed again from a log. Zero without values.
func (h *Histogram) Mean() float64 {
	if h.count == 0 {
		return 0
	}
	var sum float64
	h.each(func(i int, n uint64) bool {
		sum += float64(n) * (float64(lowOf(i)) + float64(highOf(i))) / 2
		return true
	})
	return sum / float64(h.count)
}

// add counts n values in bucket i without regard to min and max.
func (h *Histogram) add(i int, n uint64) {
	sum := uint64(h.counts[i]) + n
	h.counts[i] = uint32(sum)
	if sum>>32 != 0 {
		h.carryAt(i, sum>>32)
	}
	h.touched |= 1 << (uint(i) / chunkLen)
	h.count += n
	runtime.KeepAlive(h)
}

// carryAt keeps n·2³² values of bucket i. It allocates, once in 4·10⁹ values.
func (h *Histogram) carryAt(i int, n uint64) {
	if h.carry == nil {
		h.carry = make(map[int]uint64, 1)
	}
	h.carry[i] += n
}

// each calls f with every bucket that is not empty, in increasing order, until f returns false.
func (h *Histogram) each(f func(i int, n uint64) bool) {
	defer runtime.KeepAlive(h)
	for t := h.touched; t != 0; t &= t - 1 {
		first := bits.TrailingZeros32(t) * chunkLen
		for i, low := range h.counts[first : first+chunkLen] {
			n := uint64(low)
			if h.carry != nil {
				n += h.carry[first+i] << 32
			}
			if n != 0 && !f(first+i, n) {
				return
			}
		}
	}
}

// index is the bucket of a value in [Lowest, 2^40).
func index(ns int64) int {
	shift := bits.Len64(uint64(ns)|(1<<subBits-1)) - subBits
	return shift*chunkLen + int(uint64(ns)>>uint(shift))
}

// lowOf is the smallest value of bucket i.
func lowOf(i int) int64 {
	shift := max(i/chunkLen-1, 0)
	return int64(i-shift*chunkLen) << uint(shift)
}

// highOf is the largest value of bucket i.
func highOf(i int) int64 { return lowOf(i) + 1<<uint(max(i/chunkLen-1, 0)) - 1 }
