package checks

import (
	"encoding/json"
	"fmt"
	"math/bits"
)

// StallNs is the shortest time without a look for replies that counts as a stall, in ns: below it lie full batches of work.
const StallNs = 2_000_000

// Stalls counts stalls of load threads by length: class i holds those in [2^i, 2^(i+1)) ns. The zero value is empty.
type Stalls struct {
	n, sumNs [44]int64 // up to some five hours
}

// stallsJSON is Stalls in JSON, without the empty classes at the end.
type stallsJSON struct {
	N     []int64 `json:"n,omitempty"`
	SumNs []int64 `json:"sum_ns,omitempty"`
}

// MarshalJSON is Stalls on their way to another process.
func (s Stalls) MarshalJSON() ([]byte, error) {
	last := len(s.n)
	for last > 0 && s.n[last-1] == 0 {
		last--
	}
	return json.Marshal(stallsJSON{s.n[:last], s.sumNs[:last]})
}

// UnmarshalJSON makes s what MarshalJSON was called on.
func (s *Stalls) UnmarshalJSON(data []byte) error {
	var in stallsJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("decoding stalls: %w", err)
	}
	if len(in.N) > len(s.n) || len(in.SumNs) != len(in.N) {
		return fmt.Errorf("decoding stalls: %d classes with %d sums: want as many, and at most %d", len(in.N), len(in.SumNs), len(s.n))
	}
	*s = Stalls{}
	copy(s.n[:], in.N)
	copy(s.sumNs[:], in.SumNs)
	return nil
}

// Add counts a stall of so many ns.
func (s *Stalls) Add(ns int64) {
	if ns <= 0 {
		return
	}
	i := min(bits.Len64(uint64(ns))-1, len(s.n)-1)
	s.n[i]++
	s.sumNs[i] += ns
}

// Merge adds what o counted.
func (s *Stalls) Merge(o *Stalls) {
	for i := range s.n {
		s.n[i] += o.n[i]
		s.sumNs[i] += o.sumNs[i]
	}
}

// DelayNs is how long the stalls held up the requests at quantile q, if these came evenly over spanNs of all threads' time:
// the x for which
//
//	Σ max(g − x, 0) = (1 − q) · spanNs
//
// Where: g = the length of each stall, which holds up what comes after its begin until its end; zero if the sum is less even
// for x = 0. Stalls of one class count with their mean length.
func (s *Stalls) DelayNs(q float64, spanNs int64) int64 {
	beyond := (1 - q) * float64(spanNs)
	var n, sum, delay float64
	for i := len(s.n) - 1; i >= 0; i-- {
		if s.n[i] == 0 {
			continue
		}
		if mean := float64(s.sumNs[i]) / float64(s.n[i]); n > 0 && delay >= mean {
			break
		}
		n, sum = n+float64(s.n[i]), sum+float64(s.sumNs[i])
		delay = (sum - beyond) / n
	}
	return int64(max(delay, 0))
}

// Share is the share of spanNs that stalls of at least ns, rounded down to a power of two, take.
func (s *Stalls) Share(ns, spanNs int64) float64 {
	var sum int64
	for i := bits.Len64(uint64(ns)) - 1; i < len(s.n); i++ {
		sum += s.sumNs[i]
	}
	return float64(sum) / float64(max(1, spanNs))
}
