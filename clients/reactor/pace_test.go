package reactor

import (
	"testing"

	"github.com/millrace/millrace/clients"
)

// Short waits are spun through, long ones only up to what waking up takes and within the budget for it.
func TestLeadTo(t *testing.T) {
	for _, c := range []struct {
		wait    int64
		arrival bool
		led     int64 // of 1 s
		want    int64
	}{
		{10_000, true, 0, 10_000},
		{10_000, true, 900_000_000, 10_000}, // whatever was spent: sleeping would cost as much
		{10_000, false, 0, 0},               // nothing is due
		{20_000, true, 0, 7_000},
		{20_000, true, 900_000_000, 0},
	} {
		s := &shard{e: &Engine{plan: &clients.Plan{}}, now: 1_000_000_000}
		s.lead, s.led = 7_000, c.led
		if got := s.leadTo(s.now+c.wait, c.arrival); got != c.want {
			t.Errorf("%+v: %d ns", c, got)
		}
	}
}
