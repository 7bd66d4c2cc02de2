package reflect

import (
	"math"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// departs checks the departures of requests that arrive at these times in ms, on one connection.
func departs(t *testing.T, s Script, arrivals, want []float64) {
	t.Helper()
	st := newStation(&s)
	var before int64
	for i, a := range arrivals {
		before = st.depart(int64(a*float64(ms)), before, false)
		if got := float64(before) / float64(ms); math.Abs(got-want[i]) > 1e-9 {
			t.Errorf("request %d at %v ms departs at %v, want %v", i, a, got, want[i])
		}
	}
}

func TestDepartures(t *testing.T) {
	const unit = time.Millisecond
	departs(t, Script{}, []float64{0, 1, 1}, []float64{0, 1, 1})
	departs(t, Script{Delay: 5 * unit}, []float64{0, 1, 20}, []float64{5, 10, 25})
	departs(t, Script{Delay: 1 * unit, SlowDelay: 100 * unit, SlowEvery: 3}, []float64{0, 10, 20, 200}, []float64{1, 11, 120, 201})
	departs(t, Script{FreezeAt: 10 * unit, FreezeFor: 20 * unit}, []float64{100, 109, 110, 129, 130, 200}, []float64{100, 109, 130, 130, 130, 200})
	departs(t, Script{FreezeAt: 10 * unit, FreezeFor: 20 * unit, FreezeEvery: 100 * unit}, []float64{0, 15, 105, 110, 229, 230}, []float64{0, 30, 105, 130, 230, 230})
}

// Requests of several connections queue for the one server.
func TestOneServerServesAllConnections(t *testing.T) {
	s := Script{Service: 10 * time.Millisecond}
	st := newStation(&s)
	for i, c := range []struct{ arrival, want int64 }{{0, 10}, {1, 20}, {2, 30}, {50, 60}, {60, 70}} {
		if got := st.depart(c.arrival*ms, 0, false); got != c.want*ms {
			t.Errorf("request %d departs at %d, want %d ms", i, got/ms, c.want)
		}
	}
}

// Mean and variance of the exponential distribution are 1; of n values the mean has the standard error 1 ÷ √n, the mean
// square (which is 2) √20 ÷ √n.
func TestServiceIsExponential(t *testing.T) {
	const n = 200_000
	draw, again := NewService(1), NewService(1)
	var sum, square float64
	for range n {
		v := draw.Next()
		if v != again.Next() || v < 0 {
			t.Fatal("the same seed gives other service times, or one is negative")
		}
		sum, square = sum+v, square+v*v
	}
	if off := math.Abs(sum/n - 1); off > 5/math.Sqrt(n) {
		t.Errorf("mean %v", sum/n)
	}
	if off := math.Abs(square/n - 2); off > 5*math.Sqrt(20/float64(n)) {
		t.Errorf("mean square %v", square/n)
	}
}
