package inference

import (
	"math/rand/v2"
	"testing"
)

func normals(n int, seed uint64) []float64 {
	random := rand.New(rand.NewPCG(seed, 0))
	x := make([]float64, n)
	for i := range x {
		x[i] = random.NormFloat64()
	}
	return x
}

func BenchmarkSignedRank20(b *testing.B) {
	d := normals(20, 1)
	b.ReportAllocs()
	for b.Loop() {
		SignedRank(d, 0.95)
	}
}

func BenchmarkSignedRank20Ties(b *testing.B) {
	d := normals(20, 1)
	for i := range d {
		d[i] = float64(int(3 * d[i]))
	}
	b.ReportAllocs()
	for b.Loop() {
		SignedRank(d, 0.95)
	}
}

func BenchmarkSignFlip20(b *testing.B) {
	d := normals(20, 1)
	b.ReportAllocs()
	for b.Loop() {
		SignFlip(d, 1)
	}
}

func BenchmarkShift20(b *testing.B) {
	x, y := normals(20, 1), normals(20, 2)
	b.ReportAllocs()
	for b.Loop() {
		Shift(x, y, 0.95)
	}
}

// BenchmarkRun is the statistics of a large run: 20 rounds, 12 variants, 30 metrics, each pair of variants by signed rank and
// Holm, Friedman over all, and for each cell the bootstrap of a median with 2000 resamples.
func BenchmarkRun(b *testing.B) {
	const rounds, variants, metrics, resamples = 20, 12, 30, 2000
	x := make([][]float64, metrics*variants)
	for i := range x {
		x[i] = normals(rounds, uint64(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		d, scratch := make([]float64, rounds), make([]float64, rounds)
		for m := range metrics {
			cells := x[m*variants : (m+1)*variants]
			blocks := make([][]float64, rounds)
			for r := range blocks {
				for _, c := range cells {
					blocks[r] = append(blocks[r], c[r])
				}
			}
			Friedman(blocks)
			var p []float64
			for i, v := range cells {
				for j := range i {
					for r := range d {
						d[r] = v[r] - cells[j][r]
					}
					p = append(p, SignedRank(d, 0.95).P)
				}
				BlockBootstrap(rounds, resamples, 0.95, uint64(i), func(index []int) float64 {
					for k, r := range index {
						scratch[k] = v[r]
					}
					return Median(scratch)
				})
			}
			Holm(p)
		}
	}
}
