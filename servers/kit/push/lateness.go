package push

import (
	"math/bits"
	"sync/atomic"
)

// lateness counts how late frames are, in four buckets to a power of two: a percentile is at most a quarter too high. It has one
// writer and any number of readers.
type lateness struct {
	most    atomic.Int64
	buckets [4 * 64]atomic.Int64
}

func (l *lateness) add(ns int64) {
	ns = max(ns, 0)
	if ns > l.most.Load() {
		l.most.Store(ns)
	}
	l.buckets[lateBucket(ns)].Add(1)
}

// read returns the largest and the 99th percentile, both 0 before the first.
func (l *lateness) read() (most, p99 int64) {
	var total, seen int64
	for i := range l.buckets {
		total += l.buckets[i].Load()
	}
	most = l.most.Load()
	for i := range l.buckets {
		if seen += l.buckets[i].Load(); total > 0 && seen*100 >= total*99 {
			return most, min(lateBound(i), most)
		}
	}
	return most, 0
}

// lateBucket is ns itself below 4, and behind it the highest bit and the two below it.
func lateBucket(ns int64) int {
	if ns < 4 {
		return int(ns)
	}
	high := bits.Len64(uint64(ns)) - 1
	return 4*(high-1) + int(ns>>(high-2))&3
}

// lateBound is the largest value of a bucket.
func lateBound(i int) int64 {
	if i < 4 {
		return int64(i)
	}
	high := i/4 + 1
	return int64(uint64(4+i%4+1)<<(high-2)) - 1
}
