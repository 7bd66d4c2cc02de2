package hist

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// oracle is the slow truth: sort everything, take the ⌈q·n⌉-th, and round up to its bucket as the histogram must.
func oracle(sorted []int64, q string, unanswered int) *int64 {
	exact, _ := new(big.Rat).SetString(q)
	n := big.NewRat(int64(len(sorted)+unanswered), 1)
	r := new(big.Rat).Mul(exact, n)
	rank := new(big.Int).Div(new(big.Int).Add(r.Num(), new(big.Int).Sub(r.Denom(), big.NewInt(1))), r.Denom()).Int64()
	rank = max(rank, 1)
	left := new(big.Rat).Sub(big.NewRat(1, 1), exact)
	if new(big.Rat).Mul(left, n).Cmp(big.NewRat(minBeyond, 1)) < 0 {
		return nil
	}
	share := big.NewRat(int64(unanswered), int64(len(sorted)+unanswered))
	if share.Cmp(left) > 0 {
		return nil
	}
	v := min(highOf(index(sorted[rank-1])), sorted[len(sorted)-1])
	return &v
}

func TestSummaryAgainstSortedValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 199, 200, 999, 1000, 1999, 2000, 9999, 10_000, 10_001, 99_999, 100_000}).Draw(t, "n")
		unanswered := rapid.OneOf(rapid.Just(0), rapid.IntRange(0, n/50+1), rapid.SampledFrom([]int{1, 10, n / 99, n/99 + 1, n, 2 * n})).Draw(t, "unanswered")
		values := draw(rapid.Uint64().Draw(t, "seed"), n)
		s := of(values...).Summary(int64(unanswered))
		slices.Sort(values)
		for _, c := range []struct {
			q   string
			got *int64
		}{{"0.5", s.P50}, {"0.9", s.P90}, {"0.95", s.P95}, {"0.99", s.P99}, {"0.999", s.P999}} {
			if want := oracle(values, c.q, unanswered); !equal(c.got, want) {
				t.Errorf("q %s of %d and %d unanswered: got %v, want %v", c.q, n, unanswered, show(c.got), show(want))
			}
		}
		if want := map[bool]*int64{true: &values[n-1]}[unanswered == 0]; !equal(s.Max, want) || s.Count != int64(n) {
			t.Errorf("count %d, max %v with %d unanswered: want %d, %v", s.Count, show(s.Max), unanswered, n, show(want))
		}
	})
}

func TestQuantileAgainstSortedValues(t *testing.T) {
	values := draw(11, 12_345)
	h := of(values...)
	slices.Sort(values)
	for _, q := range []float64{0, 1e-9, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1} {
		r := max(rank(parts(q), uint64(len(values))), 1)
		if got, want := h.Quantile(q), min(highOf(index(values[r-1])), h.Max()); got != want {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
	if New().Quantile(0.5) != 0 || h.Quantile(7) != h.Max() {
		t.Error("quantile of nothing, or beyond 1: want 0 and the maximum")
	}
}

func TestRankIsExact(t *testing.T) {
	for _, c := range []struct {
		q       float64
		n, want uint64
	}{
		{0.99, 10_000, 9900}, {0.99, 10_001, 9901}, {0.5, 3, 2}, {0.5, 4, 2}, {0.999, 100_000, 99_900},
		{0.7, 10, 7}, {0, 5, 1}, {1, 5, 5}, {0.99, 1 << 62, 4565569158243114025},
	} {
		if got := rank(parts(c.q), c.n); got != c.want {
			t.Errorf("rank of %v in %d: %d, want %d", c.q, c.n, got, c.want)
		}
	}
}

func TestSummaryCountsOutsideAsUnanswered(t *testing.T) {
	h := New()
	h.RecordN(1000, 9900)
	h.RecordN(500_000, 99)
	h.RecordN(-1, 1)
	if s := h.Summary(0); s.P99 == nil || *s.P99 != 1000 || s.Outside != 1 || s.Max != nil {
		t.Errorf("p99 %v, outside %d, max %v: want 1000, 1 and none, because the one outside counts as infinite", show(s.P99), s.Outside, show(s.Max))
	}
	if s := h.Summary(100); s.P99 == nil || *s.P99 != 500_000 {
		t.Errorf("p99 %v with 101 infinite of 10100: want the largest", show(s.P99))
	}
	if s := h.Summary(101); s.P99 != nil {
		t.Errorf("p99 %v with 102 infinite of 10101: want none", show(s.P99))
	}
	if s := New().Summary(3); s.Max != nil || s.P50 != nil || s.Mean != 0 {
		t.Error("summary of nothing holds figures")
	}
}

// One second at 10 000 requests a second keeps its p99 when one of them is reset.
func TestSummaryNeedsEnoughRequestsNotAnswers(t *testing.T) {
	h := New()
	h.RecordN(1000, 9999)
	if s := h.Summary(1); s.P99 == nil || *s.P99 != 1000 || s.Max != nil {
		t.Errorf("p99 %v, max %v of 10000 with one unanswered: want 1000 and none", show(s.P99), show(s.Max))
	}
	if s := h.Summary(0); s.P99 != nil || s.Max == nil {
		t.Errorf("p99 %v, max %v of 9999: want none and 1000", show(s.P99), show(s.Max))
	}
}

func TestMean(t *testing.T) {
	values := draw(12, 5000)
	var exact float64
	for _, v := range values {
		exact += float64(v) / 5000
	}
	if got := of(values...).Mean(); got < exact*0.9995 || got > exact*1.0005 {
		t.Errorf("mean %v: want %v", got, exact)
	}
}

func TestCurve(t *testing.T) {
	h := of(draw(13, 100_000)...)
	curve := h.Curve(0)
	if first := curve[0]; first.Quantile != 0 || first.Ns != highOf(index(h.Min())) {
		t.Errorf("first point %v: want the smallest value", first)
	}
	for i, p := range curve {
		if i > 0 && (p.Quantile <= curve[i-1].Quantile || p.Ns < curve[i-1].Ns) {
			t.Errorf("point %d: %v after %v", i, p, curve[i-1])
		}
		if p.Ns != h.Quantile(p.Quantile) {
			t.Errorf("point %v: quantile is %d", p, h.Quantile(p.Quantile))
		}
	}
	last := curve[len(curve)-1].Quantile
	if last > 0.999 || last < 0.998 {
		t.Errorf("curve of 100 000 values ends at %v: want it just below 0.999", last)
	}
	cut := h.Curve(2000)
	if end := cut[len(cut)-1].Quantile; end > 100.0/102 || end < 0.95 {
		t.Errorf("curve with 2 %% unanswered ends at %v: want it just below 100/102", end)
	}
	if got := of(draw(14, 99)...).Curve(0); got != nil {
		t.Errorf("curve of 99 values: %v, want none", got)
	}
}

func equal(a, b *int64) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

func show(p *int64) any {
	if p == nil {
		return "none"
	}
	return *p
}
