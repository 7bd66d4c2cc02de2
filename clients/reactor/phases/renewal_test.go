package phases

import (
	"math"
	"testing"
)

func TestRenewalTakesEachConnectionOnceAtItsPace(t *testing.T) {
	const share, second = 10, 1_000_000_000
	for _, count := range []int{1, 2, 7, 100, 997, 1000} {
		var ahead int
		seen := map[int]int{}
		for shard := range 2 {
			r := NewRenewal(share, shard, 2)
			if r.At() != math.MaxInt64 {
				t.Errorf("%d connections: due before there is one", count)
			}
			r.From(count, 5*second)
			for r.At() < 15*second { // ten seconds at a tenth each
				ahead++
				seen[shard*count+r.Next()]++
			}
		}
		if ahead != 2*count || len(seen) != 2*count {
			t.Errorf("%d connections of two shards: %d renewals of %d of them, want each once", count, ahead, len(seen))
		}
	}
}

func TestRenewalGoesOnWhereNothingChanges(t *testing.T) {
	r := NewRenewal(50, 0, 1)
	r.From(10, 0)
	r.Next()
	at := r.At()
	if r.From(10, 1_000_000); r.At() != at || at != 200_000_000 {
		t.Errorf("the next one at %d, before %d: want 0.2 s both times", r.At(), at)
	}
	if r.From(20, 1_000_000); r.At() != 1_000_000 {
		t.Errorf("with other connections the first at %d: want at once", r.At())
	}
	none := NewRenewal(0, 0, 1)
	if none.From(10, 0); none.At() != math.MaxInt64 {
		t.Errorf("without a share one at %d", none.At())
	}
}
