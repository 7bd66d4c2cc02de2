package hist

// Between returns how many of the values recorded lie in [from, to), by the lower ends of their buckets, which are narrower
// than 0.1 %.
func (h *Histogram) Between(from, to int64) int64 {
	var sum uint64
	h.each(func(i int, n uint64) bool {
		low := lowOf(i)
		if low >= from && low < to {
			sum += n
		}
		return low < to
	})
	return int64(sum)
}
