package inference

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// signFlipExact is the largest number of differences whose 2ⁿ sign patterns are all counted: two halves of 2¹⁵ sums, some 8 ms.
	signFlipExact = 30
	// signFlips is the number of random patterns above it: a p of 0.05 is then known to ± 0.0014 (two standard errors).
	signFlips = 99_999
	// sumRounding is the share of Σ|d| within which two sums count as equal: they are added up in different orders.
	sumRounding = 1e-12
)

// SignFlip tests whether paired differences d are symmetric around 0: p is the share of all 2ⁿ choices of signs for which the
// sum is at least as far from 0 as the one seen (Fisher's randomization test). It uses their sizes, where the signed-rank
// test uses ranks.
//
// Up to 30 differences all patterns are counted, and exact is true. Above, p = (1+b)/(1+m), where b of m = 99 999 random
// patterns drawn from seed are as far (Davison & Hinkley, Bootstrap Methods and their Application, section 4.2). No values
// give NaN; one, or all zeros, give 1.
func SignFlip(d []float64, seed uint64) (p float64, exact bool) {
	if !usable(d) {
		return math.NaN(), false
	}
	y, _ := scaled(d)
	sum, size := 0.0, 0.0
	for _, v := range y {
		sum += v
		size += math.Abs(v)
	}
	limit := math.Abs(sum) - sumRounding*size
	if limit <= 0 {
		return 1, len(d) <= signFlipExact
	}
	if len(d) > signFlipExact {
		return randomFlips(y, limit, seed), false
	}
	a, b := signedSums(y[:len(y)/2]), signedSums(y[len(y)/2:])
	slices.Sort(b)
	far := 0
	for _, s := range a { // patterns come in pairs of opposite sums: count those on the upper side
		from, _ := slices.BinarySearch(b, limit-s)
		far += len(b) - from
	}
	return math.Ldexp(float64(2*far), -len(y)), true
}

// signedSums returns the sums of y under all 2^len(y) choices of signs.
func signedSums(y []float64) []float64 {
	sums := make([]float64, 1, 1<<len(y))
	for _, v := range y {
		for i, s := range sums {
			sums[i] = s - v
			sums = append(sums, s+v)
		}
	}
	return sums
}

// randomFlips estimates the share of sign patterns whose sum is at least limit from 0.
func randomFlips(y []float64, limit float64, seed uint64) float64 {
	random := rand.NewPCG(seed, uint64(len(y)))
	far := 0
	for range signFlips {
		sum, bits := 0.0, uint64(0)
		for i, v := range y {
			if i%64 == 0 {
				bits = random.Uint64()
			}
			sum += math.Float64frombits(math.Float64bits(v) ^ bits<<63)
			bits >>= 1
		}
		if math.Abs(sum) >= limit {
			far++
		}
	}
	return float64(1+far) / (1 + signFlips)
}
