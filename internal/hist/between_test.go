package hist

import "testing"

func TestBetween(t *testing.T) {
	h := New()
	for _, v := range []int64{1, 999, 40_000_000, 44_799_000, 45_000_000, Highest, Highest + 1} {
		h.RecordN(v, 3)
	}
	for _, c := range []struct{ from, to, want int64 }{
		{0, 1 << 62, 18}, {1, 2, 3}, {2, 999, 0}, {999, 1000, 3}, {39_900_000, 44_800_000, 6}, {44_900_000, 46_000_000, 3}, {5, 5, 0},
	} {
		if got := h.Between(c.from, c.to); got != c.want {
			t.Errorf("[%d, %d): %d values, want %d", c.from, c.to, got, c.want)
		}
	}
	if got := New().Between(0, 1<<62); got != 0 {
		t.Errorf("%d values of none", got)
	}
}
