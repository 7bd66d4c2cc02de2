package capacity

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/scenarios"
)

// Load is one point of a sweep: a rate, or a share of the capacity that the closed loop reaches.
type Load struct {
	Share float64 // of 1; zero where Rate is set
	Rate  float64 // requests a second
}

// The bounds of a sweep.
const (
	maxPoints  = 100
	maxPercent = 1000
	autoPoints = 12 // 10 %, 20 %, … 120 %
)

// ParseSweep reads the points of a sweep: "auto" for 10 % to 120 % of the closed-loop capacity, shares of it
// ("10%,50%,90%"), rates ("1k,5k,10k"), or both.
func ParseSweep(text string) ([]Load, error) {
	const want = "want auto, shares of the closed-loop capacity (10%,50%,90%) or rates (1k,5k,10k)"
	var loads []Load
	if strings.TrimSpace(text) == "auto" {
		for i := range autoPoints {
			loads = append(loads, Load{Share: float64(i+1) / 10})
		}
		return loads, nil
	}
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if number, ok := strings.CutSuffix(item, "%"); ok {
			v, err := strconv.ParseFloat(number, 64)
			if err != nil || !(v > 0 && v <= maxPercent) {
				return nil, fmt.Errorf("sweep %q: share %q is not above 0%% and up to %d%%: %s", text, item, maxPercent, want)
			}
			loads = append(loads, Load{Share: v / 100})
			continue
		}
		rate, err := scenarios.ParseRate(item)
		if err != nil || rate <= 0 {
			return nil, fmt.Errorf("sweep %q: %q is no rate above 0: %s", text, item, want)
		}
		loads = append(loads, Load{Rate: float64(rate)})
	}
	if len(loads) > maxPoints {
		return nil, fmt.Errorf("sweep of %d points: want at most %d", len(loads), maxPoints)
	}
	return loads, nil
}

// The lengths of a sweep's points where none is given.
const (
	pointFor  = 3 * time.Second
	pointMost = 15 * time.Second
	// pointRequests are those that a p99 needs, and four standard deviations of a Poisson process more.
	pointRequests = 10_400
)

// Points are the steps of a sweep in increasing order, each rate once. ceiling is the closed-loop capacity; length is that of
// each trial, zero for 3 s or as much longer as a p99 needs at the rate, up to 15 s.
func Points(loads []Load, ceiling float64, length time.Duration) []Step {
	var steps []Step
	for _, l := range loads {
		rate := l.Rate
		if rate == 0 {
			rate = round(l.Share * ceiling)
		}
		rate = min(rate, maxRate)
		d := length
		if d == 0 {
			need := time.Duration(min(pointRequests/rate, pointMost.Seconds()) * float64(time.Second))
			d = max(pointFor, need.Round(100*time.Millisecond))
		}
		steps = append(steps, Step{Kind: Point, Rate: rate, Length: d})
	}
	slices.SortFunc(steps, func(a, b Step) int { return cmp.Compare(a.Rate, b.Rate) })
	return slices.CompactFunc(steps, func(a, b Step) bool { return a.Rate == b.Rate })
}
