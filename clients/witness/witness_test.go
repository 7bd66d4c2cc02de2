package witness

import (
	"math"
	"net"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/internal/procfs"
)

func TestSince(t *testing.T) {
	h := &metrics.Float64Histogram{Buckets: []float64{math.Inf(-1), 1e-6, 1e-5, 1e-4, math.Inf(1)}, Counts: []uint64{90, 8, 5, 2}}
	for _, c := range []struct {
		before []uint64
		q      float64
		want   int64
	}{
		{[]uint64{0, 0, 0, 0}, 1, 100_000},
		{[]uint64{0, 0, 0, 2}, 1, 10_000},
		{[]uint64{0, 0, 0, 0}, 0.95, 10_000}, // 5 of 105 may lie beyond
		{[]uint64{0, 0, 0, 0}, 0.5, 0},
		{[]uint64{90, 8, 5, 2}, 1, 0},
	} {
		if got := since(c.before, h, c.q); got != c.want {
			t.Errorf("quantile %v since %v: %d ns, want %d", c.q, c.before, got, c.want)
		}
	}
}

func TestGrown(t *testing.T) {
	for _, c := range [][3]int64{{3, 7, 4}, {7, 7, 0}, {7, 6, 0}, {7, 2, 0}, {checks.Unknown, 2, checks.Unknown}, {2, checks.Unknown, checks.Unknown}} {
		if got := grown(c[0], c[1]); got != c[2] {
			t.Errorf("from %d to %d it grew by %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestPausesBelongToTheirPhase(t *testing.T) {
	w := New()
	from := procfs.Monotonic()
	w.Begin([]int64{from, from + 1, from + 2_000_000})
	w.Turn()
	runtime.GC()
	for w.Wait() > 0 {
		<-time.After(w.Wait())
	}
	w.Turn()
	if w.Wait() < time.Minute {
		t.Error("still waiting for an edge")
	}
	w.Close()
	w.Close()
	first, second := w.Between(0), w.Between(1)
	if first.CPUSpanNs <= 0 || first.CPUSpanNs >= second.CPUSpanNs {
		t.Errorf("%+v: want what one reading for both edges can tell, since Begin", first)
	}
	if second.PauseMaxNs == 0 || second.PauseMaxNs > int64(time.Second) {
		t.Errorf("%+v: want the pause of a collection", second)
	}
	if second.CPUSpanNs < 2_000_000 || second.StealNs < 0 {
		t.Errorf("%+v: want 2 ms of every CPU, and their steal", second)
	}
}

// Connections to an address where nobody listens are dropped by nobody.
func TestKernelCountsFromNewOn(t *testing.T) {
	w := New()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Fatal("connected to nobody")
	}
	w.Close()
	if k := w.Kernel(); k.ListenOverflows < 0 || k.SynRetransmits < 0 || k.Retransmits < 0 {
		t.Errorf("%+v: counters are unknown or fell", k)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	w := New()
	w.Begin([]int64{0})
	defer w.Close()
	if n := testing.AllocsPerRun(20, func() { w.read() }); n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
}

func BenchmarkRead(b *testing.B) {
	w := New()
	w.Begin([]int64{0})
	defer w.Close()
	for b.Loop() {
		w.read()
	}
}
