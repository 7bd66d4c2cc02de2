package hist

import (
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// draw returns n latencies spread over the whole range, as many in every decade.
func draw(seed uint64, n int) []int64 {
	r := rand.New(rand.NewPCG(seed, 1))
	values := make([]int64, n)
	for i := range values {
		values[i] = min(int64(math.Exp(r.Float64()*math.Log(Highest))), Highest)
	}
	return values
}

func of(values ...int64) *Histogram {
	h := New()
	for _, v := range values {
		h.Record(v)
	}
	return h
}

func TestLayoutIsHdrHistograms(t *testing.T) {
	values := append(draw(1, 1000), 1, 2, 2047, 2048, 2049, 4095, 4096, Highest-1, Highest)
	for _, v := range values {
		o := hdr.New(Lowest, Highest, digits)
		if err := o.RecordValue(v); err != nil {
			t.Fatal(err)
		}
		n := o.Export().Counts
		if len(n) != bucketsLen {
			t.Fatalf("%d buckets: want HdrHistogram's %d", bucketsLen, len(n))
		}
		if i := index(v); n[i] != 1 || o.Min() != lowOf(i) || o.Max() != highOf(i) {
			t.Fatalf("value %d: bucket %d of [%d, %d]: HdrHistogram says [%d, %d] and counts %d there", v, i, lowOf(i), highOf(i), o.Min(), o.Max(), n[i])
		}
	}
}

func TestRange(t *testing.T) {
	for _, c := range []struct {
		name                    string
		ns                      int64
		count, outside, maximum int64
	}{
		{"negative", -1, 0, 1, 0},
		{"most negative", math.MinInt64, 0, 1, 0},
		{"zero counts as one", 0, 1, 0, 1},
		{"lowest", Lowest, 1, 0, 1},
		{"highest", Highest, 1, 0, Highest},
		{"above", Highest + 1, 0, 1, 0},
		{"largest", math.MaxInt64, 0, 1, 0},
	} {
		one, many := of(c.ns), New()
		many.RecordN(c.ns, 3)
		many.RecordN(c.ns, 0)
		many.RecordN(c.ns, -2)
		if one.Count() != c.count || one.Outside() != c.outside || one.Max() != c.maximum || one.Min() != min(c.maximum, one.Max()) {
			t.Errorf("%s: count %d, outside %d, max %d, min %d", c.name, one.Count(), one.Outside(), one.Max(), one.Min())
		}
		if many.Count() != 3*c.count || many.Outside() != 3*c.outside || many.Max() != c.maximum {
			t.Errorf("%s, three at once: count %d, outside %d, max %d", c.name, many.Count(), many.Outside(), many.Max())
		}
	}
}

func TestMergeAndReset(t *testing.T) {
	values := draw(2, 30_000)
	whole, sum := of(values...), New()
	for part := range slices.Chunk(values, 10_000) {
		sum.Merge(of(part...))
	}
	sum.Merge(of(-5))
	sum.Merge(New())
	if sum.Outside() != 1 {
		t.Errorf("outside %d after merging: want 1", sum.Outside())
	}
	sum.outside = 0
	same(t, sum, whole)
	if sum.Min() != slices.Min(values) || sum.Max() != slices.Max(values) {
		t.Errorf("min %d, max %d: want %d, %d", sum.Min(), sum.Max(), slices.Min(values), slices.Max(values))
	}
	sum.Reset()
	same(t, sum, New())
	sum.Merge(whole)
	same(t, sum, whole)
}

// same reports where two histograms differ in anything but min, which a log doesn't keep.
func same(t *testing.T, got, want *Histogram) {
	t.Helper()
	if *got.counts != *want.counts || got.count != want.count || got.max != want.max || got.outside != want.outside || got.touched != want.touched {
		t.Errorf("histograms differ: count %d, max %d, outside %d: want %d, %d, %d", got.count, got.max, got.outside, want.count, want.max, want.outside)
	}
	for i, n := range want.carry {
		if got.carry[i] != n {
			t.Errorf("bucket %d carries %d: want %d", i, got.carry[i], n)
		}
	}
}

func TestCountersCarry(t *testing.T) {
	h := New()
	h.RecordN(1000, math.MaxUint32)
	h.Record(1000)
	h.Record(2000)
	sum := New()
	sum.Merge(h)
	sum.Merge(h)
	if got, want := sum.Count(), int64(2*(math.MaxUint32+2)); got != want {
		t.Errorf("count %d: want %d", got, want)
	}
	if got := sum.Quantile(0.999999); got != 1000 {
		t.Errorf("quantile %d: want 1000, the value of all but two in 8 thousand million", got)
	}
	sum.Reset()
	if sum.Record(1000); sum.Quantile(1) != 1000 || sum.Count() != 1 {
		t.Error("a reset histogram still carries")
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	h, values, i := New(), draw(3, 1024), 0
	if n := testing.AllocsPerRun(2000, func() { h.Record(values[i%1024]); i++ }); n != 0 {
		t.Errorf("%v allocations a record: want none", n)
	}
	if n := testing.AllocsPerRun(10, h.Reset); n != 0 {
		t.Errorf("%v allocations a reset: want none", n)
	}
}

// TestUntouchedMemoryIsNotResident holds 200 histograms, 25 MB of counters, of which each has one page touched.
func TestUntouchedMemoryIsNotResident(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux promises it")
	}
	const n, slack = 200, 2 << 20
	before := rssAnonBytes(t)
	var all []*Histogram
	for range n {
		h := of(80_000, 90_000, 100_000)
		h.Reset()
		all = append(all, h)
	}
	if grown := rssAnonBytes(t) - before; grown > n*4096+slack {
		t.Errorf("%d histograms with a page each took %d bytes: want about %d", n, grown, n*4096)
	}
	runtime.KeepAlive(all)
}

func rssAnonBytes(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "RssAnon:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// TestMemoryOutlivesUse uses histograms whose last use is the call itself, with the collector running.
func TestMemoryOutlivesUse(t *testing.T) {
	for range 200 {
		h := of(draw(4, 50)...)
		runtime.GC()
		sum := New()
		sum.Merge(h)
		if sum.Count() != 50 {
			t.Fatal("values lost")
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	h, values := New(), draw(5, 4096)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		h.Record(values[i&4095])
		i++
	}
}

// BenchmarkReset resets a histogram of 10 000 values around 100 µs, as of one interval.
func BenchmarkReset(b *testing.B) {
	o, h := typical(), New()
	for b.Loop() {
		h.Merge(o)
		h.Reset()
	}
}

func BenchmarkMerge(b *testing.B) {
	o, h := typical(), New()
	for b.Loop() {
		h.Merge(o)
	}
}

func typical() *Histogram {
	r, h := rand.New(rand.NewPCG(6, 1)), New()
	for range 10_000 {
		h.Record(int64(100_000 * math.Exp(r.NormFloat64()/2)))
	}
	return h
}
