package phases

import (
	"math"

	"github.com/millrace/millrace/scenarios"
)

// Renewal is when one of several shards closes a kept connection and opens it anew. Its n-th one is due at
//
//	from + (n + index ÷ stride) ÷ (share · count)
//
// Where: from = since when this shard has count connections, of which share are renewed each second. Each is taken once before any
// is taken again, neighbours far apart from each other, since they may be of one kind, such as idle. The zero value renews none.
type Renewal struct {
	share  float64 // of the connections each ns
	offset float64 // index ÷ stride
	from   int64
	count  int
	done   int64
	at     int
	step   int
}

// goldenRatio's multiples are spread most evenly.
const goldenRatio = 0.6180339887498949

// NewRenewal is that of shard index of stride in all.
func NewRenewal(share scenarios.Percent, index, stride int) Renewal {
	return Renewal{share: float64(share) / 100 / 1e9, offset: float64(index) / float64(stride)}
}

// From sets how many connections the shard has from a time on.
func (r *Renewal) From(count int, from int64) {
	if r.share == 0 || count == r.count {
		return // and goes on at its pace
	}
	r.from, r.count, r.done, r.at = from, count, 0, 0
	for r.step = max(1, int(goldenRatio*float64(count))); divisor(r.step, count) > 1; {
		r.step++
	}
}

// divisor is the greatest common one.
func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// At is when the next one is due; MaxInt64 if never.
func (r *Renewal) At() int64 {
	if r.count == 0 {
		return math.MaxInt64
	}
	return r.from + int64((float64(r.done)+r.offset)/(r.share*float64(r.count)))
}

// Next takes the next one, and returns which connection of the shard it is.
func (r *Renewal) Next() int {
	i := r.at
	r.done++
	r.at = (r.at + r.step) % r.count
	return i
}
